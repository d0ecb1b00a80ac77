#include "net/unsent_output.hpp"

#include <utility>

namespace sockeye {

void unsent_output::begin_unit(std::vector<unique_fd> descriptors) {
    if (first_ >= 64 && first_ >= units_.size() / 2) {
        units_.erase(units_.begin(), units_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
    const auto count = descriptors.size();
    units_.push_back({consumed_ + size(), std::move(descriptors)});
    descriptor_count_ += count;
}

void unsent_output::consume(std::size_t count) noexcept {
    if (count != 0 && is_at_unit()) {
        descriptor_count_ -= units_[first_].descriptors.size();
        units_[first_++].descriptors.clear();
    }
    consumed_ += count;
    write_queue::consume(count);
}

bytes unsent_output::next() const noexcept {
    const auto following = first_ + (is_at_unit() ? 1 : 0);
    if (following >= units_.size()) {
        return front();
    }
    return front().first(static_cast<std::size_t>(units_[following].begin - consumed_));
}

const std::vector<unique_fd>* unsent_output::descriptors() const noexcept {
    return is_at_unit() && !units_[first_].descriptors.empty() ? &units_[first_].descriptors
                                                               : nullptr;
}

} // namespace sockeye
