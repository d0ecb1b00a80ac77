#include "kernel/watch_table.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>

namespace sockeye {
namespace {

constexpr interest known_bits =
    interest::readable | interest::writable | interest::edge | interest::exclusive;
constexpr interest exclusive_bits = interest::readable | interest::exclusive;

duration clamped(duration timeout) noexcept {
    return std::clamp<duration>(timeout, duration::zero(), std::chrono::hours(24));
}

bool is_known(interest wanted) noexcept {
    const auto allowed = has(wanted, interest::exclusive) ? exclusive_bits : known_bits;
    return (wanted & allowed) == wanted;
}

bool is_alike(interest one, interest other, interest bit) noexcept {
    return has(one, bit) == has(other, bit);
}

} // namespace

std::error_code watch_table::check_add(int fd, interest wanted, bool offers_edge,
                                       bool offers_exclusive) const {
    if (!is_known(wanted) || (has(wanted, interest::edge) && !offers_edge) ||
        (has(wanted, interest::exclusive) && !offers_exclusive)) {
        return make_error_code(std::errc::invalid_argument);
    }
    if (fd < 0) {
        return make_error_code(std::errc::bad_file_descriptor);
    }
    if (find(fd) != nullptr) {
        return make_error_code(std::errc::file_exists);
    }
    return {};
}

std::error_code watch_table::check_modify(int fd, interest wanted) const noexcept {
    const auto* entry = find(fd);
    if (entry == nullptr) {
        return make_error_code(std::errc::no_such_file_or_directory);
    }
    if (!is_known(wanted) || !is_alike(entry->wanted, wanted, interest::edge) ||
        !is_alike(entry->wanted, wanted, interest::exclusive)) {
        return make_error_code(std::errc::invalid_argument);
    }
    return {};
}

watched& watch_table::insert(int fd, interest wanted, std::uint64_t key) {
    const auto at = static_cast<std::size_t>(fd) / chunk_size;
    if (at >= chunks_.size()) {
        chunks_.resize(at + 1);
    }
    auto& chunk = chunks_[at];
    if (chunk == nullptr) {
        chunk = std::make_unique<std::array<watched, chunk_size>>();
    }
    auto& entry = (*chunk)[static_cast<std::size_t>(fd) % chunk_size];
    entry = {key, wanted, true, false, 0};
    return entry;
}

void watch_table::erase(int fd) noexcept {
    if (auto* const entry = find(fd)) {
        *entry = {};
    }
}

watched* watch_table::find(int fd) noexcept {
    return const_cast<watched*>(std::as_const(*this).find(fd));
}

const watched* watch_table::find(int fd) const noexcept {
    const auto at = static_cast<std::size_t>(fd) / chunk_size;
    if (fd < 0 || at >= chunks_.size() || chunks_[at] == nullptr) {
        return nullptr;
    }
    const auto& entry = (*chunks_[at])[static_cast<std::size_t>(fd) % chunk_size];
    return entry.is_active ? &entry : nullptr;
}

std::error_code check_pollable(int fd) noexcept {
    struct stat facts = {};
    if (::fstat(fd, &facts) != 0) {
        return {errno, std::system_category()};
    }
    if (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)) {
        return make_error_code(errc::not_pollable);
    }
    return {};
}

timespec to_timespec(duration timeout) noexcept {
    const auto wanted = clamped(timeout);
    const auto whole = std::chrono::floor<std::chrono::seconds>(wanted);
    return {static_cast<time_t>(whole.count()), static_cast<long>((wanted - whole).count())};
}

int timeout_in_ms(std::optional<duration> timeout) noexcept {
    if (!timeout) {
        return -1;
    }
    const auto wanted = clamped(*timeout);
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wanted).count());
}

} // namespace sockeye
