#include "bench/client/crew.hpp"

#include <barrier>
#include <thread>
#include <vector>

namespace sockeye::bench {

struct crew::shared {
    explicit shared(std::ptrdiff_t size) : begin(size), end(size) {}

    void work(std::size_t index) {
        for (;;) {
            begin.arrive_and_wait();
            if (job == nullptr) {
                return;
            }
            (*job)(index);
            end.arrive_and_wait();
        }
    }

    std::barrier<> begin;
    std::barrier<> end;
    const std::function<void(std::size_t)>* job = nullptr; ///< none: all is done
    std::vector<std::thread> threads;
};

crew::crew(std::size_t size) {
    if (size == 1) {
        return;
    }
    shared_ = std::make_unique<shared>(static_cast<std::ptrdiff_t>(size));
    for (std::size_t i = 1; i < size; ++i) {
        shared_->threads.emplace_back([this, i] { shared_->work(i); });
    }
}

crew::~crew() {
    if (!shared_) {
        return;
    }
    shared_->job = nullptr;
    shared_->begin.arrive_and_wait();
    for (auto& each : shared_->threads) {
        each.join();
    }
}

void crew::run(const std::function<void(std::size_t)>& job) {
    if (!shared_) {
        job(0);
        return;
    }
    shared_->job = &job;
    shared_->begin.arrive_and_wait();
    job(0);
    shared_->end.arrive_and_wait();
}

} // namespace sockeye::bench
