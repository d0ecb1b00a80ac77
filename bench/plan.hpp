#pragma once

#include "bench/judge/limit.hpp"
#include "bench/load.hpp"
#include "bench/machine/host.hpp"
#include "bench/peers.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/interest.hpp>
#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// How a client waits for the next message of an open loop.
enum class pace : std::uint8_t {
    spin,  ///< it looks all the time, and is never late
    sleep, ///< it leaves the CPU to others meanwhile
};

/// How many rounds a test has: so many, or from one number to another, as its ratios need.
struct round_count {
    std::size_t least = 0;
    std::size_t most = 0;

    [[nodiscard]] bool is_auto() const noexcept { return least < most; }
    /// `10`, `6 to 40`.
    [[nodiscard]] std::string to_string() const;
};

/// What `--rounds auto` means.
inline constexpr round_count automatic_rounds = {6, 40};

/// What the command line asks for. Empty options have defaults that depend on the others.
struct request {
    std::optional<std::uint64_t> connections;
    std::optional<std::uint64_t> pipeline;
    std::optional<std::uint64_t> idle;
    std::optional<transport> carrier;
    std::optional<mode> how;
    bool is_wake = false; ///< one connection, one message at a time
    std::optional<message_sizes> sizes;
    std::optional<std::uint64_t> threads;
    bool has_auto_threads = false;    ///< as many as it takes; `threads` are those being tried
    std::optional<double> rate_per_s; ///< an open loop
    arrival law = arrival::poisson;
    std::vector<double> steps;        ///< an open loop at each of these rates
    std::optional<limit> find_rate;   ///< the highest rate that keeps within it
    std::vector<std::string> sources; ///< endpoints without a scheme
    std::optional<pace> how_paced;
    std::optional<std::uint64_t> in_flight_max; ///< of an open loop
    std::optional<duration> window;
    std::optional<duration> warmup;
    std::optional<round_count> rounds;
    std::optional<std::uint64_t> messages;
    duration timeout = std::chrono::seconds(1);
    std::uint64_t seed = 1;
    duration burn = {};
    std::vector<backend_kind> backends; ///< empty: all that are usable here
    std::vector<const peer*> peers;     ///< empty: none
    std::vector<std::string> binaries;  ///< two other builds to compare: the old one, the new one
    bool has_all_peers = false;         ///< those of them that were built
    std::string baseline;               ///< empty: the best one
    std::optional<endpoint> target;     ///< a server that runs already
    std::optional<endpoint> control;    ///< where that tells what it has used
    host::cpu_list server_cpus;         ///< as `client_cpus`: empty: chosen here
    host::cpu_list client_cpus;
    bool is_unpinned = false;
    bool is_quick = false;
    bool is_full = false;
    bool is_one_core = false;
    bool has_control = true;
    bool is_verified = true;
};

/// A server that takes part.
struct lane {
    enum class kind : std::uint8_t {
        embedded, ///< our server on `backend`
        binary,   ///< that of another build of this program, at `path`
        peer,     ///< a server without sockeye, `program`
        target,   ///< a server that somebody else started
    };

    std::string name;
    kind what = kind::embedded;
    backend_kind backend = backend_kind::automatic;
    bool is_control = false; ///< the baseline once more
    const bench::peer* program = nullptr;
    std::string path = {};
};

/// One test in one placement: every round runs every lane once.
struct pass {
    std::string test;
    /// Where its rate is 0 and this is not, it becomes half of the slowest lane's of that test.
    std::string rate_from;
    std::optional<limit> find_rate; ///< instead of one rate: the highest that keeps within it
    load what;
    bool is_one_core = false; ///< server and client take turns on one CPU
    std::vector<lane> lanes;
    duration warmup = {};
    duration window = {};
};

/// What `--threads auto` has found, and how.
struct thread_choice {
    struct trial {
        std::size_t threads = 1;
        double rate_per_s = 0;
    };

    std::size_t threads = 1;
    std::vector<trial> tried; ///< the last one may have brought too little; empty: too few CPUs
};

struct plan {
    std::vector<pass> passes;
    round_count rounds;
    std::optional<std::uint64_t> messages; ///< ends a window early
    std::string baseline;                  ///< empty: there is nothing to compare
    std::optional<endpoint> target;
    std::optional<endpoint> control;
    host::cpu_list server_cpus; ///< empty: not pinned
    host::cpu_list client_cpus;
    duration timeout = {};
    std::uint64_t seed = 1;
    pace how_paced = pace::spin;
    std::optional<thread_choice> threads_found; ///< of --threads auto
    bool repeats_disturbed = true;              ///< rounds that were not steady are run once more
    std::vector<std::string> notes;             ///< what was asked for and takes no part, and why

    /// How sure the intervals of its ratios are. Who looks after every round, and stops when it
    /// looks good, is wrong more often: then they have to be surer.
    [[nodiscard]] double confidence() const noexcept { return rounds.is_auto() ? 0.99 : 0.95; }
    /// How long all of it takes, roughly; with as many rounds as may be.
    [[nodiscard]] duration estimate() const noexcept;
    /// With as few as may be.
    [[nodiscard]] duration estimate_least() const noexcept;
    /// What a pass takes with as many as may be.
    [[nodiscard]] duration estimate_most(const pass& each) const noexcept;
    /// What one round of it takes.
    [[nodiscard]] static duration estimate(const pass& each) noexcept;
};

/// Decides what is run. Throws cli::command_error where that cannot be done.
[[nodiscard]] plan make_plan(const request& wanted);

/// The best backend of this machine: what the client always uses.
[[nodiscard]] backend_kind best_backend();

} // namespace sockeye::bench
