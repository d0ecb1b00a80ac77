#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/session.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace sockeye {

struct slot;

/// What became of a write. It may be ignored: memory stays bounded all the same.
enum class write_status : std::uint8_t {
    ok,
    above_high_mark, ///< taken, and the queue is long: on_writable says when it is short again
    refused, ///< not taken: closed, shut down, no memory, or the queue was past its hard limit
};

/// The limits of one stream: in bytes of its send queue, and in time.
///
/// One that passes a time limit ends with close_reason::failed and timed_out, and on_close hears
/// which one it was. Never early, and at most 13 ms late where the loop has nothing else to do.
/// Zero is none, and so is whatever is longer than 50 days. They cost no memory, and a message no
/// more than a store; what counts is the time at which its turn of the loop began.
struct stream_limits {
    /// Above it reading pauses until the queue falls below queue_low.
    std::size_t queue_high = std::size_t{64} << 10;
    std::size_t queue_low = std::size_t{16} << 10;
    /// A queue past it refuses the next write and the connection closes with send_queue_full.
    std::size_t queue_max = std::size_t{1} << 20;
    /// Descriptors that may come with one read, where the session takes them. With more the
    /// connection ends with errc::descriptor_limit, and all of them are closed.
    std::size_t descriptors_max = 64;
    /// How long what was taken may still be sent after close(); then it is dropped, and the peer
    /// sees a reset, as wherever bytes are dropped: never a good end of less than all.
    duration linger = std::chrono::seconds(10);

    /// From the opening until the peer's first byte has come.
    duration first_byte = duration::zero();
    /// Without a byte either way. While reading waits for memory of the loop's, it does not run,
    /// nor does first_byte.
    duration idle = duration::zero();
    /// From our FIN to the peer's.
    duration shutdown = duration::zero();
    /// From the opening, whatever happens.
    duration lifetime = duration::zero();
};

/// Names a connection without owning it. Any thread may hold and copy it.
class stream_ref {
public:
    stream_ref() = default;

    friend bool operator==(const stream_ref&, const stream_ref&) = default;

private:
    friend class stream;
    friend class loop;
    stream_ref(std::uint32_t index, std::uint32_t generation) noexcept
        : index_(index), generation_(generation) {}

    std::uint32_t index_ = 0;
    std::uint32_t generation_ = 0;
};

/// A connection: bytes in order, both ways. A move-only handle; on a dead connection every verb
/// is harmless.
///
/// A session gets its connection's own `stream&`, the same object all its life. A stream that
/// connect, adopt or a listener gave owns its connection: its destructor closes it in silence (no
/// handler runs again, the session goes), and what write took is still sent within the linger
/// time.
/// Threads: loop thread only. Lifetime: an owning stream dies before its loop.
class stream {
public:
    stream() = default;
    /// From a session's own stream&: takes the connection over; the session hears on_close with
    /// close_reason::taken, and nobody reads until attach(). One that is closing stays as it is,
    /// and the new stream is empty; so it is without memory, where the connection ends with
    /// not_enough_memory.
    stream(stream&& other) noexcept;
    stream& operator=(stream&& other) noexcept;
    ~stream();

    /// Sends all of `data` in order, or refuses all of it. Copies what cannot leave at once; the
    /// rest leaves at the end of the turn. Never blocks, never calls a handler. Without memory for
    /// the copy the connection ends with not_enough_memory.
    write_status write(bytes data);
    write_status write(std::string_view text) { return write(as_bytes(text)); }
    /// Sends `descriptors` along with the first byte of `data`: the peer gets copies of them, no
    /// later than that byte, and those given here are closed once they are sent or lost.
    ///
    /// Unix streams alone. The connection ends with not_supported on others and in a simulation,
    /// with invalid_argument without a byte to go with or with more than 253 descriptors, and with
    /// send_queue_full where more than 253 wait already. See: SCM_RIGHTS in unix(7).
    write_status write(bytes data, std::vector<unique_fd> descriptors);
    write_status write(std::string_view text, std::vector<unique_fd> descriptors) {
        return write(as_bytes(text), std::move(descriptors));
    }

    /// Sends FIN when all is sent; reading goes on. Later writes are refused.
    void shutdown();
    /// Sends what was taken, within the linger time, and closes. Leads to on_close. Bytes that the
    /// peer sent and nobody read make the system reset the connection, which may cost the peer
    /// what it had not read yet: who speaks first and closes calls shutdown() and reads to the end.
    void close();
    /// Drops what is unsent and closes with a reset (RST). Leads to on_close.
    void abort();

    /// Stops on_data until resume(); the bytes wait in the kernel.
    void pause();
    void resume();

