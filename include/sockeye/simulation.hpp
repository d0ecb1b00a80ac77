#pragma once

#include <sockeye/loop.hpp>
#include <sockeye/simulation_options.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sockeye {

class simulation;

/// A machine of a simulation: a name, addresses of its own, and one loop.
///
/// Programs reach it at `tcp://NAME:PORT` and `tcp://ADDRESS:PORT` from any host, and at loopback
/// addresses from itself. Lifetime: as long as its simulation.
class simulated_host {
public:
    ~simulated_host();

    /// Calls `program` with the loop of this host, now and again after each restart.
    ///
    /// What it returns owns whatever it made, and is kept until the host crashes or the
    /// simulation ends. It must not turn the loop: the simulation does.
    template <typename Program>
    void run(Program program);

    [[nodiscard]] const std::string& name() const noexcept;
    /// "10.0.0.1" for the first host; the IPv6 one is "fd00::1", written in brackets.
    [[nodiscard]] std::string address() const;
    [[nodiscard]] std::string address6() const;
    /// Requires: is_up().
    [[nodiscard]] sockeye::loop& loop() noexcept;

    /// Everything on it is gone at once, and no other host is told. Called by a handler, it
    /// happens when the turn is over.
    void crash();
    /// Begins anew with a fresh loop: its programs run once more. By a handler, as crash().
    void restart();
    [[nodiscard]] bool is_up() const noexcept;
    /// Stands still until resume(), as after SIGSTOP; what arrives waits.
    void pause() noexcept;
    void resume() noexcept;
    /// Delivers a signal to the signal sets of its loop; false where none watches it.
    bool raise(int signal);

    /// How many descriptors it may have, three of which every process begins with.
    void set_descriptors_max(std::size_t count) noexcept;
    /// Send and receive buffers of the sockets it makes from now on, in bytes.
    void set_socket_buffers(std::size_t size) noexcept;
    /// What its clock is ahead of the simulation's. It may be set forward while it runs.
    void set_clock_offset(duration offset) noexcept;
    /// Sets its time of day forward or back; its other clocks go on as they were.
    void set_wall_clock(duration step) noexcept;
    /// What its loop believes of its multiplexer; before the first run().
    void set_features(backend_features features) noexcept;
    /// Descriptors open now.
    [[nodiscard]] std::size_t descriptors() const noexcept;

private:
    friend class simulation;
    using keeper = std::shared_ptr<void>;
    struct inside;
    explicit simulated_host(std::unique_ptr<inside> content);
    void add_program(unique_function<keeper(sockeye::loop&)> program);

    std::unique_ptr<inside> inside_;
};

/// What a run found.
struct simulation_report {
    bool is_idle = false; ///< nothing is left that could happen
    /// Connections still held whose other end is gone: nobody will ever end them.
    std::size_t connections_leaked = 0;
    std::size_t connections_open = 0; ///< ends of streams that somebody holds
    std::uint64_t hash = 0;           ///< of all calls and their times: equal runs, equal hashes
    std::uint64_t calls = 0;
    duration elapsed = duration::zero(); ///< virtual
    fault_counters faults;
    /// Hosts that spin, errors of their loops: one sentence each, with the seed.
    std::vector<std::string> problems;
};

/// Many hosts with their loops and the network between them, in memory, in virtual time, on one
/// thread. The same seed and the same program give the same run, bit for bit.
///
///     sockeye::simulation world(seed);
///     world.swarm();
///     auto& server = world.host("server");
///     server.run([](sockeye::loop& loop) { return my_server(loop, "tcp://*:7007"); });
///     auto& client = world.host("client");
///     client.run([](sockeye::loop& loop) { return my_client(loop, "tcp://server:7007"); });
///     world.at(2s, [&] { world.partition({server}, {client}); });
///     const auto report = world.run_until_idle(60s);
///
/// The code under test is the one that runs in production, down to the calls of the kernel. It
/// takes time, timers and sockets from its loop alone; what it takes from elsewhere (the wall
/// clock, threads, descriptors of its own) is real, and a post from another thread ends the
/// process with an explanation. A seed means the same run for one version of the library.
class simulation {
public:
    explicit simulation(std::uint64_t seed);
    simulation(const simulation&) = delete;
    simulation& operator=(const simulation&) = delete;
    ~simulation();

    /// The host of that name; made when first asked for.
    simulated_host& host(std::string_view name);

    /// Both directions between two hosts; one host twice is its loopback.
    void link(simulated_host& one, simulated_host& other, const link_options& options);
    /// The links of hosts that nobody said anything about.
    void set_default_link(const link_options& options);
    void set_faults(const fault_options& faults);
    [[nodiscard]] const link_options& default_link() const noexcept;
    [[nodiscard]] const fault_options& faults() const noexcept;
    /// Draws from the seed which faults happen and how often, how links are and what multiplexers
    /// can do. Call before the hosts are made.
    void swarm();

    /// What a look-up of `name` finds from now on, best first: IPv4 and IPv6 addresses without
    /// brackets. None: there is no such name. Hosts have their names without this; look-ups take
    /// a round trip of the default link. Throws std::system_error for what is no address.
    void set_addresses(std::string_view name, std::initializer_list<std::string_view> addresses);

    using group = std::initializer_list<std::reference_wrapper<simulated_host>>;
    /// Nothing passes between these and those; what is on its way is lost, as in a cut cable.
    void partition(group these, group those);
    /// The same one way only.
    void block(const simulated_host& from, const simulated_host& to);
    /// What is sent waits on the way until heal().
    void hold(const simulated_host& from, const simulated_host& to);
    /// Every path is open again.
    void heal();

    /// Calls `action` when the simulation has run for `moment`, between the turns of its hosts.
    void at(duration moment, unique_function<void()> action);
    /// Requires: no handler is running.
    void run_for(duration length);
    /// Runs until nothing is left that could happen, or for `limit`.
    simulation_report run_until_idle(duration limit);
    [[nodiscard]] simulation_report report() const;

    /// Virtual time since it was made.
    [[nodiscard]] duration elapsed() const noexcept;
    [[nodiscard]] std::uint64_t hash() const noexcept;
    /// A number of the seed's, for programs that want chance.
    [[nodiscard]] std::uint64_t random() noexcept;
    /// Hears of every call, one line each: time, host, call, descriptor, outcome.
    void on_call(unique_function<void(std::string_view)> listener);

private:
    struct inside;
    std::unique_ptr<inside> inside_;
};

template <typename Program>
void simulated_host::run(Program program) {
    add_program([program = std::move(program)](sockeye::loop& owner) mutable -> keeper {
        using made = std::invoke_result_t<Program&, sockeye::loop&>;
        if constexpr (std::is_void_v<made>) {
            program(owner);
            return nullptr;
        } else {
            return std::make_shared<std::decay_t<made>>(program(owner));
        }
    });
}

} // namespace sockeye
