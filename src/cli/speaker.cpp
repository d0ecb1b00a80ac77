#include "cli/speaker.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/timer.hpp>

#include <deque>
#include <utility>

namespace sockeye::cli {

/// What is held back, oldest first.
class speaker::backlog {
public:
    explicit backlog(speaker& owner)
        : owner_(owner), marks_(owner.link_.limits()), timer_(owner.link_.loop()) {}

    void add(std::string data, sequel act) {
        waiting_.push_back({clock::now() + owner_.state_.delay, std::move(data), std::move(act)});
        cost_ += waiting_.back().cost();
        if (!timer_.is_armed()) {
            wait();
        }
        if (cost_ > marks_.queue_high && !std::exchange(is_pausing_, true)) {
            owner_.link_.pause();
        }
    }

private:
    struct remark {
        time_point due;
        std::string data;
        sequel act; ///< may be empty

        /// Many short ones take more than their bytes.
        [[nodiscard]] std::size_t cost() const { return data.size() + sizeof(remark); }
    };

    void wait() {
        timer_.start_at(waiting_.front().due, [this] { speak(); });
    }

    void speak() {
        const auto now = clock::now();
        while (!waiting_.empty() && waiting_.front().due <= now) {
            auto next = std::move(waiting_.front());
            waiting_.pop_front();
            cost_ -= next.cost();
            owner_.link_.write(next.data);
            if (next.act) {
                next.act(owner_.link_);
            }
        }
        if (is_pausing_ && cost_ <= marks_.queue_low) {
            is_pausing_ = false;
            owner_.link_.resume();
        }
        if (!waiting_.empty()) {
            wait();
        }
    }

    speaker& owner_;
    const stream_limits marks_;
    std::deque<remark> waiting_;
    std::size_t cost_ = 0;
    bool is_pausing_ = false;
    timer timer_;
};

speaker::speaker(stream& link, service_state& state)
    : link_(link), state_(state),
      later_(state.delay > duration::zero() ? std::make_unique<backlog>(*this) : nullptr) {}

speaker::~speaker() = default;

void speaker::say(bytes data) {
    if (data.empty()) {
        return;
    }
    if (later_ == nullptr) {
        link_.write(data);
    } else {
        later_->add(std::string(as_text(data)), {});
    }
}

void speaker::when_said(unique_function<void()> handler) {
    then([handler = std::move(handler)](stream& link) mutable {
        link.when_sent([handler = std::move(handler)](std::error_code error) mutable {
            if (!error) {
                handler();
            }
        });
    });
}

void speaker::finish() {
    then([](stream& link) { link.graceful_close(); });
}

void speaker::end() {
    then([](stream& link) { link.close(); });
}

void speaker::then(sequel act) {
    if (later_ == nullptr) {
        act(link_);
    } else {
        later_->add({}, std::move(act));
    }
}

} // namespace sockeye::cli
