#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/owned_bytes.hpp>
#include <sockeye/peer_credentials.hpp>
#include <sockeye/session.hpp>
#include <sockeye/stream_info.hpp>
#include <sockeye/stream_options.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>
#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
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
    /// The oldest byte that was written waits longer for the system to take it; late by an eighth
    /// of it at most where many bytes wait.
    duration write = duration::zero();
    /// Bytes a second that a peer has to take while output waits: who took fewer in a whole window
    /// is closed. The first window begins when output begins to wait, each other one at the end of
    /// the last, so that who stops reading is closed after one to two of them. 0 is none.
    /// Measured by what the system takes from us, which it does in steps of about a third of its
    /// send buffer.
    std::size_t min_rate = 0;
    duration min_rate_window = std::chrono::seconds(30);
    /// From our FIN to the peer's.
    duration shutdown = duration::zero();
    /// From the opening, whatever happens.
    duration lifetime = duration::zero();
};

/// How a graceful close goes about it.
struct graceful_options {
    /// Bytes of the peer's that are read and dropped; more end the connection with
    /// errc::discard_limit.
    std::size_t discard_max = std::size_t{1} << 20;
    /// From the call until the peer's FIN was read: then it ends with timed_out.
    duration deadline = std::chrono::seconds(10);
};

/// Bytes of a file, from `offset` on.
struct file_part {
    std::uint64_t offset = 0;
    std::size_t length = 0;
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
/// Over unix-seqpacket each write is one message and each on_data what one write was: of at most
/// 64 KiB, else the connection of whoever wrote or reads it ends with message_size. An empty write
/// is none; an empty message that somebody else sends cannot be told from the end.
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
    /// The same for several parts, one behind the other, as one write: what is large leaves with
    /// one call of the system, of 64 parts at most.
    write_status write(std::span<const bytes> parts);
    write_status write(std::initializer_list<bytes> parts) {
        return write(std::span(parts.begin(), parts.size()));
    }
    /// The same without a copy: what the kernel does not take at once stays where it is, and is
    /// given back when it is sent, dropped or refused. Counts in full towards the marks. Little of
    /// it, 16 KiB at most, is copied all the same while the kernel has room: it costs less.
    write_status write(owned_bytes data);
    /// Sends a part of a regular file, in order with the writes, and closes it; sent from where it
    /// lies where the system can do that (sendfile(2)), else read 64 KiB at a time. Reading a file
    /// that is not in the cache stops the loop. Towards the marks it counts with what is left of
    /// it, but at most 128 KiB: it is not in memory.
    ///
    /// A file that ends before that ends the connection with errc::file_truncated, one that cannot
    /// be read with what pread(2) says; the peer sees a reset.
    write_status send_file(unique_fd file, const file_part& part);
    /// Sends what fits now and says how much; queues nothing. What it did not take is the
    /// caller's: write() takes it, and tells by on_writable when to go on.
    ///
    /// Errors: operation_would_block where nothing fits, older bytes wait or it is not up yet;
    /// not_connected, broken_pipe after shutdown(), no_buffer_space; any other ends the connection.
    result<std::size_t> try_write(bytes data);
    result<std::size_t> try_write(std::string_view text) { return try_write(as_bytes(text)); }
    /// Sends `descriptors` along with the first byte of `data`: the peer gets copies of them, no
    /// later than that byte, and those given here are closed once they are sent or lost.
    ///
    /// Unix sockets alone. The connection ends with not_supported on others and in a simulation,
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
    /// what it had not read yet: who speaks first and closes calls graceful_close().
    void close();
    /// Sends what was taken, then FIN; reads and drops what the peer still says until its FIN, and
    /// closes then. A peer that ends in time is never reset. Leads to on_close, which hears how
    /// much was dropped. close() after it does nothing, abort() ends it. Without memory for it the
    /// connection ends with not_enough_memory.
    void graceful_close(const graceful_options& options = {});
    /// Drops what is unsent and closes with a reset (RST). Leads to on_close.
    void abort();

    /// Calls `handler` once, from the loop, when the system has taken all that was written before;
    /// after shutdown() it has been told to send FIN, too. What ends the connection before ends the
    /// wait, and on_close comes after it: with the error of the failure, or operation_canceled
    /// where bytes were dropped by abort() or the linger deadline. Handlers are called in the order
    /// of the calls. False, and `handler` is not called, where no more can be written because the
    /// connection is over. Throws bad_alloc, and then nothing has changed.
    bool when_sent(unique_function<void(std::error_code)> handler);
    /// Ends all waits of when_sent with operation_canceled; the bytes are sent all the same.
    void cancel() noexcept;

    /// Other limits from now on, for this connection alone. What is counted from the opening still
    /// is; what waits to be sent begins to wait anew. Throws bad_alloc, and then nothing has
    /// changed.
    void set_limits(const stream_limits& limits);
    [[nodiscard]] stream_limits limits() const noexcept;

    /// Stops on_data until resume(); the bytes wait in the kernel.
    void pause();
    void resume();

