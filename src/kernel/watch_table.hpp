#pragma once

#include <sockeye/interest.hpp>
#include <sockeye/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

namespace sockeye {

/// What a backend remembers of each descriptor, indexed by its number.
struct watched {
    std::uint64_t key = 0;
    interest wanted = interest::none;
    bool is_active = false;
    bool is_muted = false;      ///< hang-up was told while nothing was wanted; not told again
    std::uint32_t position = 0; ///< for the backend's own use
};

/// The registrations of one backend. Holds the checks that are the same on all of them.
class watch_table {
public:
    /// The checks of backend::add that need no system call.
    [[nodiscard]] std::error_code check_add(int fd, interest wanted, bool offers_edge,
                                            bool offers_exclusive = false) const;
    /// The checks of backend::modify.
    [[nodiscard]] std::error_code check_modify(int fd, interest wanted) const noexcept;

    /// Requires: `fd` is open, so that its number is a sane size for a table.
    watched& insert(int fd, interest wanted, std::uint64_t key);
    void erase(int fd) noexcept;

    /// Null when `fd` is not watched.
    [[nodiscard]] watched* find(int fd) noexcept;
    [[nodiscard]] const watched* find(int fd) const noexcept;

    /// Room for descriptors below this number.
    [[nodiscard]] int limit() const noexcept {
        return static_cast<int>(chunks_.size() * chunk_size);
    }

private:
    static constexpr std::size_t chunk_size = 256;

    /// In chunks, so that growing neither copies the others nor makes room for twice as many.
    std::vector<std::unique_ptr<std::array<watched, chunk_size>>> chunks_;
};

/// bad_file_descriptor, errc::not_pollable, or nothing where `fd` can be watched: the same
/// answer on every backend, though only epoll and kqueue ask by themselves.
[[nodiscard]] std::error_code check_pollable(int fd) noexcept;

/// For kqueue and epoll: at most a day, as OpenBSD refuses much longer ones.
[[nodiscard]] timespec to_timespec(duration timeout) noexcept;

/// Milliseconds for poll and epoll: rounded up, at most a day; -1 for no timeout.
[[nodiscard]] int timeout_in_ms(std::optional<duration> timeout) noexcept;

} // namespace sockeye
