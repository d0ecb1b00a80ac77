#include "timers.hpp"

#include <algorithm>
#include <vector>

namespace sockeye::micro {
namespace {

class bare_heap final : public timers {
public:
    explicit bare_heap(std::size_t count) : positions_(count, unarmed) { heap_.reserve(count); }

    [[nodiscard]] std::string_view name() const override { return "bare heap"; }

    void insert(std::span<const nanoseconds> delays) override {
        const auto now = read_clock();
        for (std::size_t i = 0; i < positions_.size(); ++i) {
            heap_.emplace_back();
            rise(heap_.size() - 1, {now + delays[i].count(), i});
        }
    }

    void reset(std::span<const nanoseconds> delays) override {
        const auto now = read_clock();
        for (std::size_t i = 0; i < positions_.size(); ++i) {
            move(positions_[i], {now + delays[i].count(), i});
        }
    }

    void cancel() override {
        for (auto& position : positions_) {
            remove(position);
            position = unarmed;
        }
    }

    std::size_t fire() override {
        const auto now = read_clock();
        fired_ = 0;
        while (!heap_.empty() && heap_.front().time <= now) {
            positions_[heap_.front().number] = unarmed;
            remove(0);
            call_();
        }
        return fired_;
    }

private:
    struct entry {
        std::int64_t time;
        std::size_t number;
    };
    static constexpr std::size_t unarmed = static_cast<std::size_t>(-1);

    static std::int64_t read_clock() {
        return nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    }

    void settle(std::size_t position, const entry& moved) {
        heap_[position] = moved;
        positions_[moved.number] = position;
    }

    void rise(std::size_t position, const entry& moved) {
        while (position > 0 && moved.time < heap_[(position - 1) / 4].time) {
            settle(position, heap_[(position - 1) / 4]);
            position = (position - 1) / 4;
        }
        settle(position, moved);
    }

    void sink(std::size_t position, const entry& moved) {
        for (;;) {
            const auto first = position * 4 + 1;
            const auto end = std::min(first + 4, heap_.size());
            auto least = first;
            for (auto child = first + 1; child < end; ++child) {
                least = heap_[child].time < heap_[least].time ? child : least;
            }
            if (first >= heap_.size() || heap_[least].time >= moved.time) {
                settle(position, moved);
                return;
            }
            settle(position, heap_[least]);
            position = least;
        }
    }

    void move(std::size_t position, const entry& moved) {
        if (position > 0 && moved.time < heap_[(position - 1) / 4].time) {
            rise(position, moved);
        } else {
            sink(position, moved);
        }
    }

    void remove(std::size_t position) {
        const auto last = heap_.back();
        heap_.pop_back();
        if (position < heap_.size()) {
            move(position, last);
        }
    }

    std::vector<entry> heap_;
    std::vector<std::size_t> positions_;
    std::size_t fired_ = 0;
    void (*volatile called_)(bare_heap&) = [](bare_heap& self) { ++self.fired_; };
    void call_() { called_(*this); }
};

} // namespace

std::unique_ptr<timers> heap_timers(std::size_t count) {
    return std::make_unique<bare_heap>(count);
}

} // namespace sockeye::micro
