#include <sockeye/simulation.hpp>
#include <sockeye/sockeye.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

/// Answers each line "NAME\n" with "Hello, NAME!\n". Forgets that a line may come in pieces.
struct hasty_greeter {
    void on_data(sockeye::stream& peer, sockeye::bytes in) {
        std::string name(sockeye::as_text(in));
        name.pop_back();
        peer.write("Hello, " + name + "!\n");
    }
};

/// The same, mended: keeps what has come until the line is whole.
struct patient_greeter {
    void on_data(sockeye::stream& peer, sockeye::bytes in) {
        text += sockeye::as_text(in);
        for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
            peer.write("Hello, " + text.substr(0, end) + "!\n");
            text.erase(0, end + 1);
        }
    }
    std::string text;
};

struct visitor {
    explicit visitor(std::string& answer) : heard(answer) {}
    void on_open(sockeye::stream& link) { link.write("Ada\n"); }
    void on_data(sockeye::stream&, sockeye::bytes in) { heard += sockeye::as_text(in); }
    std::string& heard;
};

/// What a visitor hears in the world that `seed` draws, with its short reads, losses and delays.
template <typename Greeter>
std::string answer_in(std::uint64_t seed) {
    std::string heard;
    sockeye::simulation world(seed);
    world.swarm();
    world.set_faults({.short_receive = 0.1, .short_send = 0.1}); // these may not lose anything
    world.host("server").run(
        [](sockeye::loop& loop) { return sockeye::serve<Greeter>(loop, "tcp://*:7007").value(); });
    world.host("client").run([&](sockeye::loop& loop) {
        return sockeye::connect<visitor>(loop, "tcp://10.0.0.1:7007", {.deadline = 1min},
                                         std::ref(heard));
    });
    world.run_for(5min);
    return heard;
}

/// The first of many seeds that gets a wrong answer; 0 where none does.
template <typename Greeter>
std::uint64_t find_wrong() {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        if (answer_in<Greeter>(seed) != "Hello, Ada!\n") {
            return seed;
        }
    }
    return 0;
}

int main() {
    const auto hasty = find_wrong<hasty_greeter>();
    const auto patient = find_wrong<patient_greeter>();
    std::printf("hasty: wrong with seed %d\npatient: wrong with seed %d\n", static_cast<int>(hasty),
                static_cast<int>(patient));
    return hasty != 0 && patient == 0 ? 0 : 1;
}