    /// Gives a connection that nobody reads a session, made with `args`; reading begins.
    /// It is up already, so that on_open is not called; one that has ended meanwhile leads to
    /// on_close. Throws bad_alloc, and then nothing has changed and the session is gone.
    /// Requires: no session yet, and not moved from.
    template <typename Session, typename... Args>
    void attach(Args&&... args);

    /// Sets those options that are set in `wanted`, as in `set_options({.quick_ack = true})`.
    ///
    /// Errors: not_connected; invalid_argument for a time or a count of zero or less; not_supported
    /// where the transport or the system has no such option; no_such_file_or_directory for a
    /// congestion control that is not there. After an error of the system, those before it in the
    /// order of the system's calls are set.
    [[nodiscard]] std::error_code set_options(const stream_options& wanted);

    /// Leaves the connection to the loop; it lives until it is closed.
    void detach() noexcept;
    /// Gives the descriptor away: no longer watched, not closed. The session hears on_close with
    /// close_reason::taken. Errors: not_connected; operation_in_progress while bytes are unsent;
    /// not_supported in a simulation, whose descriptors are its own.
    result<unique_fd> release();

    /// False from the moment that no more can be written or read: closed, failed, moved from.
    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] bool is_connecting() const noexcept;
    /// Bytes taken by write and send_file, and not yet by the kernel.
    [[nodiscard]] std::size_t queued_bytes() const noexcept;
    /// Errors: not_connected when it is gone; what getsockname(2), getpeername(2) say.
    [[nodiscard]] result<endpoint> local_endpoint() const;
    [[nodiscard]] result<endpoint> peer_endpoint() const;
    /// Who made the other end of a Unix socket's connection. Errors: not_connected when it is gone
    /// or not up yet; not_supported for TCP, for what is no socket, and in a simulation.
    [[nodiscard]] result<sockeye::peer_credentials> peer_credentials() const;
    /// What the system knows of the connection: times, windows, and the bytes it has carried, which
    /// nothing is counted for here. Errors: not_connected; not_supported but for TCP on Linux and
    /// in a simulation.
    [[nodiscard]] result<stream_info> info() const;
    /// The options that the system has, as it has them. One call of the system for each.
    [[nodiscard]] result<stream_options> options() const;
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
    /// Set before connecting. One that is refused leads to on_close: connect_failed.
    stream_options socket = {};
    /// Bytes written in the turn of the call travel in the SYN, where the peer has agreed to that
    /// before; they may arrive twice, so that they must ask for nothing that may not happen twice.
    /// Not for a host with several addresses. Not_supported but on Linux.
    /// See: RFC 7413, TCP_FASTOPEN_CONNECT in tcp(7).
    bool fast_open = false;
    /// Of a host: which of its addresses are tried.
    ip_family family = ip_family::any;
    /// Of a host with several addresses: how long one is tried before the next one is tried
    /// beside it. See: RFC 8305 section 5.
    duration attempt_delay = std::chrono::milliseconds(250);
    /// Where to connect from: an address of this machine, its port mostly 0. Unknown: the system
    /// chooses. Addresses of the host that are of another family fail.
    endpoint local = {};
};

/// Makes a stream of a connected socket that somebody else opened, or of what is read and written
/// like one: a pipe, a FIFO, a terminal, a device, a regular file. It is made non-blocking, for all
/// that share its open file description; see standard_input() for one that others go on using.
///
/// Of one that can only be written, on_data and on_end are not called, and the reader's end is
/// close_reason::failed with broken_pipe. One that can only be read refuses writes and ends with
/// close_reason::ended. A terminal that hung up has ended. A regular file is read and written from
/// where it stands, 64 KiB in a turn and on the loop's thread, without waiting for readiness.
/// Errors: bad_file_descriptor, errc::not_pollable for a directory, not_connected, file_exists when
/// it is watched here already, invalid_argument for a socket that lingers in close(2) (that would
/// stop the loop; see SO_LINGER in socket(7)), not_supported in a simulation, not_enough_memory;
/// then `fd` is closed. Reading begins with attach().
/// See: pipe(7), fifo(7), open(2).
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
    auto session = std::make_unique<Session>(std::forward<Args>(args)...);
    auto made = start_connect(owner, peer, options, session_table_of<Session>, session.get());
    static_cast<void>(session.release());
    return made;
}

template <typename Session, typename... Args>
requires(!(std::is_same_v<std::remove_cvref_t<Args>, connect_options> || ...)) [[nodiscard]] stream
    connect(loop& owner, const endpoint_argument& peer, Args&&... args) {
    return connect<Session>(owner, peer, connect_options{}, std::forward<Args>(args)...);
}

template <typename Session, typename... Args>
void stream::attach(Args&&... args) {
    auto session = std::make_unique<Session>(std::forward<Args>(args)...);
    attach_session(session_table_of<Session>, session.get());
    static_cast<void>(session.release());
}

} // namespace sockeye
