#include "cli/service.hpp"

#include "cli/serve_echo.hpp"

namespace sockeye::cli {

std::span<const service> services() {
    static constexpr service table[] = {
        {"echo", "bytes back until the peer closes, each datagram back", 7007, start_echo},
    };
    return table;
}

} // namespace sockeye::cli
