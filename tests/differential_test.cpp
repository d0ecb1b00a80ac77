#include "support/ground.hpp"
#include "support/scripts.hpp"
#include "support/seeds.hpp"
#include "support/simulated_ground.hpp"
#include "support/stage.hpp"

#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

// The same script of events gives the same handler calls per object on every backend.
//
// What may differ, version 1. Nothing else may, and everything else is compared.
//  1. Whether and when on_writable is called: it hangs on how much the buffers of the system hold.
//  2. How data is cut into pieces: a run of on_data counts as one, by the sum of its bytes.
//  3. Where much was under way at an end, or an end came before a rest: how much of it was heard,
//     what was dropped, and whether the other side learns of it by a FIN or by a reset.

using namespace scripts;

namespace {

/// A ground, and the kernel that loops see on it.
struct arena {
    std::string name;
    std::unique_ptr<support::ground> on;
    std::function<std::unique_ptr<stopped_clock>(sockeye::kernel&)> make_system;
};

std::unique_ptr<stopped_clock> as_it_is(sockeye::kernel& system) {
    return std::make_unique<stopped_clock>(system);
}

std::vector<arena> all_arenas() {
    std::vector<arena> made;
    for (auto& on : support::make_real_grounds()) {
        made.push_back({std::string(on->name()), std::move(on), as_it_is});
    }
    made.push_back({"simulation", support::make_simulated_ground(), as_it_is});
    made.push_back(
        {"simulation, level", support::make_simulated_ground({.early_close = true}), as_it_is});
    made.push_back({"simulation, poor", support::make_simulated_ground({}), as_it_is});
    return made;
}

void trace(const arena& of, const outcome& seen) {
    std::cout << "-- " << of.name << '\n';
    for (const auto& one : seen.seen) {
        std::cout << (one.is_sure ? "  " : "? ") << one.name << ": " << one.text << '\n';
    }
    for (const auto& one : seen.problems) {
        std::cout << "! " << one << '\n';
    }
}

/// What is wrong with how the arenas perform it; empty where nothing is.
std::string compare_once(const script& what, std::vector<arena>& arenas, int patience) {
    outcome first;
    for (auto& one : arenas) {
        const auto system = one.make_system(one.on->system());
        auto seen = perform(what, *one.on, *system, patience);
        if (support::is_tracing()) {
            trace(one, seen);
        }
        if (!seen.problems.empty()) {
            return one.name + ", " + seen.problems.front();
        }
        if (&one == &arenas.front()) {
            first = std::move(seen);
        } else if (const auto found = difference(first, seen); !found.empty()) {
            return arenas.front().name + " and " + one.name + ", " + found;
        }
    }
    return "";
}

/// The same, of which chance is no part: what a busy machine brings late, a patient second try
/// sees in time.
std::string compare(const script& what, std::vector<arena>& arenas) {
    auto found = compare_once(what, arenas, 0);
    for (int patience : {2, 10}) {
        if (found.empty()) {
            break;
        }
        found = compare_once(what, arenas, patience);
    }
    return found;
}

/// What a listing calls.
std::string run_script(const script& what) {
    auto arenas = all_arenas();
    return compare(what, arenas);
}

/// The smallest script that fails as `what` does, and how.
std::string explain(const script& what, std::vector<arena>& arenas) {
    const auto least =
        shrink(what, [&](const script& one) { return !compare(one, arenas).empty(); });
    return compare(least, arenas) + "\n" + listing(least);
}

} // namespace

TEST_SUITE("seeds") {
    TEST_CASE("differential: a script gives the same calls per object on every backend") {
        auto arenas = all_arenas();
        for (const auto seed : support::seeds(300)) {
            const auto what = draw(seed);
            if (support::is_tracing()) {
                std::cout << what << std::flush;
            }
            if (const auto found = compare(what, arenas); !found.empty()) {
                FAIL_CHECK("seed " << seed << ": " << found << "\n"
                                   << explain(what, arenas) << support::how_to_repeat(seed));
            }
        }
    }
}

TEST_CASE("differential: an adopted Unix stream is one, and the end of its peer is noticed") {
    CHECK(run_script({.is_hasty = false,
                      .operations = {
                          {.does = verb::serve, .over = carrier::local},
                          {.does = verb::call},
                          {.does = verb::renew, .as = manner::quiet},
                          {.does = verb::close, .side = side::accepting},
                      }}) == "");
}

TEST_CASE("differential: a half-closed stream is told of a reset that came with the end") {
    CHECK(run_script({.is_hasty = false,
                      .operations = {
                          {.does = verb::serve},
                          {.does = verb::pause_server},
                          {.does = verb::call, .of = 2},
                          {.does = verb::shutdown, .of = 2},
                          {.does = verb::renew, .of = 2, .as = manner::quiet},
                      }}) == "");
    // Paused, so that both are there when the first is read.
    CHECK(run_script({.is_hasty = false,
                      .operations = {
                          {.does = verb::serve, .as = manner::quiet},
                          {.does = verb::dial},
                          {.does = verb::pause, .side = side::accepting},
                          {.does = verb::finish},
                          {.does = verb::reset},
                          {.does = verb::resume, .side = side::accepting},
                          {.does = verb::post},
                      }}) == "");
}

namespace {

/// Loses the last byte of every third piece that is longer than a hundred bytes.
class losing_kernel final : public stopped_clock {
public:
    using stopped_clock::stopped_clock;

    sockeye::result<std::size_t> receive(int fd, std::span<std::byte> target) override {
        auto got = stopped_clock::receive(fd, target);
        if (got && *got > 100 && ++pieces_ % 3 == 0) {
            return *got - 1;
        }
        return got;
    }

private:
    int pieces_ = 0;
};

} // namespace

TEST_CASE("differential: a byte that one backend loses is found, and the script made small") {
    auto arenas = all_arenas();
    arenas.back().make_system = [](sockeye::kernel& system) -> std::unique_ptr<stopped_clock> {
        return std::make_unique<losing_kernel>(system);
    };
    const auto fails = [&](const script& one) { return !compare_once(one, arenas, 0).empty(); };
    std::uint64_t seed = 1;
    while (!fails(draw(seed))) {
        REQUIRE(++seed < 1000);
    }
    const auto least = shrink(draw(seed), fails);
    CAPTURE(listing(least));
    CHECK(fails(least));
    CHECK(least.operations.size() <= 6);
    CHECK(listing(least).find("run_script({.is_hasty = ") == 0);
}
