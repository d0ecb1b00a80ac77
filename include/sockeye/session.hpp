#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
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

/// With these beside its own members, whatever a class calls so has two meanings.
struct session_names {
    int on_data, on_open, on_end, on_writable, on_close, on_datagrams, on_error;
};
template <typename Session, bool can_be_a_base = !std::is_final_v<Session>>
struct named_twice : Session, session_names {};
template <typename Session>
struct named_twice<Session, false> : session_names {};

/// True where the class has a member of that name, whatever it is; of a final class only one that
/// is public and has no other of its name beside it.
template <typename S>
concept names_on_data = requires {
    &S::on_data;
}
|| !requires {
    &named_twice<S>::on_data;
};
template <typename S>
concept names_on_open = requires {
    &S::on_open;
}
|| !requires {
    &named_twice<S>::on_open;
};
template <typename S>
concept names_on_end = requires {
    &S::on_end;
}
|| !requires {
    &named_twice<S>::on_end;
};
template <typename S>
concept names_on_writable = requires {
    &S::on_writable;
}
|| !requires {
    &named_twice<S>::on_writable;
};
template <typename S>
concept names_on_close = requires {
    &S::on_close;
}
|| !requires {
    &named_twice<S>::on_close;
};
template <typename S>
concept names_on_datagrams = std::is_class_v<S> &&(
    requires { &S::on_datagrams; } || !requires { &named_twice<S>::on_datagrams; });
template <typename S>
concept names_on_error = requires {
    &S::on_error;
}
|| !requires {
    &named_twice<S>::on_error;
};

template <typename S>
concept has_on_open = requires(S& s, stream& link) {
    s.on_open(link);
};
template <typename S>
concept has_on_end = requires(S& s, stream& link) {
    s.on_end(link);
};
template <typename S>
concept has_on_writable = requires(S& s, stream& link) {
    s.on_writable(link);
};
template <typename S>
concept has_on_close = requires(S& s, stream& link, const close_info& info) {
    s.on_close(link, info);
};

/// What is called is found by its name and its arguments: one that has the name and cannot be
/// called would never be, in silence.
template <typename Session>
struct checked_session {
    static_assert(
        has_on_data<Session>,
        "a session needs a public member: void on_data(sockeye::stream&, sockeye::bytes)");
    static_assert(has_on_open<Session> || !names_on_open<Session>,
                  "on_open of a session must be public: void on_open(sockeye::stream&)");
    static_assert(has_on_end<Session> || !names_on_end<Session>,
                  "on_end of a session must be public: void on_end(sockeye::stream&)");
    static_assert(has_on_writable<Session> || !names_on_writable<Session>,
                  "on_writable of a session must be public: void on_writable(sockeye::stream&)");
    static_assert(has_on_close<Session> || !names_on_close<Session>,
                  "on_close of a session must be public: "
                  "void on_close(sockeye::stream&, const sockeye::close_info&)");
    static constexpr bool can_read = has_on_data<Session>;
};

template <typename Session>
consteval void add_on_data(session_table& table) {
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
}

template <typename Session, bool can_read>
consteval session_table make_session_table() {
    session_table table = {};
    table.size = sizeof table;
    table.destroy = [](void* s) noexcept { delete static_cast<Session*>(s); };
    if constexpr (can_read) {
        add_on_data<Session>(table);
    }
    if constexpr (has_on_open<Session>) {
        table.on_open = [](void* s, stream& link) { static_cast<Session*>(s)->on_open(link); };
    }
    if constexpr (has_on_end<Session>) {
        table.on_end = [](void* s, stream& link) { static_cast<Session*>(s)->on_end(link); };
    }
    if constexpr (has_on_writable<Session>) {
        table.on_writable = [](void* s, stream& link) {
            static_cast<Session*>(s)->on_writable(link);
        };
    }
    if constexpr (has_on_close<Session>) {
        table.on_close = [](void* s, stream& link, const close_info& info) {
            static_cast<Session*>(s)->on_close(link, info);
        };
    }
    return table;
}

} // namespace detail

/// The table of a session class: which of on_open, on_data, on_end, on_writable and on_close it
/// has is found out here, at compile time. One that has the name and cannot be called so is an
/// error of the compiler.
template <typename Session>
inline constexpr session_table session_table_of =
    detail::make_session_table<Session, detail::checked_session<Session>::can_read>();

} // namespace sockeye
