#pragma once

#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

/// What the program itself asks of the system, and no service or command does by hand.
namespace sockeye::cli {

/// Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no socket becomes
/// one of them and receives what is meant for people. Call it first.
void open_standard_descriptors() noexcept;

/// A reader that went away is an error of the write and not the end of the process.
void ignore_broken_pipes() noexcept;

/// Gives SIGINT and SIGTERM back to the system: the next one ends the process at once.
void die_on_next_signal() noexcept;

[[nodiscard]] bool is_terminal(int fd) noexcept;

/// How many descriptors this process may have. See: RLIMIT_NOFILE in getrlimit(2).
struct descriptor_limits {
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
};
[[nodiscard]] descriptor_limits read_descriptor_limits() noexcept;

/// Raises the soft limit to `wanted`. Requires: not above the hard one.
std::error_code raise_descriptor_limit(std::uint64_t wanted) noexcept;

/// Writes all of `text` to standard output. Errors: as write(2); a reader that went away is none,
/// it has what it wanted.
std::error_code write_output(std::string_view text) noexcept;

/// Writes one line to standard error, or drops it where nobody takes it within `patience`: talk
/// never holds up work.
void write_talk(std::string_view line, duration patience) noexcept;

/// The name of this machine. Errors: as gethostname(2).
[[nodiscard]] result<std::string> host_name();

/// The whole name of this machine, with its domain, as its name service has it; waits for that.
/// Errors: host_not_found and the like of errc.
[[nodiscard]] result<std::string> full_host_name();

/// The addresses of this machine's interfaces that are up, without loopback and link-local ones,
/// each once, in the order of the interfaces. Their port is 0.
[[nodiscard]] std::vector<endpoint> interface_addresses();

/// Makes a file that is not there yet and opens it for writing; no link is followed. Errors: as
/// open(2), file_exists among them.
[[nodiscard]] result<unique_fd> make_file(const std::string& path) noexcept;

/// Opens a device for writing; it does not become the terminal of this process. Errors: as open(2).
[[nodiscard]] result<unique_fd> open_device(const std::string& path) noexcept;

/// Writes what fits of `data` to a file, and says how much. Errors: as write(2).
[[nodiscard]] result<std::size_t> write_file(int fd, std::string_view data) noexcept;

/// Closes a file and says whether all that was written is kept. Errors: as close(2).
std::error_code close_file(unique_fd file) noexcept;

/// Gives a file another name, in place of what has it. Errors: as rename(2).
std::error_code rename_file(const std::string& from, const std::string& to) noexcept;

/// Gives a file another name that nothing has. Errors: as link(2), file_exists among them.
std::error_code name_new_file(const std::string& from, const std::string& to) noexcept;

/// The local time as asctime(3) has it: `Sat Nov 21 03:16:04 2026`.
[[nodiscard]] std::string calendar_time();

/// By the time of day. See: RFC 868.
[[nodiscard]] std::uint64_t seconds_since_1900() noexcept;

/// Removes the file of a Unix datagram socket that nobody has open any more; false where somebody
/// has, or it is something else.
bool remove_stale_socket(loop& owner, const endpoint& local);

/// The broadcast addresses of this machine's interfaces, as they are now.
[[nodiscard]] std::vector<endpoint> broadcast_addresses();

} // namespace sockeye::cli
