#include <sockeye/simulation.hpp>

#include "loop/loop_core.hpp"
#include "simulation/backend.hpp"
#include "simulation/host.hpp"
#include "simulation/network.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <system_error>

namespace sockeye {
namespace {

using simulated::network;
using simulated::passage;

std::string text_of(const endpoint& address) {
    const auto text = address.to_string(); // tcp://ADDRESS:0
    const auto begin = text.find("//") + 2;
    return text.substr(begin, text.rfind(':') - begin);
}

std::string line_of(const simulated::trace::entry& what) {
    const auto at = what.at.time_since_epoch();
    auto nanoseconds = std::to_string(at.count() % 1'000'000'000);
    nanoseconds.insert(0, 9 - nanoseconds.size(), '0');
    return std::to_string(at / std::chrono::seconds(1)) + '.' + nanoseconds + ' ' +
           std::string(what.host) + ' ' + std::string(what.call) + ' ' + std::to_string(what.fd) +
           " = " + std::to_string(what.outcome);
}

} // namespace

struct simulated_host::inside {
    simulated::host& machine;
    backend_features features;
    simulated::backend* source = nullptr;
    std::unique_ptr<sockeye::loop> owner;
    std::vector<unique_function<keeper(sockeye::loop&)>> programs;
    std::vector<keeper> kept;
    bool is_paused = false;

    void start();
    void stop() noexcept;
    [[nodiscard]] bool is_runnable();
    /// When its next timer is due, in the time of the network.
    [[nodiscard]] std::optional<time_point> next_deadline() const;
};

void simulated_host::inside::start() {
    auto row = simulated::simulated_entry();
    row.features = features;
    auto made = std::make_unique<simulated::backend>(machine, features);
    source = made.get();
    auto core = std::make_unique<loop_core>(machine, std::move(made), row, loop_options());
    if (const auto error = core->start()) {
        throw std::system_error(error);
    }
    owner = std::make_unique<sockeye::loop>(loop_access::make(std::move(core)));
}

void simulated_host::inside::stop() noexcept {
    // Last made, first gone.
    while (!kept.empty()) {
        kept.pop_back();
    }
    owner.reset();
    source = nullptr;
}

bool simulated_host::inside::is_runnable() {
    if (owner == nullptr || is_paused) {
        return false;
    }
    const auto due = owner->next_deadline();
    return (due && *due <= machine.now()) || source->is_ready();
}

std::optional<time_point> simulated_host::inside::next_deadline() const {
    const auto due = owner == nullptr || is_paused ? std::nullopt : owner->next_deadline();
    return due ? std::optional(machine.network_time(*due)) : std::nullopt;
}

simulated_host::simulated_host(std::unique_ptr<inside> content) : inside_(std::move(content)) {}

simulated_host::~simulated_host() {
    inside_->stop();
}

void simulated_host::add_program(unique_function<keeper(sockeye::loop&)> program) {
    if (inside_->owner == nullptr && is_up()) {
        inside_->start();
    }
    inside_->programs.push_back(std::move(program));
    if (is_up()) {
        auto& added = inside_->programs.back();
        inside_->kept.push_back(added(*inside_->owner));
    }
}

const std::string& simulated_host::name() const noexcept {
    return inside_->machine.name();
}

std::string simulated_host::address() const {
    return text_of(inside_->machine.address(AF_INET));
}

std::string simulated_host::address6() const {
    auto text = text_of(inside_->machine.address(AF_INET6));
    return text.substr(1, text.size() - 2);
}

sockeye::loop& simulated_host::loop() noexcept {
    return *inside_->owner;
}

void simulated_host::crash() {
    auto& world = inside_->machine.world();
    if (world.is_turning) {
        world.after(duration::zero(), [this] { crash(); });
        return;
    }
    inside_->machine.crash();
    inside_->stop();
}

void simulated_host::restart() {
    auto& world = inside_->machine.world();
    if (world.is_turning) {
        world.after(duration::zero(), [this] { restart(); });
        return;
    }
    if (is_up()) {
        crash();
    }
    inside_->machine.restart();
    inside_->is_paused = false;
    inside_->start();
    for (auto& program : inside_->programs) {
        inside_->kept.push_back(program(*inside_->owner));
    }
}

bool simulated_host::is_up() const noexcept {
    return inside_->machine.is_up();
}

void simulated_host::pause() noexcept {
    inside_->is_paused = true;
}

void simulated_host::resume() noexcept {
    inside_->is_paused = false;
}

bool simulated_host::raise(int signal) {
    return inside_->machine.raise(signal);
}

void simulated_host::set_descriptors_max(std::size_t count) noexcept {
    inside_->machine.descriptors_max = count;
}

void simulated_host::set_socket_buffers(std::size_t size) noexcept {
    inside_->machine.socket_buffer = size;
}

void simulated_host::set_wall_clock(duration step) noexcept {
    inside_->machine.wall_clock_offset += step;
}

void simulated_host::set_clock_offset(duration offset) noexcept {
    inside_->machine.clock_offset = offset;
}

void simulated_host::set_features(backend_features features) noexcept {
    inside_->features = features;
}

std::size_t simulated_host::descriptors() const noexcept {
    return inside_->machine.descriptors();
}

struct simulation::inside {
    explicit inside(std::uint64_t drawn_from) : seed(drawn_from), world(drawn_from) {}

