#include "support/program_arm.hpp"
#include "support/seeds.hpp"
#include "support/simulated_ground.hpp"
#include "support/socket_program.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

// The simulated network against the real one: the same calls, the same answers.

namespace {

using sockeye::interest;
using sockeye::transport;
using support::outcome;
using support::place;
using support::program_arm;
using support::socket_program;
using support::step;
using support::to_string;
using support::verb;

// What may differ, version 1. Everything else is a fault of the simulation.

struct allowed_difference {
    std::string_view reason;
    bool is_parting; ///< what comes after it cannot be compared
    bool (*covers)(const step& call, const outcome& real, const outcome& simulated);
};

bool is_stuffed(const outcome& real, const outcome& simulated) {
    const auto is_wrong = [](const outcome& one) {
        return one.text.find("wrong") != std::string::npos;
    };
    return (real.is_stuffed || simulated.is_stuffed) && !is_wrong(real) && !is_wrong(simulated);
}

bool is_progress(const outcome& one) {
    return one.text.find("bytes") != std::string::npos ||
           one.text == std::make_error_code(std::errc::operation_would_block).message();
}

constexpr allowed_difference allowed[] = {
    {"how much fits between two sockets, and when there is room again", false,
     [](const step& call, const outcome& real, const outcome& simulated) {
         return is_stuffed(real, simulated) &&
                (call.what == verb::wait || (is_progress(real) && is_progress(simulated)));
     }},
    {"the end of a stream waits behind bytes that do not fit", true,
     [](const step&, const outcome& real, const outcome& simulated) {
         return is_stuffed(real, simulated);
     }},
    {"who is told of changes and has shut down hears once more when that was acknowledged", false,
     [](const step& call, const outcome& real, const outcome& simulated) {
         const auto others = [](const outcome& one) {
             auto rest = one;
             std::erase_if(rest.events, [&](const sockeye::event& told) {
                 return (one.repeats >> told.key & 1) != 0;
             });
             rest.text.clear();
             return rest;
         };
         return call.what == verb::wait && others(real) == others(simulated);
     }},
    {"a port stays taken in TIME_WAIT for a minute", true,
     [](const step& call, const outcome& real, const outcome& simulated) {
         return call.what == verb::bind && simulated.text == "ok" &&
                real.text == std::make_error_code(std::errc::address_in_use).message();
     }},
};

enum class verdict : std::uint8_t { same, differs, parted };

verdict judge(const step& call, const outcome& real, const outcome& simulated) {
    if (real == simulated) {
        return verdict::same;
    }
    for (const auto& one : allowed) {
        if (one.covers(call, real, simulated)) {
            return one.is_parting ? verdict::parted : verdict::same;
        }
    }
    return verdict::differs;
}

/// What a program came to on both arms; the last row is the one that differs, if any does.
struct comparison {
    struct row {
        step call;
        outcome real;
        outcome simulated;
    };
    std::vector<row> rows;
    bool differs = false;
};

class comparing {
public:
    explicit comparing(const sockeye::backend_entry& entry)
        : real_(support::make_real_ground(entry)) {}

    /// What differs once may be the loopback of a busy machine; what differs each time is not.
    comparison compare(const socket_program& program) {
        constexpr int tries = 5;
        comparison last;
        for (int at = 0; at < tries; ++at) {
            last = compare_once(program);
            if (!last.differs) {
                break;
            }
        }
        return last;
    }

    /// Leaves out call by call, as long as the rest still differs.
    socket_program shrink(socket_program program) {
        program.resize(compare(program).rows.size());
        for (bool is_shorter = true; is_shorter;) {
            is_shorter = false;
            for (std::size_t at = program.size(); at-- > 0;) {
                auto less = program;
                less.erase(less.begin() + static_cast<std::ptrdiff_t>(at));
                if (compare(less).differs) {
                    program = std::move(less);
                    is_shorter = true;
                }
            }
        }
        return program;
    }

