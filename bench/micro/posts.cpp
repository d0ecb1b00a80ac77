#include "posts.hpp"

#include <sockeye/loop.hpp>

#include <array>
#include <cstdint>
#include <ctime>
#include <thread>

namespace sockeye::micro {
namespace {

using clock = std::chrono::steady_clock;
using payload = std::array<std::uint64_t, 3>; // and a reference: 32 bytes

} // namespace

std::chrono::duration<double, std::nano> post_and_run(std::size_t count) {
    constexpr std::size_t group = 1000;
    loop owner;
    const auto remote = owner.remote();
    std::uint64_t sum = 0;
    const auto began = std::clock();
    for (std::size_t done = 0; done < count; done += group) {
        for (std::size_t i = 0; i < group; ++i) {
            remote.post([&sum, data = payload{i, 1, done}] { sum += data[0] + data[1] + data[2]; });
        }
        static_cast<void>(owner.run_once(std::chrono::seconds(0)));
    }
    const auto taken = static_cast<double>(std::clock() - began) * (1e9 / CLOCKS_PER_SEC);
    return std::chrono::duration<double, std::nano>(taken / static_cast<double>(count));
}

std::chrono::duration<double, std::nano> post_across(std::size_t count) {
    loop owner;
    const auto remote = owner.remote();
    std::uint64_t sum = 0;
    const auto began = clock::now();
    std::thread poster([&] {
        for (std::size_t i = 0; i < count; ++i) {
            auto task = [&sum, data = payload{i, 1, 2}] { sum += data[0] + data[1] + data[2]; };
            while (!remote.post(task)) {
                std::this_thread::yield();
            }
        }
        remote.post([&owner] { owner.stop(); });
    });
    const auto held = owner.hold();
    static_cast<void>(owner.run());
    const auto ended = clock::now();
    poster.join();
    return std::chrono::duration<double, std::nano>(ended - began) / static_cast<double>(count);
}

} // namespace sockeye::micro
