#pragma once

#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace sockeye {

/// How a name is to be looked up.
struct look_up_options {
    /// From the call to the answer: then the handler hears timed_out, whatever the name servers
    /// do. 0: as long as the system takes.
    duration deadline = std::chrono::seconds(5);
    ip_family family = ip_family::any;
};

/// Hears the endpoints of a host in the order in which to try them (RFC 6724): at least one, at
/// most 64. Or why there is none: errc::host_not_found, host_without_address, temporary_failure,
/// look_up_failed, look_up_queue_full (1024 names wait already), timed_out, operation_canceled,
/// resource_unavailable_try_again where the system has no thread left, not_enough_memory, and
/// errc::endpoint_... for what is no address.
using look_up_handler = unique_function<void(result<std::vector<endpoint>>)>;

/// A look-up that is under way. Its destructor ends it in silence.
///
/// Threads: loop thread only. Lifetime: dies before its loop.
class look_up {
public:
    look_up() = default;
    look_up(look_up&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)), key_(std::exchange(other.key_, 0)) {}
    look_up& operator=(look_up&& other) noexcept;
    ~look_up();

    /// The handler hears operation_canceled, from the loop. Harmless once it was called.
    void cancel() noexcept;
    /// False from the moment that the handler is called.
    [[nodiscard]] bool is_pending() const noexcept;

private:
    friend look_up resolve(loop&, const endpoint_argument&, const look_up_options&,
                           look_up_handler);
    look_up(loop_core& core, std::uint64_t key) noexcept : core_(&core), key_(key) {}

    loop_core* core_ = nullptr;
    std::uint64_t key_ = 0;
};

/// Finds the endpoints of `host`, written as wherever an endpoint is: `tcp://example.org:80`,
/// `udp://example.org:53`, `example.org:0`.
///
/// `handler` runs exactly once, from the loop, and never inside this call. Names are looked up by
/// getaddrinfo(3) on threads of their own, at most four in the whole process, which end when no
/// name waits. A call that hangs keeps its thread until it returns, and nobody waits for it.
/// What needs no look-up needs no thread: numeric addresses and Unix paths are their own answer;
/// `NAME.localhost` is 127.0.0.1 and ::1, and no name server ever hears of it (RFC 6761).
/// Throws bad_alloc, and then nothing has changed.
[[nodiscard]] look_up resolve(loop& owner, const endpoint_argument& host,
                              const look_up_options& options, look_up_handler handler);

} // namespace sockeye