    std::string listing(const socket_program& program) {
        std::string text = "\n  const socket_program program = {\n";
        for (const auto& [call, real, simulated] : compare(program).rows) {
            text += "      " + to_string(call) + " // " + to_string(real);
            text += real == simulated ? "" : "; simulated: " + to_string(simulated);
            text += '\n';
        }
        return text + "  };\n";
    }

private:
    comparison compare_once(const socket_program& program) {
        const auto virtual_ground = support::make_simulated_ground();
        program_arm real(*real_, batch_, ++runs_);
        program_arm simulated(*virtual_ground, batch_, runs_);
        comparison found;
        for (const auto& call : program) {
            found.rows.push_back({call, real.perform(call), simulated.perform(call)});
            const auto& last = found.rows.back();
            const auto is = judge(call, last.real, last.simulated);
            found.differs = is == verdict::differs;
            if (is != verdict::same) {
                break;
            }
        }
        return found;
    }

    std::unique_ptr<support::ground> real_;
    sockeye::datagram_batch batch_;
    std::uint64_t runs_ = 0;
};

/// Programs that came to different results once.
const socket_program once_different[] = {
    {
        {.what = verb::make, .on = 0, .kind = transport::unix_datagram},
        {.what = verb::make, .on = 1, .kind = transport::unix_datagram},
        {.what = verb::bind, .on = 1, .where = place::path_b},
        {.what = verb::connect, .on = 0, .other = 1},
        {.what = verb::watch, .on = 0, .wanted = interest::writable | interest::edge},
        {.what = verb::wait},
        {.what = verb::connect, .on = 0, .where = place::path_b},
        {.what = verb::wait},
    },
    {
        // The end is sent, though shutdown was called before there was anybody to hear of it.
        {.what = verb::make, .on = 0, .kind = transport::tcp},
        {.what = verb::listen, .on = 0, .amount = 4},
        {.what = verb::make, .on = 1, .kind = transport::tcp},
        {.what = verb::shutdown_write, .on = 1},
        {.what = verb::connect, .on = 1, .other = 0},
        {.what = verb::accept, .on = 0, .other = 2},
        {.what = verb::send, .on = 1, .amount = 3},
        {.what = verb::close, .on = 1},
        {.what = verb::receive, .on = 2, .amount = 100},
    },
    {
        // What is under way to the first connection does not disturb the second.
        {.what = verb::make, .on = 0, .kind = transport::tcp},
        {.what = verb::listen, .on = 0, .amount = 0},
        {.what = verb::make, .on = 1, .kind = transport::tcp},
        {.what = verb::connect, .on = 1, .other = 0},
        {.what = verb::make, .on = 2, .kind = transport::tcp},
        {.what = verb::connect, .on = 2, .other = 0},
        {.what = verb::shutdown_write, .on = 2},
        {.what = verb::accept, .on = 0, .other = 3},
        {.what = verb::connect, .on = 2, .other = 0},
        {.what = verb::peer_endpoint, .on = 2},
    },
};

/// Nothing where this system is not the one that the simulation follows.
std::unique_ptr<comparing> make_arms() {
    const auto epoll = sockeye::choose_backend(sockeye::backend_kind::epoll);
    if (!epoll) {
        MESSAGE("not compared on this system");
        return nullptr;
    }
    return std::make_unique<comparing>(**epoll);
}

} // namespace

TEST_CASE("drift: programs that once differed come to the same") {
    if (const auto arms = make_arms()) {
        for (const auto& program : once_different) {
            const auto found = arms->compare(program);
            INFO(arms->listing(program));
            CHECK_FALSE(found.differs);
            CHECK(found.rows.size() == program.size());
        }
    }
}

TEST_SUITE("seeds") {
    TEST_CASE("drift: random socket programs come to the same on the simulation") {
        const auto arms = make_arms();
        std::uint64_t programs = 0;
        std::uint64_t calls = 0;
        for (const auto seed : support::seeds(2000)) {
            if (!arms) {
                break;
            }
            const auto program = support::draw_program(seed);
            const auto found = arms->compare(program);
            ++programs;
            calls += found.rows.size();
            if (found.differs) {
                FAIL_CHECK(arms->listing(arms->shrink(program)) << support::how_to_repeat(seed));
            }
        }
        std::cout << "drift: " << programs << " programs, " << calls << " calls\n";
    }
}
