#include "support/backends.hpp"

#include "support/support.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <ostream>

#include <doctest/doctest.h>

namespace support {

using namespace std::chrono_literals;

subject::subject(const sockeye::backend_entry& entry, rows& covered)
    : entry_(entry), covered_(covered), made_(entry.make().value()) {}

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
    const auto start = std::chrono::steady_clock::now();
    return wait(256, 20ms).empty() && std::chrono::steady_clock::now() - start >= 20ms;
}

void on_every_backend(std::initializer_list<int> numbers,
                      const std::function<void(subject&)>& body) {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            const auto before = open_descriptors();
            rows covered(numbers, entry.name);
            try {
                subject on(entry, covered);
                body(on);
            } catch (const std::exception& error) {
                FAIL_CHECK("threw: " << error.what());
            } catch (...) {
                // A failed REQUIRE, which is reported already. The other backends go on.
            }
            CHECK(open_descriptors() == before);
        }
    }
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
