#pragma once

#include <sockeye/endpoint.hpp>
#include <sockeye/unique_fd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

namespace support {

inline constexpr std::size_t mebibyte = std::size_t{1} << 20;
/// After that long a test says that what it waits for does not come.
inline constexpr std::chrono::seconds generous_deadline(20);

/// `address` with another port.
sockeye::endpoint with_port(std::string_view address, std::uint16_t port);

/// Two descriptors that are connected to each other, non-blocking and close-on-exec.
struct ends {
    sockeye::unique_fd first;
    sockeye::unique_fd second;
};

/// All of these throw std::system_error where the system refuses.
[[nodiscard]] ends make_pipe();     ///< first reads, second writes
[[nodiscard]] ends make_pair();     ///< Unix stream sockets
[[nodiscard]] ends make_tcp_pair(); ///< over 127.0.0.1
/// A connected UDP socket whose datagrams the owner of the port, `second`, does not take: each
/// brings back an ICMP error.
[[nodiscard]] ends make_refused_udp();
[[nodiscard]] sockeye::unique_fd make_tcp_socket();
/// Close-on-exec like the others, but its calls wait.
[[nodiscard]] sockeye::unique_fd make_blocking_socket(int family, int type);
[[nodiscard]] sockeye::unique_fd make_duplicate(int fd);

/// A TCP socket that is bound to a port of its own on 127.0.0.1; it refuses connections until
/// listen(2) is called.
[[nodiscard]] sockeye::unique_fd make_bound_tcp_socket();
/// What connect(2) says when it begins: 0, or an errno such as EINPROGRESS.
[[nodiscard]] int connect_to(int fd, int bound);

/// Writes `count` bytes, or as many as fit, and says how many.
std::size_t put(int fd, std::size_t count = 1);
/// Reads all that is there, and says how much.
std::size_t take(int fd);
/// Writes until nothing more fits.
void fill(int fd);
/// Closing `fd` will send a reset.
void reset_on_close(int fd);

/// The numbers of all open descriptors of this process, in rising order.
[[nodiscard]] std::vector<int> open_descriptors();
/// How many more descriptors may be opened, less a few that are left for others.
[[nodiscard]] std::size_t descriptor_room();

/// Lets this process have as many descriptors as it may, as long as it lives.
class raised_descriptor_limit {
public:
    raised_descriptor_limit();
    raised_descriptor_limit(const raised_descriptor_limit&) = delete;
    raised_descriptor_limit& operator=(const raised_descriptor_limit&) = delete;
    ~raised_descriptor_limit();

private:
    rlimit before_ = {};
};

/// Leaves this process room for `spare` more descriptors, as long as it lives.
class lowered_descriptor_limit {
public:
    explicit lowered_descriptor_limit(int spare);
    lowered_descriptor_limit(const lowered_descriptor_limit&) = delete;
    lowered_descriptor_limit& operator=(const lowered_descriptor_limit&) = delete;
    ~lowered_descriptor_limit();

private:
    rlimit before_ = {};
    std::vector<sockeye::unique_fd> fill_;
};

/// A folder that goes with the test.
class scratch_folder {
public:
    scratch_folder();
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    ~scratch_folder();
    [[nodiscard]] std::string path(std::string_view name) const;

private:
    std::string path_;
};

/// Turns `turn` until `fact` holds. False when it does not within a time that no machine needs.
[[nodiscard]] bool turn_until(const std::function<bool()>& fact, const std::function<void()>& turn);

/// Runs `body` in a forked child and returns the exit status it gives; 128 + n for signal n.
/// Requires: no other thread is running.
[[nodiscard]] int run_in_child(const std::function<int()>& body);
/// For a child whose end is expected: what it says of it is not the test's.
void silence_errors();

/// Under a sanitizer all is slow, and long repetitions are shorter.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif
[[nodiscard]] constexpr int repetitions(int whole) noexcept {
    return is_sanitized ? whole / 10 : whole;
}

} // namespace support
