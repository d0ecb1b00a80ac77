#include "support/allocations.hpp"
#include "support/fault_rows.hpp"
#include "support/scenarios.hpp"

#include <limits>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <doctest/doctest.h>

// Every scenario is run once for each allocation that it makes, with that one failing.

namespace {

using support::ground;
using support::scenario;

constexpr auto never = std::numeric_limits<std::size_t>::max();

/// A backend of which every verb wants memory of the library's.
class risking_backend final : public sockeye::backend {
public:
    explicit risking_backend(std::unique_ptr<sockeye::backend> inner) : inner_(std::move(inner)) {}

    std::error_code add(int fd, sockeye::interest wanted, std::uint64_t key) override {
        const support::risked_allocations risked;
        return inner_->add(fd, wanted, key);
    }
    std::error_code modify(int fd, sockeye::interest wanted, std::uint64_t key) override {
        const support::risked_allocations risked;
        return inner_->modify(fd, wanted, key);
    }
    std::error_code remove(int fd) override {
        const support::risked_allocations risked;
        return inner_->remove(fd);
    }
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override {
        const support::risked_allocations risked;
        return inner_->wait(ready, timeout);
    }
    [[nodiscard]] int native_handle() const noexcept override { return inner_->native_handle(); }

private:
    std::unique_ptr<sockeye::backend> inner_;
};

/// The same ground. What its backends allocate is the library's, unless they are simulated or
/// emulated: then it stands for memory of the system's.
class risky_ground final : public ground {
public:
    explicit risky_ground(ground& inner) : inner_(inner) {}

    [[nodiscard]] const sockeye::backend_entry& entry() const noexcept override {
        return inner_.entry();
    }
    [[nodiscard]] bool is_simulated() const noexcept override { return inner_.is_simulated(); }
    [[nodiscard]] sockeye::kernel& system() noexcept override { return inner_.system(); }
    [[nodiscard]] std::unique_ptr<sockeye::backend> make_backend() override {
        const support::spared_allocations spared;
        auto made = inner_.make_backend();
        if (is_simulated() || entry().kind == sockeye::backend_kind::kqueue) {
            return made;
        }
        return std::make_unique<risking_backend>(std::move(made));
    }
    [[nodiscard]] std::size_t descriptors() override { return inner_.descriptors(); }
    [[nodiscard]] std::size_t room() override { return inner_.room(); }
    [[nodiscard]] std::string path(std::string_view name) override { return inner_.path(name); }
    void raise(int signal) override { inner_.raise(signal); }

private:
    ground& inner_;
};

struct run_report {
    std::size_t allocations = 0;
    bool has_failed = false; ///< one of them
    bool went_well = false;
    std::vector<std::string> wrongs;
};

void play(support::stage& on, const scenario& played, bool& went_well, bool& threw) {
    try {
        went_well = played.play(on);
    } catch (const std::bad_alloc&) {
        threw = true; // out of a call that says so, or of what the scenario itself allocates
    }
}

void check_after(support::stage& on, const scenario& played, bool threw, run_report& report) {
    if (on.has_stalled()) {
        report.wrongs.emplace_back("it did not end");
    }
    // Who is thrown out lets go of owners, whose sessions are silent.
    for (auto& wrong : on.check_end(played.leaves_in_silence || threw)) {
        report.wrongs.push_back(std::move(wrong));
    }
    const auto threw_before = on.threw;
    if (!support::scenarios().front().play(on) || on.threw != threw_before) {
        report.wrongs.emplace_back("an echo on the same loop fails");
    }
}

/// Plays it with `times` allocations failing from the nth on, and then, with all the memory there
/// is, an echo on the same loop.
run_report run(ground& on, const scenario& played, std::size_t nth, std::size_t times) {
    run_report report;
    const auto before = on.descriptors();
    {
        std::optional<support::stage> stage;
        bool threw = false;
        {
            const support::failing_allocations failing(nth, times);
            try {
                stage.emplace(on);
            } catch (const std::bad_alloc&) {
                // There is no loop.
            } catch (const std::system_error& error) {
                // What it says of the backend that cannot watch its wake-up channel.
                if (error.code() != std::errc::not_enough_memory) {
                    throw;
                }
            }
            if (stage) {
                play(*stage, played, report.went_well, threw);
            }
            report.allocations = failing.seen();
            report.has_failed = failing.failed() != 0;
        }
        if (stage) {
            check_after(*stage, played, threw, report);
        }
    }
    if (on.descriptors() != before) {
        report.wrongs.emplace_back("a descriptor leaked");
    }
    return report;
}

/// How many runs there were, and in how many of them the failure was met.
struct tally {
    int runs = 0;
    int met = 0;
    int unharmed = 0; ///< met, and it came to what it should all the same
};

void sweep(ground& on, const scenario& played, std::size_t times, tally& counted) {
    const auto plain = run(on, played, never, 1);
    REQUIRE(plain.wrongs.empty());
    REQUIRE(plain.went_well);
    for (std::size_t nth = 1; nth <= plain.allocations; ++nth) {
        const auto report = run(on, played, nth, times);
        ++counted.runs;
        counted.met += report.has_failed ? 1 : 0;
        counted.unharmed += report.has_failed && report.went_well ? 1 : 0;
        for (const auto& wrong : report.wrongs) {
            FAIL_CHECK(played.name << ": allocation no. " << nth << " of " << plain.allocations
                                   << " fails: " << wrong);
        }
    }
}

void sweep_all(ground& inner, std::size_t times) {
    risky_ground on(inner);
    tally counted;
    for (const auto& played : support::scenarios()) {
        if (!played.needs_real_system || !on.is_simulated()) {
            CAPTURE(played.name);
            sweep(on, played, times, counted);
        }
    }
    MESSAGE(on.name() << ": " << counted.runs << " runs, the failure met in " << counted.met
                      << ", harmless in " << counted.unharmed);
    CHECK(counted.met > 500);
}

} // namespace

TEST_CASE("allocation sweep: [251] whatever allocation fails, the loop goes on") {
    support::on_every_ground({251}, [](ground& on, support::rows&) { sweep_all(on, 1); });
}

TEST_CASE("allocation sweep: [251] whenever memory runs out, the loop goes on when it is back") {
    support::on_every_ground({251}, [](ground& on, support::rows&) { sweep_all(on, never); });
}
