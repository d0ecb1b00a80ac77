#include "bench/client/timeline.hpp"

namespace sockeye::bench {

void timeline::extend(time_point now) {
    while (now >= end_) {
        slices_.emplace_back();
        end_ += slice_length;
    }
}

void timeline::merge(const timeline& other) {
    if (slices_.size() < other.slices_.size()) {
        slices_.resize(other.slices_.size());
        end_ = start_ + slice_length * static_cast<duration::rep>(slices_.size());
    }
    for (std::size_t i = 0; i < other.slices_.size(); ++i) {
        slices_[i].messages += other.slices_[i].messages;
        slices_[i].send_lag_max_ns =
            std::max(slices_[i].send_lag_max_ns, other.slices_[i].send_lag_max_ns);
        slices_[i].backlog += other.slices_[i].backlog;
    }
}

std::vector<timeline::slice> timeline::between(time_point from, time_point until) const {
    std::vector<slice> found;
    for (std::size_t i = 0; i < slices_.size(); ++i) {
        const time_point begin = start_ + slice_length * static_cast<duration::rep>(i);
        if (begin >= from && begin + slice_length <= until) {
            found.push_back(slices_[i]);
        }
    }
    return found;
}

} // namespace sockeye::bench
