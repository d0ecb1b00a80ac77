#include "net/write_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

using sockeye::write_queue;

namespace {

bool is_same(const write_queue& queue, const std::deque<std::byte>& model) {
    return queue.size() == model.size() && queue.empty() == model.empty() &&
           std::ranges::equal(queue.front(), model);
}

} // namespace

TEST_CASE("write_queue: holds what was appended and not consumed, in order") {
    write_queue queue;
    std::deque<std::byte> model;
    std::mt19937 random(1);
    unsigned next = 0;
    for (int step = 0; step < 3000; ++step) {
        // Nearly full most of the time, so that it moves, grows and empties.
        std::vector<std::byte> data(random() % 3000);
        std::ranges::generate(data, [&] { return static_cast<std::byte>(next++ * 131 >> 3); });
        queue.append(data);
        model.insert(model.end(), data.begin(), data.end());
        REQUIRE(is_same(queue, model));
        const auto most = random() % 50 == 0 ? model.size() : std::min(model.size(), data.size());
        const auto count = most == 0 ? 0 : random() % (most + 1) + most / 2;
        const auto consumed = std::min(count, model.size());
        queue.consume(consumed);
        model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(consumed));
        REQUIRE(is_same(queue, model));
    }
}

TEST_CASE("write_queue: holds no memory while it is empty") {
    write_queue queue;
    CHECK(queue.front().data() == nullptr);
    queue.append(std::vector<std::byte>(100));
    queue.consume(99);
    CHECK(queue.front().data() != nullptr);
    queue.consume(1);
    CHECK(queue.empty());
    CHECK(queue.front().data() == nullptr);
}
