#pragma once

#include "bench/host.hpp"
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

/// What the command line asks for. Empty options have defaults that depend on the others.
struct request {
    std::optional<std::uint64_t> connections;
    std::optional<std::uint64_t> pipeline;
    std::optional<std::uint64_t> idle;
    std::optional<transport> carrier;
    std::uint64_t size = 64;
    std::optional<duration> window;
    std::optional<duration> warmup;
    std::optional<std::uint64_t> rounds;
    std::optional<std::uint64_t> messages;
    duration timeout = std::chrono::seconds(1);
    std::uint64_t seed = 1;
    std::vector<backend_kind> backends; ///< empty: all that are usable here
    std::vector<const peer*> peers;     ///< empty: none
    bool has_all_peers = false;         ///< those of them that were built
    std::string baseline;               ///< empty: the best one
    std::optional<endpoint> target;     ///< a server that runs already
    std::optional<endpoint> control;    ///< where that tells what it has used
    host::cpu_list server_cpus;         ///< as `client_cpus`: empty: chosen here
    host::cpu_list client_cpus;
    bool is_unpinned = false;
    bool is_quick = false;
    bool is_one_core = false;
    bool has_control = true;
    bool is_verified = true;
};

/// The load of one test: each busy connection keeps `pipeline` messages on their way.
struct load {
    transport carrier = transport::tcp;
    std::size_t connections = 64;
    std::size_t pipeline = 1;
    std::size_t size = 64;
    std::size_t idle = 0; ///< further connections that say nothing
    bool is_verified = true;
};

/// A server that takes part.
struct lane {
    enum class kind : std::uint8_t {
        embedded, ///< our echo server on `backend`
        peer,     ///< a server without sockeye, `program`
        target,   ///< a server that somebody else started
    };

    std::string name;
    kind what = kind::embedded;
    backend_kind backend = backend_kind::automatic;
    bool is_control = false; ///< the baseline once more
    const bench::peer* program = nullptr;
};

/// One test in one placement: every round runs every lane once.
struct pass {
    std::string test;
    load what;
    bool is_one_core = false; ///< server and client take turns on one CPU
    std::vector<lane> lanes;
    duration warmup = {};
    duration window = {};
};

struct plan {
    std::vector<pass> passes;
    std::size_t rounds = 0;
    std::optional<std::uint64_t> messages; ///< ends a window early
    std::string baseline;                  ///< empty: there is nothing to compare
    std::optional<endpoint> target;
    std::optional<endpoint> control;
    host::cpu_list server_cpus; ///< empty: not pinned
    host::cpu_list client_cpus;
    duration timeout = {};
    std::uint64_t seed = 1;
    std::vector<std::string> notes; ///< what was asked for and takes no part, and why

    /// How long all of it takes, roughly.
    [[nodiscard]] duration estimate() const noexcept;
    [[nodiscard]] static duration estimate(const pass& each) noexcept;
};

/// Decides what is run. Throws cli::command_error where that cannot be done.
[[nodiscard]] plan make_plan(const request& wanted);

/// Whether it carries a stream of bytes and not datagrams.
[[nodiscard]] constexpr bool is_stream(transport carrier) noexcept {
    return carrier == transport::tcp || carrier == transport::unix_stream;
}

/// `tcp`, `udp`, `unix`, `unix-dgram`.
[[nodiscard]] std::string_view name_of(transport carrier) noexcept;

/// The best backend of this machine: what the client always uses.
[[nodiscard]] backend_kind best_backend();

} // namespace sockeye::bench
