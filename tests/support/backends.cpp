#include "support/backends.hpp"

#include "support/support.hpp"

#include <algorithm>
#include <chrono>
#include <ostream>

#include <doctest/doctest.h>

namespace support {

using namespace std::chrono_literals;

subject::subject(ground& under, rows& covered)
    : under_(under), covered_(covered), pairs_(under.system()), made_(under.make_backend()) {}

stream_pair subject::tcp_pair() {
    return make_stream_pair(system(), sockeye::transport::tcp);
}

std::vector<sockeye::event> subject::wait(std::size_t room, sockeye::duration timeout) {
    std::vector<sockeye::event> ready(room);
    ready.resize(made_->wait(ready, timeout).value());
    return ready;
}

std::vector<sockeye::event> subject::look(std::size_t room) {
    return wait(room, 0s);
}

std::vector<sockeye::event> subject::await() {
    std::vector<sockeye::event> ready;
    CHECK(turn_until([&] { return !ready.empty(); }, [&] { ready = wait(256, 1s); }));
    return ready;
}

bool subject::is_silent() {
    const auto start = system().now();
    return wait(256, 20ms).empty() && system().now() - start >= 20ms;
}

void on_every_backend(std::initializer_list<int> numbers, const std::function<void(subject&)>& body,
                      const std::optional<needs_real_system>& need) {
    on_every_ground(
        numbers,
        [&](ground& under, rows& covered) {
            subject on(under, covered);
            body(on);
        },
        need);
}

std::ostream& operator<<(std::ostream& out, const keys& shown) {
    for (const auto key : shown) {
        out << key << ' ';
    }
    return out;
}

keys keys_of(const std::vector<sockeye::event>& events) {
    keys found;
    for (const auto& event : events) {
        found.push_back(event.key);
    }
    std::ranges::sort(found);
    return found;
}

} // namespace support
