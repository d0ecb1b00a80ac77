#include "loop/clock_timers.hpp"
#include "loop/loop_core.hpp"
#include "loop/signal_state.hpp"
#include "loop/timer_state.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace sockeye {
namespace {

constexpr std::size_t lines_of_a_kind_max = 16;

/// Lines of text, of each kind a few, the others counted.
class report {
public:
    /// Whether one more of this kind is to be written out: then add() it.
    bool wants(std::string_view kind) {
        const auto found = std::ranges::find(kinds_, kind, &row::kind);
        if (found == kinds_.end()) {
            kinds_.push_back({kind, 1});
            return true;
        }
        return ++found->count <= lines_of_a_kind_max;
    }
    void add(std::string_view line) {
        text_ += "  ";
        text_ += line;
        text_ += '\n';
    }
    [[nodiscard]] std::string finish() {
        for (const auto& [kind, count] : kinds_) {
            if (count > lines_of_a_kind_max) {
                add("and " + std::to_string(count - lines_of_a_kind_max) +
                    " more: " + std::string(kind));
            }
        }
        return std::move(text_);
    }

private:
    struct row {
        std::string_view kind;
        std::size_t count;
    };
    std::vector<row> kinds_;
    std::string text_;
};

std::string seconds_text(duration length) {
    std::array<char, 40> text;
    const auto seconds = std::chrono::duration<double>(length).count();
    const auto size = std::snprintf(text.data(), text.size(), "%.3f s", seconds);
    return {text.data(), static_cast<std::size_t>(size)};
}

void add_timers(report& text, const timer_queue& timers, time_point now, std::string_view kind) {
    timers.for_each([&](time_point deadline, const timer_target& target) {
        if (target.fire != fire_timer || !text.wants(kind)) {
            return;
        }
        const auto left = deadline == time_point::max() ? duration::max() : deadline - now;
        const bool is_due = deadline <= now;
        text.add(std::string(kind) + (is_due ? " due now" : " due in " + seconds_text(left)));
    });
}

void add_signals(report& text, const signal_state& listener) {
    if (text.wants("signal set")) {
        std::string line = "signal set of";
        for (const int signal : listener.signals) {
            line += " " + std::to_string(signal);
        }
        text.add(line);
    }
}

} // namespace

std::string loop_core::describe(const char* kind, slot_key key) {
    std::string text = kind == nullptr ? "object" : kind;
    auto* const place = reactor_.find(key);
    if (place != nullptr && place->operations->describe != nullptr) {
        place->operations->describe(*place, text);
    }
    return text;
}

std::string loop_core::dump() {
    report text;
    for (std::uint32_t index = 0; index < reactor_.slots().size(); ++index) {
        const auto& place = reactor_.slot_at(index);
        const bool is_own = place.operations == nullptr || place.operations->kind == nullptr;
        if (!is_own && text.wants(place.operations->kind)) {
            text.add(describe(place.operations->kind, key_of(place)));
        }
    }
    add_timers(text, timers_, system().now(), "timer");
    constexpr std::string_view names[] = {"timer of the boot clock", "timer of the wall clock"};
    for (std::size_t at = 0; at < clocks_.size(); ++at) {
        if (clocks_[at]) {
            add_timers(text, clocks_[at]->queue(), clocks_[at]->now(), names[at]);
        }
    }
    for (const auto* const listener : signals_) {
        if (listener != nullptr) {
            add_signals(text, *listener);
        }
    }
    if (guards_ > 0) {
        text.add(std::to_string(guards_) + " held by guards");
    }
    if (box_->is_pending.load() || posted_done_ != posted_.size()) {
        text.add("posted tasks wait");
    }
    return "loop on " + std::string(to_string(kind_)) + ", " + std::to_string(lives_) +
           " keep it alive\n" + text.finish();
}

} // namespace sockeye
