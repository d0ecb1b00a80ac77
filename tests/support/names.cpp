#include "support/names.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace support {

using namespace sockeye;

naming_kernel::~naming_kernel() {
    release();
    std::unique_lock lock(guard_);
    changed_.wait(lock, [this] { return threads_ == 0; });
}

void naming_kernel::name(const std::string& name, std::vector<endpoint> addresses) {
    const std::lock_guard lock(guard_);
    names_[name] = std::move(addresses);
}

void naming_kernel::fail_with(std::error_code error) {
    const std::lock_guard lock(guard_);
    failure_ = error;
}

void naming_kernel::hang() {
    const std::lock_guard lock(guard_);
    hangs_ = true;
}

void naming_kernel::release() {
    const std::lock_guard lock(guard_);
    hangs_ = false;
    changed_.notify_all();
}

result<std::vector<endpoint>> naming_kernel::resolve(const host_query& wanted) {
    struct counted {
        std::atomic<std::size_t>& count;
        ~counted() { --count; }
    };
    const counted own{being_made_};
    const std::size_t now = ++being_made_;
    std::unique_lock lock(guard_);
    ++look_ups_;
    look_ups_most_ = std::max<std::size_t>(look_ups_most_, now);
    if (hangs_ && !time_to_resolve()) {
        ++hanging_;
        changed_.wait(lock, [this] { return !hangs_; });
        --hanging_;
    }
    if (failure_) {
        return failure_;
    }
    const auto found = names_.find(wanted.name);
    if (found == names_.end()) {
        return errc::host_not_found;
    }
    auto addresses = found->second;
    std::erase_if(addresses, [&](const endpoint& one) {
        return wanted.family != AF_UNSPEC && one.family() != wanted.family;
    });
    if (addresses.empty()) {
        return errc::host_without_address;
    }
    return addresses;
}

std::error_code naming_kernel::start_thread(unique_function<void()> work) {
    if (refused_threads_ != 0) {
        --refused_threads_;
        return std::make_error_code(std::errc::resource_unavailable_try_again);
    }
    ++threads_;
    ++threads_started_;
    auto running = std::make_unique<unique_function<void()>>(std::move(work));
    return forwarding_kernel::start_thread([this, running = std::move(running)] {
        (*running)();
        const std::lock_guard lock(guard_);
        --threads_;
        changed_.notify_all();
    });
}

} // namespace support
