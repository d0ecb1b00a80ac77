#pragma once

#include "bench/account.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>

#include <memory>
#include <string>
#include <system_error>

namespace sockeye::bench {

/// Asks a server that somebody else started what it has used and done, over the port of its
/// `--control`. It stands still meanwhile, as with a server of our own.
class control_client {
public:
    /// Connects when it is asked first.
    explicit control_client(const endpoint& place);

    /// Throws round_failed, with one line that says what is wrong.
    [[nodiscard]] account ask();

private:
    friend class control_client_session;

    [[noreturn]] void fail(const std::string& why) const;
    [[nodiscard]] std::string first_line();

    endpoint place_;
    loop loop_;
    std::string heard_;
    bool has_answered_ = false; ///< at least once: it is what it should be
    bool is_closed_ = false;
    std::error_code error_;
    stream link_;
};

/// One question to a control port that nothing was asked yet: is it one? Throws
/// cli::command_error.
void try_control_port(const endpoint& place);

} // namespace sockeye::bench