    std::uint64_t seed;
    network world;
    time_point began = world.now();
    std::vector<std::unique_ptr<simulated_host>> hosts; ///< go before the world
    std::vector<std::string> problems;
    bool draws = false;

    [[nodiscard]] static simulated::host& machine(const simulated_host& of) noexcept {
        return of.inside_->machine;
    }
    bool turn_hosts();
    void turn(simulated_host& which);
    [[nodiscard]] std::optional<time_point> next() const;
    bool run_until(time_point end);
    void report_problem(const simulated_host& of, const std::string& what);
    [[nodiscard]] link_options draw_link();
    [[nodiscard]] fault_options draw_faults();
};

void simulation::inside::report_problem(const simulated_host& of, const std::string& what) {
    auto sentence = of.name() + " " + what + " (seed " + std::to_string(seed) + ")";
    if (std::ranges::find(problems, sentence) == problems.end()) {
        problems.push_back(std::move(sentence));
    }
}

void simulation::inside::turn(simulated_host& which) {
    struct turning {
        bool& flag;
        explicit turning(bool& of) : flag(of) { flag = true; }
        ~turning() { flag = false; }
    };
    const turning guard(world.is_turning);
    auto& content = *which.inside_;
    if (const auto outcome = content.owner->run_once(duration::zero()); !outcome) {
        report_problem(which, "has a loop that failed: " + outcome.error().message());
        content.is_paused = true;
    } else if (content.machine.is_spinning()) {
        report_problem(which, "spins: its loop wakes again and again and gets nowhere");
        content.is_paused = true;
    }
}

/// One turn for each host that has work. False where none has.
bool simulation::inside::turn_hosts() {
    const auto first = world.shuffles && hosts.size() > 1 ? world.random.below(hosts.size()) : 0;
    bool has_worked = false;
    for (std::size_t step = 0; step < hosts.size(); ++step) {
        auto& which = *hosts[(first + step) % hosts.size()];
        if (which.inside_->is_runnable()) {
            turn(which);
            has_worked = true;
        }
    }
    return has_worked;
}

std::optional<time_point> simulation::inside::next() const {
    auto soonest = world.next_event();
    for (const auto& one : hosts) {
        const auto due = one->inside_->next_deadline();
        if (due && (!soonest || *due < *soonest)) {
            soonest = due;
        }
    }
    return soonest;
}

/// True where nothing is left to happen.
bool simulation::inside::run_until(time_point end) {
    assert(!world.is_turning);
    while (world.now() < end) {
        world.advance_to(world.now());
        if (turn_hosts()) {
            continue;
        }
        const auto soonest = next();
        if (!soonest) {
            return true;
        }
        world.advance_to(std::min(*soonest, end));
    }
    return false;
}

simulation::simulation(std::uint64_t seed) : inside_(std::make_unique<inside>(seed)) {}

simulation::~simulation() {
    // In the order in which they were made, as the run was.
    for (auto& one : inside_->hosts) {
        one->inside_->stop();
    }
}

simulated_host& simulation::host(std::string_view name) {
    auto& all = inside_->hosts;
    const auto found =
        std::ranges::find_if(all, [&](const auto& one) { return one->name() == name; });
    if (found != all.end()) {
        return **found;
    }
    auto& machine = inside_->world.add_host(name);
    machine.is_driven = true;
    auto content = std::make_unique<simulated_host::inside>(
        simulated_host::inside{machine, simulated::simulated_entry().features, {}, {}, {}, {}});
    if (inside_->draws) {
        constexpr std::array<backend_features, 3> kinds = {
            {{.edge = true, .early_close = true}, {.edge = false, .early_close = true}, {}}};
        content->features = kinds[inside_->world.random.below(kinds.size())];
        machine.socket_buffer = std::size_t{1024} << inside_->world.random.below(8);
    }
    all.push_back(std::unique_ptr<simulated_host>(new simulated_host(std::move(content))));
    return *all.back();
}

void simulation::link(simulated_host& one, simulated_host& other, const link_options& options) {
    auto& world = inside_->world;
    world.between(inside::machine(one), inside::machine(other)).options = options;
    world.between(inside::machine(other), inside::machine(one)).options = options;
}

void simulation::set_default_link(const link_options& options) {
    inside_->world.default_link = options;
}

void simulation::set_faults(const fault_options& faults) {
    inside_->world.faults = faults;
}

const link_options& simulation::default_link() const noexcept {
    return inside_->world.default_link;
}

const fault_options& simulation::faults() const noexcept {
    return inside_->world.faults;
}

link_options simulation::inside::draw_link() {
    auto& random = world.random;
    link_options drawn;
    drawn.latency = random.within(std::chrono::milliseconds(1) * (1 << random.below(6)));
    drawn.jitter = random.chance(0.5) ? random.within(drawn.latency) : duration::zero();
    drawn.mtu = std::size_t{64} << random.below(8);
    const auto some = [&](double most) {
        return random.chance(0.5) ? most * static_cast<double>(random.below(1000)) / 1000 : 0.0;
    };
    drawn.loss = some(0.1);
    drawn.duplicate = some(0.05);
    drawn.reorder = some(0.1);
    drawn.bits_per_second = random.chance(0.3) ? std::uint64_t{1'000'000} << random.below(8) : 0;
    return drawn;
}

fault_options simulation::inside::draw_faults() {
    auto& random = world.random;
    const auto some = [&](double most) {
        return random.chance(0.5) ? most / static_cast<double>(1 << random.below(5)) : 0.0;
    };
    return {.short_receive = some(0.5),
            .short_send = some(0.5),
            .would_block = some(0.3),
            .spurious_event = some(0.3),
            .withheld_event = some(0.3),
            .interrupted_wait = some(0.2),
            .no_descriptors = some(0.05),
            .aborted_accept = some(0.05),
            .no_buffers = some(0.02),
            .reset = some(0.005),
            .name_failure = some(0.1),
            .name_silence = some(0.05)};
}

void simulation::swarm() {
    inside_->draws = true;
    inside_->world.shuffles = inside_->world.random.chance(0.5);
    inside_->world.default_link = inside_->draw_link();
    inside_->world.faults = inside_->draw_faults();
}

void simulation::set_addresses(std::string_view name,
                               std::initializer_list<std::string_view> addresses) {
    std::vector<endpoint> found;
    for (const auto address : addresses) {
        const std::string text(address);
        found.push_back(
            endpoint::parse(text.find(':') == std::string::npos ? text + ":0" : '[' + text + "]:0")
                .value());
    }
    inside_->world.set_addresses(name, std::move(found));
}

void simulation::partition(group these, group those) {
    for (const auto& one : these) {
        for (const auto& other : those) {
            block(one, other);
            block(other, one);
        }
    }
}

void simulation::block(const simulated_host& from, const simulated_host& to) {
    inside_->world.set_passage(inside::machine(from), inside::machine(to), passage::blocked);
}

void simulation::hold(const simulated_host& from, const simulated_host& to) {
    inside_->world.set_passage(inside::machine(from), inside::machine(to), passage::held);
}

void simulation::heal() {
    for (const auto& one : inside_->hosts) {
        for (const auto& other : inside_->hosts) {
            inside_->world.set_passage(inside::machine(*one), inside::machine(*other),
                                       passage::open);
        }
    }
}

void simulation::at(duration moment, unique_function<void()> action) {
    const auto left = std::max(moment - elapsed(), duration::zero());
    inside_->world.after(left, std::move(action));
}

void simulation::run_for(duration length) {
    const auto end = inside_->world.now() + length;
    static_cast<void>(inside_->run_until(end));
    inside_->world.advance_to(end);
}

simulation_report simulation::run_until_idle(duration limit) {
    const bool is_idle = inside_->run_until(inside_->world.now() + limit);
    auto found = report();
    found.is_idle = is_idle;
    return found;
}

simulation_report simulation::report() const {
    const auto streams = inside_->world.streams();
    return {.is_idle = false,
            .connections_leaked = streams.leaked,
            .connections_open = streams.open,
            .hash = hash(),
            .calls = inside_->world.history.calls(),
            .elapsed = elapsed(),
            .faults = inside_->world.injected,
            .problems = inside_->problems};
}

duration simulation::elapsed() const noexcept {
    return inside_->world.now() - inside_->began;
}

std::uint64_t simulation::hash() const noexcept {
    return inside_->world.history.hash();
}

std::uint64_t simulation::random() noexcept {
    return inside_->world.random.next();
}

void simulation::on_call(unique_function<void(std::string_view)> listener) {
    inside_->world.history.listener =
        [listener = std::move(listener)](const simulated::trace::entry& what) mutable {
            listener(line_of(what));
        };
}

} // namespace sockeye
