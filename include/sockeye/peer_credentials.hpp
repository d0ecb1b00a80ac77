#pragma once

#include <cstdint>
#include <optional>

namespace sockeye {

/// Who made the other end of a Unix socket's connection, as it was when the connection came up:
/// who called connect(2), or for the one that called, who called listen(2). What that process
/// has become since does not show. See: SO_PEERCRED in unix(7), getpeereid(3).
struct peer_credentials {
    std::uint32_t user_id = 0;
    std::uint32_t group_id = 0;
    /// Where the system tells it: not on FreeBSD. By now the number may be another process's.
    std::optional<std::int32_t> process_id;
};

} // namespace sockeye
