#pragma once

#include "support/program.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/unique_fd.hpp>

#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The program as a server, and plain clients of system calls alone to talk to it.
namespace support {

/// `sockeye serve` with these words behind it.
[[nodiscard]] words serve_command(const words& arguments);

/// A running `sockeye serve` that has said where it is ready.
class server_program {
public:
    /// Reads a start-up line for each of so many services.
    explicit server_program(const words& arguments, const start_options& options = {},
                            std::size_t services = 1);

    /// The start-up line, the first one where there are several.
    [[nodiscard]] const std::string& ready() const { return ready_.front(); }
    /// The endpoints of the start-up line of that service, in its order.
    [[nodiscard]] std::vector<sockeye::endpoint> places(std::size_t service = 0) const;
    /// The first of them.
    [[nodiscard]] sockeye::endpoint place(std::size_t service = 0) const;
    process& child() { return process_; }
    /// Where signals arrive, for a server that has ended by itself: its outcome.
    outcome stop(int signal = SIGINT);

private:
    process process_;
    std::vector<std::string> ready_;
};

/// A blocking socket that is connected to `place`, from `from` where that is given. All it waits
/// for has a generous deadline.
sockeye::unique_fd connect_to(const sockeye::endpoint& place,
                              const std::optional<sockeye::endpoint>& from = {});

/// Sends `data`, ends our side, and gives all that comes back.
std::string exchange_whole(const sockeye::endpoint& place, const std::string& data);

/// All that comes until the peer ends; where it is reset instead, `RESET` behind what came.
std::string receive_all(const sockeye::unique_fd& link);

/// Sends one message and gives what one receive brings; nothing where none comes.
std::optional<std::string> ask(const sockeye::unique_fd& link, const std::string& data);

bool is_readable_now(const sockeye::unique_fd& link);

std::string random_bytes(std::size_t count);

/// What `sockeye backends -q` names.
std::vector<std::string> usable_backends();

bool contains(const std::string& text, std::string_view part);

sockeye::endpoint parse(const std::string& text);

} // namespace support
