#include "support/program_arm.hpp"
#include "support/seeds.hpp"
#include "support/simulated_ground.hpp"
#include "support/socket_program.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

// The simulated network against the real one: the same calls, the same answers.

namespace {

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
    bool (*covers)(const step& call, const outcome& real, const outcome& simulated);
};

bool moves_bytes(verb what) noexcept {
    return what == verb::send || what == verb::fill || what == verb::receive || what == verb::drain;
}

bool is_progress_or_wait(const outcome& one) {
    return one.text.find("wrong") == std::string::npos &&
           (one.text.find("bytes") != std::string::npos ||
            one.text == std::make_error_code(std::errc::operation_would_block).message());
}

constexpr allowed_difference allowed[] = {
    {"how much fits between two sockets, and when there is room again",
     [](const step& call, const outcome& real, const outcome& simulated) {
         return (real.is_stuffed || simulated.is_stuffed) && moves_bytes(call.what) &&
                is_progress_or_wait(real) && is_progress_or_wait(simulated);
     }},
    {"what a wait says while more was sent than fits: an end waits behind the bytes",
     [](const step& call, const outcome& real, const outcome& simulated) {
         return (real.is_stuffed || simulated.is_stuffed) && call.what == verb::wait;
     }},
};

bool is_same(const step& call, const outcome& real, const outcome& simulated) {
    return real == simulated || std::ranges::any_of(allowed, [&](const auto& one) {
               return one.covers(call, real, simulated);
           });
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
    /// What differs once may be the loopback of a busy machine; what differs each time does not.
    comparison compare(const socket_program& program) {
        constexpr int tries = 3;
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
            text += is_same(call, real, simulated) ? "" : "; simulated: " + to_string(simulated);
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
            found.differs = !is_same(call, last.real, last.simulated);
            if (found.differs) {
                break;
            }
        }
        return found;
    }

    std::unique_ptr<support::ground> real_ =
        support::make_real_ground(*sockeye::choose_backend(sockeye::backend_kind::epoll).value());
    sockeye::datagram_batch batch_;
    std::uint64_t runs_ = 0;
};

} // namespace

TEST_SUITE("seeds") {
    TEST_CASE("drift: random socket programs come to the same on the simulation") {
        comparing arms;
        std::uint64_t programs = 0;
        std::uint64_t calls = 0;
        for (const auto seed : support::seeds(2000)) {
            const auto program = support::draw_program(seed);
            const auto found = arms.compare(program);
            ++programs;
            calls += found.rows.size();
            if (found.differs) {
                FAIL_CHECK(arms.listing(arms.shrink(program)) << support::how_to_repeat(seed));
            }
        }
        std::cout << "drift: " << programs << " programs, " << calls << " calls\n";
    }
}
