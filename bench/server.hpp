#pragma once

#include "bench/account.hpp"
#include "bench/child.hpp"
#include "bench/plan.hpp"

#include <sockeye/endpoint.hpp>

#include <string>
#include <string_view>

namespace sockeye::bench {

/// The hidden command by which the program becomes a server under test.
inline constexpr std::string_view server_command = "bench-server";

/// What a server under test does.
struct server_task {
    backend_kind backend = backend_kind::automatic;
    transport carrier = transport::tcp;
    /// Upload: it reads and drops. Download: it sends the ring of `seed` for ever. Else: echo.
    mode how = mode::echo;
    std::uint64_t seed = 1;
};

/// Serves on a free port of 127.0.0.1, or on a Unix socket, until the standard input ends; speaks
/// the lines of account.hpp. Throws what a loop or an endpoint throws.
void run_server(const server_task& task);

/// A server under test in a process of its own, seen from the bench.
class server_process {
public:
    /// Throws round_failed.
    static server_process start(const lane& subject, const load& what, std::uint64_t seed,
                                const host::placement& where);

    [[nodiscard]] const endpoint& address() const noexcept { return address_; }
    [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }
    /// Throws round_failed.
    [[nodiscard]] account ask();

private:
    server_process(child_process child, const endpoint& address)
        : child_(std::move(child)), address_(address) {}

    child_process child_;
    endpoint address_;
};

} // namespace sockeye::bench
