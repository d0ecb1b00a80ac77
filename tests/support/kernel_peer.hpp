#pragma once

#include "kernel/kernel.hpp"

#include <string>
#include <string_view>

namespace support {

/// The other side of a connection, made of the calls of a kernel alone, so that it lives on every
/// ground and no fault of the loop's seams reaches it. pump() does what is possible now.
class kernel_peer {
public:
    /// Begins to connect. Throws where that is refused at once.
    kernel_peer(sockeye::kernel& system, const sockeye::endpoint& server);

    void say(std::string_view text) { unsent_ += text; }
    /// FIN once all is said.
    void finish() noexcept { wants_fin_ = true; }
    /// Closes with a reset.
    void reset();
    void close() { fd_.reset(); }
    void pump();

    [[nodiscard]] const std::string& heard() const noexcept { return heard_; }
    void forget() noexcept { heard_.clear(); }
    /// The stream ended, in good order or not.
    [[nodiscard]] bool is_over() const noexcept { return has_ended_ || error_; }

private:
    void push();
    void pull();
    void note(std::error_code error);

    sockeye::kernel& system_;
    sockeye::owned_fd fd_;
    std::string unsent_;
    std::string heard_;
    bool wants_fin_ = false;
    bool has_ended_ = false;
    std::error_code error_;
};

} // namespace support
