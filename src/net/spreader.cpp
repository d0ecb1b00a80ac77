#include "net/spreader.hpp"

#include "net/server_core.hpp"

#include <algorithm>

namespace sockeye {

bool spreader::has_room() const noexcept {
    return std::ranges::any_of(places,
                               [&](const auto& place) { return place->load() < each_max_; });
}

bool spreader::wait_for_room() noexcept {
    if (has_room()) {
        return true;
    }
    is_awaited_ = true;
    // Whoever left before it was awaited has told nobody.
    return has_room();
}

/// Round robin passes over those that are full. Of those that have least, the next one in turn.
spread_place& spreader::choose() noexcept {
    const auto count = places.size();
    std::size_t chosen = next_ % count;
    for (std::size_t step = 0; step < count; ++step) {
        const auto at = (next_ + step) % count;
        const auto load = places[at]->load();
        const auto best = places[chosen]->load();
        if (load < each_max_ &&
            (best >= each_max_ || (how_ != spread::round_robin && load < best))) {
            chosen = at;
        }
    }
    next_ = chosen + 1;
    return *places[chosen];
}

bool spreader::hand_over(unique_fd fd, source_id from) {
    auto& place = choose();
    place.sent();
    const bool is_told = place.to.post([&place, fd = std::move(fd), from]() mutable {
        place.server->take_in(std::move(fd), from);
    });
    if (!is_told) {
        place.lost();
    }
    return is_told;
}

void spreader::left(const spread_place& from) {
    if (is_awaited_ && from.load() < each_max_ && is_awaited_.exchange(false)) {
        const bool is_told = places.front()->to.post([this] {
            if (acceptor != nullptr) {
                acceptor->limit_is_over();
            }
        });
        if (!is_told) {
            is_awaited_ = true; // then the next one who leaves tells
        }
    }
}

} // namespace sockeye
