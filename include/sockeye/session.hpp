#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace sockeye {

class stream;

/// Why a connection ended.
enum class close_reason : std::uint8_t {
    closed,         ///< close() was called here, and all was sent
    ended,          ///< the peer ended the stream and all was sent
    aborted,        ///< abort() was called here
    failed,         ///< a read or write failed, a limit was passed, or a handler threw
    connect_failed, ///< it never came up
    taken,          ///< the stream was moved out of the session, or released
};

/// Which time limit of a connection has passed.
enum class deadline_kind : std::uint8_t {
    none,       ///< none: where the error is timed_out, it is the system's own
    connect,    ///< connect_options::deadline
    first_byte, ///< these are members of stream_limits
    idle,
    write,
    rate,     ///< min_rate
    shutdown, ///< also that of a graceful close
    lifetime,
    linger,
};

/// One try to connect that came to nothing.
struct connect_attempt {
    endpoint peer;
    /// What ended it; that of the connection where it was still under way then.
    std::error_code error;
    duration took = duration::zero();
};

/// What on_close is told.
struct close_info {
    close_reason reason = close_reason::closed;
    /// Set for `failed` and `connect_failed`.
    std::error_code error;
    /// Set where a time limit ended it; the error is timed_out then.
    deadline_kind deadline = deadline_kind::none;
    /// Bytes that write took and that were not sent.
    std::size_t dropped_bytes = 0;
    /// Bytes of the peer's that a graceful close read.
    std::size_t discarded_bytes = 0;
    /// For `connect_failed`: every endpoint that was tried, in that order; none where the look-up
    /// of the host failed. Lent until on_close returns.
    std::span<const connect_attempt> attempts = {};
};

/// The functions of a session class: on_data with what one read brought; on_open first, where the
/// connection is up; on_end at the peer's FIN, after which writing goes on; on_writable when a send
/// queue above its high mark fell to its low one; on_close last, exactly once. All run on the loop
/// thread, from the loop.
///
/// Whose on_data takes a std::vector<unique_fd> behind the bytes is given the descriptors that the
/// peer sent along, none as a rule: close-on-exec, never later than the byte that they went with,
/// and closed where they are not kept. Without it what comes along is dropped by the system, and
/// nothing of it is ever open here. See: SCM_RIGHTS in unix(7).
///
/// The table is for the part of the library that is no template. Begins with
/// its own size, so that a library can serve programs compiled with an older, shorter one.
struct session_table {
    std::size_t size;
    void (*destroy)(void* session) noexcept;
    void (*on_data)(void* session, stream&, bytes);
    void (*on_open)(void* session, stream&); ///< these may be null
    void (*on_end)(void* session, stream&);
    void (*on_writable)(void* session, stream&);
    void (*on_close)(void* session, stream&, const close_info&);
    /// Instead of on_data, where a session takes descriptors.
    void (*on_data_with_descriptors)(void* session, stream&, bytes, std::vector<unique_fd>);
};

template <typename Session>
concept takes_descriptors = requires(Session& s, stream& link, bytes in,
                                     std::vector<unique_fd> descriptors) {
    s.on_data(link, in, std::move(descriptors));
};

template <typename Session>
concept has_on_data = takes_descriptors<Session> || requires(Session& s, stream& link, bytes in) {
    s.on_data(link, in);
};

namespace detail {

template <typename Session>
consteval session_table make_session_table() {
    session_table table = {};
    table.size = sizeof table;
    table.destroy = [](void* s) noexcept { delete static_cast<Session*>(s); };
    if constexpr (takes_descriptors<Session>) {
        table.on_data_with_descriptors = [](void* s, stream& link, bytes in,
                                            std::vector<unique_fd> descriptors) {
            static_cast<Session*>(s)->on_data(link, in, std::move(descriptors));
        };
        table.on_data = [](void* s, stream& link, bytes in) {
            static_cast<Session*>(s)->on_data(link, in, {});
        };
    } else {
        table.on_data = [](void* s, stream& link, bytes in) {
            static_cast<Session*>(s)->on_data(link, in);
        };
    }
    if constexpr (requires(Session & s, stream & link) { s.on_open(link); }) {
        table.on_open = [](void* s, stream& link) { static_cast<Session*>(s)->on_open(link); };
    }
    if constexpr (requires(Session & s, stream & link) { s.on_end(link); }) {
        table.on_end = [](void* s, stream& link) { static_cast<Session*>(s)->on_end(link); };
    }
    if constexpr (requires(Session & s, stream & link) { s.on_writable(link); }) {
        table.on_writable = [](void* s, stream& link) {
            static_cast<Session*>(s)->on_writable(link);
        };
    }
    if constexpr (requires(Session & s, stream & link, close_info i) { s.on_close(link, i); }) {
        table.on_close = [](void* s, stream& link, const close_info& info) {
            static_cast<Session*>(s)->on_close(link, info);
        };
    }
    return table;
}

} // namespace detail

/// The table of a session class: which of on_open, on_data, on_end, on_writable and on_close it
/// has is found out here, at compile time.
template <typename Session>
inline constexpr session_table session_table_of = detail::make_session_table<Session>();

} // namespace sockeye