    /// Gives a connection that nobody reads a session, made with `args`; reading begins.
    /// It is up already, so that on_open is not called; one that has ended meanwhile leads to
    /// on_close. Throws bad_alloc, and then nothing has changed and the session is gone.
    /// Requires: no session yet, and not moved from.
    template <typename Session, typename... Args>
    void attach(Args&&... args);

    /// Leaves the connection to the loop; it lives until it is closed.
    void detach() noexcept;
    /// Gives the descriptor away: no longer watched, not closed. The session hears on_close with
    /// close_reason::taken. Errors: not_connected; operation_in_progress while bytes are unsent;
    /// not_supported in a simulation, whose descriptors are its own.
    result<unique_fd> release();

    /// False from the moment that no more can be written or read: closed, failed, moved from.
    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] bool is_connecting() const noexcept;
    /// Bytes taken by write and not yet by the kernel.
    [[nodiscard]] std::size_t queued_bytes() const noexcept;
    /// Errors: not_connected when it is gone; what getsockname(2), getpeername(2) say.
    [[nodiscard]] result<endpoint> local_endpoint() const;
    [[nodiscard]] result<endpoint> peer_endpoint() const;
    [[nodiscard]] stream_ref ref() const noexcept { return {index_, generation_}; }
    /// Requires: not moved from.
    [[nodiscard]] sockeye::loop& loop() const noexcept;

private:
    friend class stream_access;
    stream(loop_core& core, slot& place) noexcept;

    void attach_session(const session_table& table, void* session);
    void give_up() noexcept;

    loop_core* core_ = nullptr;
    std::uint32_t index_ = 0;
    std::uint32_t generation_ = 0;
};

/// How connect is to go about it.
struct connect_options {
    /// From the call to the established connection: then it fails with timed_out, or with
    /// operation_would_block where the backlog of a Unix listener is still full. 0: as long as
    /// the system tries; a full backlog is then tried again for ever.
    /// A look-up and all attempts are within it.
    duration deadline = std::chrono::seconds(30);
    stream_limits limits = {};
    /// Of a host with several addresses: how long one is tried before the next one is tried
    /// beside it. See: RFC 8305 section 5.
    duration attempt_delay = std::chrono::milliseconds(250);
    /// Where to connect from: an address of this machine, its port mostly 0. Unknown: the system
    /// chooses. Addresses of the host that are of another family fail.
    endpoint local = {};
};

/// Makes a stream of a connected socket that somebody else opened; it is made non-blocking.
///
/// Errors: bad_file_descriptor, errc::not_pollable, not_connected, file_exists when it is watched
/// here already, not_supported in a simulation, not_enough_memory; then `fd` is closed. Reading
/// begins with attach().
result<stream> adopt(loop& owner, unique_fd fd, const stream_limits& limits = {});

/// The part of connect that is no template. Where it throws, `session` is still the caller's.
[[nodiscard]] stream start_connect(loop& owner, const endpoint_argument& peer,
                                   const connect_options& options, const session_table& table,
                                   void* session);

/// Connects to `peer` and talks to it through a Session made with `args`.
///
/// `peer` may be a host: `tcp://example.org:80`. Its addresses, looked up as by resolve(), race:
/// IPv4 and IPv6 in turn, the next one where the last one failed or has taken attempt_delay; the
/// first to answer is the connection, and the others are closed. See: RFC 8305.
/// Never fails in the call: bytes written early wait; a bad address, a failed look-up, refusal,
/// the deadline and close() all lead to on_close with close_reason::connect_failed, the error (that
/// of the last attempt to fail) and all attempts. Throws bad_alloc where there is no memory for
/// session and connection, and then there are neither.
template <typename Session, typename... Args>
[[nodiscard]] stream connect(loop& owner, const endpoint_argument& peer,
                             const connect_options& options, Args&&... args) {
    static_assert(has_on_data<Session>,
                  "a session needs: void on_data(sockeye::stream&, sockeye::bytes)");
    auto session = std::make_unique<Session>(std::forward<Args>(args)...);
    auto made = start_connect(owner, peer, options, session_table_of<Session>, session.get());
    static_cast<void>(session.release());
    return made;
}

template <typename Session, typename... Args>
void stream::attach(Args&&... args) {
    static_assert(has_on_data<Session>,
                  "a session needs: void on_data(sockeye::stream&, sockeye::bytes)");
    auto session = std::make_unique<Session>(std::forward<Args>(args)...);
    attach_session(session_table_of<Session>, session.get());
    static_cast<void>(session.release());
}

} // namespace sockeye
