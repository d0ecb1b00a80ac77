#pragma once

#include <sockeye/interest.hpp>
#include <sockeye/result.hpp>
#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace sockeye {

/// What a wait says of one descriptor.
///
/// Hang-up and error show as the wanted directions and as hints beside them: the next read or
/// write finds out what happened. A hint alone never means the end of a stream.
struct event {
    std::uint64_t key = 0;
    bool readable = false;
    bool writable = false;
    bool read_closed = false; ///< hint: the peer sent FIN or urgent data; data may lie before it
    bool hangup = false;      ///< hint: both directions are closed
    bool error = false;       ///< hint: an error is pending
};

/// Asks the kernel which of many descriptors are ready. Loop thread only.
///
/// Level-triggered, unless interest::edge is asked of a backend that offers it. It talks to the
/// kernel and decides nothing: no callbacks, no timers, no retries.
///
/// One event per descriptor and wait, both directions merged. Wanting `none` never spins:
/// hang-up and error alone are told at most once until another interest is wanted, and only where
/// the backend has the feature early_close. A full `ready` loses nothing and starves nobody; it
/// may leave one direction of a descriptor to the next wait. A failed add leaves nothing behind.
///
/// A descriptor that was closed before it was removed does no harm to the others. Where the kernel
/// keeps the table it has forgotten it, and says nothing. Where we keep it (poll, select) it is
/// told once, as an error in the wanted directions, so that the next read finds EBADF, and is not
/// watched any more: remove then says that it is unknown.
class backend {
public:
    virtual ~backend() = default;
    backend() = default;
    backend(const backend&) = delete;
    backend& operator=(const backend&) = delete;

    /// Starts watching `fd`; `key` comes back with its events.
    /// Errors: file_exists when already watched, invalid_argument for unknown interest bits or
    /// for interest::edge and exclusive where they are not offered, bad_file_descriptor,
    /// errc::not_pollable for regular files and directories, errc::too_many_descriptors, and what
    /// the kernel reports.
    [[nodiscard]] virtual std::error_code add(int fd, interest wanted, std::uint64_t key) = 0;

    /// Replaces interest and key; makes no system call where nothing changes.
    /// Errors: no_such_file_or_directory when not watched, invalid_argument as for add, also for
    /// a change between edge and level, or from or to exclusive.
    [[nodiscard]] virtual std::error_code modify(int fd, interest wanted, std::uint64_t key) = 0;

    /// Stops watching. Requires: called before `fd` is closed; after it, it is harmless.
    /// Errors: no_such_file_or_directory when not watched.
    [[nodiscard]] virtual std::error_code remove(int fd) = 0;

    /// Fills the front of `ready` and returns how many; 0 on timeout or EINTR. No timeout waits
    /// for ever; a negative one is 0. Timeouts round up, so that no wait ends early.
    /// Requires: `ready` is not empty.
    virtual result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) = 0;

    /// A descriptor that is readable when wait would return at once; -1 where there is none.
    [[nodiscard]] virtual int native_handle() const noexcept { return -1; }
};

/// A row of the table of backends.
struct backend_entry {
    backend_kind kind;
    std::string_view name;
    backend_features features;
    std::string_view notes;
    result<std::unique_ptr<backend>> (*make)(); ///< null where this build does not have it
};

/// Every backend that this library knows, best first, whether this build has it or not.
[[nodiscard]] std::span<const backend_entry> backend_table() noexcept;

/// The row of `kind`; for `automatic` the one that SOCKEYE_BACKEND names, or else the first that
/// can be made. Errors: errc::backend_unknown (in SOCKEYE_BACKEND), errc::backend_unavailable.
result<const backend_entry*> choose_backend(backend_kind kind);

result<std::unique_ptr<backend>> make_epoll_backend();
result<std::unique_ptr<backend>> make_kqueue_backend();
result<std::unique_ptr<backend>> make_poll_backend();
result<std::unique_ptr<backend>> make_select_backend();

} // namespace sockeye
