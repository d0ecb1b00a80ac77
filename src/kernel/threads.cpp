#include "kernel/threads.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <numeric>
#include <thread>

namespace sockeye {

std::vector<unsigned> usable_cpus() {
    std::vector<unsigned> cpus(platform::steered_cpus_max);
    cpus.resize(platform::usable_cpus(cpus.data(), cpus.size()));
    if (cpus.empty()) {
        cpus.resize(std::max(std::thread::hardware_concurrency(), 1U));
        std::iota(cpus.begin(), cpus.end(), 0U);
    }
    return cpus;
}

std::error_code pin_thread(unsigned cpu) noexcept {
    return {platform::pin_thread(cpu), std::generic_category()};
}

void name_thread(const char* name) noexcept {
    platform::name_thread(name);
}

} // namespace sockeye
