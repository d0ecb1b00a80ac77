#include "bench/window.hpp"

#include "bench/judge/steady.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

/// What an open loop may fall short by, as a share of what was due.
constexpr double shortfall_max = 0.01;
/// Send lag beyond both of these makes response times doubtful.
constexpr double lag_ns_max = 20'000;
constexpr double lag_share_max = 0.1;
/// The last slices of a window, which all have to show a backlog for it to be one.
constexpr std::size_t last_slices = 3;

template <typename T>
std::optional<T> minus(const std::optional<T>& after, const std::optional<T>& before) {
    return after && before ? std::optional(*after - *before) : std::nullopt;
}

/// No server uses more than all CPUs of the largest machines.
constexpr std::uint64_t cpu_ns_max = std::uint64_t{1} << 60;

bool is_backwards(const account& after, const account& before) {
    return after.cpu_ns < before.cpu_ns || after.system_calls() < before.system_calls() ||
           after.cpu_ns - before.cpu_ns > cpu_ns_max;
}

/// The part of the CPUs that a client thread may use: one of its own where there are enough.
host::cpu_list cpus_of_thread(const host::cpu_list& cpus, std::size_t index, std::size_t threads) {
    return cpus.size() >= threads ? host::cpu_list{cpus[index]} : cpus;
}

} // namespace

window_runner::window_runner(const plan& whole, const pass& test, const load& what,
                             subject_server& server, const ring& content, progress& shown)
    : plan_(whole), pass_(test), load_(what), server_(server), shown_(shown), crew_(what.threads),
      drivers_(what.threads) {
    make_drivers(content);
}

void window_runner::make_drivers(const ring& content) {
    const auto& cpus = pass_.is_one_core ? plan_.server_cpus : plan_.client_cpus;
    crew_.run([&](std::size_t index) {
        host::place({cpus_of_thread(cpus, index, load_.threads), pass_.is_one_core});
        drivers_[index] = std::make_unique<driver>(plan_, load_, content, index);
    });
}

template <typename Job>
void window_runner::each(Job job) {
    crew_.run([&](std::size_t index) { job(*drivers_[index]); });
    if (host::interrupt() != 0) {
        throw interrupted();
    }
    for (const auto& one : drivers_) {
        if (!one->failure().empty()) {
            throw round_failed(one->failure());
        }
    }
}

lane_result window_runner::run() {
    each([this](driver& one) { one.connect(server_.address); });
    drivers_.front()->on_tick([this](time_point now) {
        sample_delays(now);
        show_progress(now);
    });
    const auto at_start = load_.is_open_loop() ? std::optional(take_snapshot()) : std::nullopt;
    start_ = clock::now();
    each([this](driver& one) { one.start(start_); });
    each([this](driver& one) { one.run_until(start_ + pass_.warmup); });
    measure(at_start);
    check_result();
    return std::move(result_);
}

bool window_runner::has_overflowed() const {
    return std::any_of(drivers_.begin(), drivers_.end(),
                       [](const auto& one) { return one->counted().has_overflowed; });
}

void window_runner::measure(const std::optional<snapshot>& at_start) {
    const bool is_overload = at_start && has_overflowed();
    const snapshot before = is_overload ? *at_start : take_snapshot();
    const time_point now = clock::now();
    const time_point begin = is_overload ? start_ : now;
    window_start_ = begin;
    const time_point end = now + pass_.window;
    const auto messages = plan_.messages
                              ? std::optional(*plan_.messages / load_.threads +
                                              (*plan_.messages % load_.threads > 0 ? 1 : 0))
                              : std::nullopt;
    each([&](driver& one) {
        if (!is_overload) {
            one.begin_window(begin);
        }
        one.run_until(end, messages);
    });
    // The clients stand still from here on, so that these belong to the second snapshot. A server
    // may take its time to answer, but what is counted was counted until now.
    const time_point stopped = clock::now();
    std::uint64_t answered = 0;
    std::uint64_t bytes = 0;
    for (const auto& one : drivers_) {
        answered += one->counted().messages;
        bytes += one->counted().bytes;
    }
    const snapshot after = take_snapshot();
    end_round(std::min(end, stopped));
    result_.counted.messages = answered;
    result_.counted.bytes = bytes;
    result_.seconds = std::chrono::duration<double>(stopped - begin).count();
    note_window(before, after);
    note_course(begin, stopped);
    judge(begin, stopped);
}

/// Waits for what is on its way, and adds up what all drivers have counted.
void window_runner::end_round(time_point sent_until) {
    each([&](driver& one) { one.drain(sent_until, plan_.timeout); });
    crew_.run([this](std::size_t index) { drivers_[index]->close(); });
    result_.counted = std::move(drivers_.front()->counted());
    for (std::size_t i = 1; i < drivers_.size(); ++i) {
        result_.counted.merge(drivers_[i]->counted());
    }
    result_.counted.shrink();
    crew_.run([this](std::size_t index) { drivers_[index].reset(); });
}

/// Reads the server's account first: while it answers, the clients stand still, and both ends of
/// the window are alike in that.
window_runner::snapshot window_runner::take_snapshot() {
    snapshot taken;
    if (server_.process) {
        taken.server = server_.process->ask();
        const auto seen = server_.hardware.read(); // from outside, whatever the server is made of
        taken.server->counts.instructions = seen.instructions;
        taken.server->counts.cycles = seen.cycles;
        taken.server_run_delay_ns = host::run_delay_ns(server_.process->pid());
    } else if (server_.control) {
        taken.server = server_.control->ask();
    }
    taken.client_run_delay_ns = host::run_delay_ns(::getpid());
    taken.client = client_times();
    taken.host = host::usage_of(used_cpus());
    taken.taken = clock::now();
    return taken;
}

process_times window_runner::client_times() const {
    process_times used = host::own_times();
    system_counts counted = drivers_.front()->hardware();
    for (std::size_t i = 1; i < drivers_.size(); ++i) {
        counted = sum(counted, drivers_[i]->hardware());
    }
    used.counts.instructions = counted.instructions;
    used.counts.cycles = counted.cycles;
    return used;
}

void window_runner::sample_delays(time_point now) {
    const auto due = static_cast<std::size_t>((now - start_) / round_course::window_length);
    if (delays_.size() > due || !server_.process) {
        return;
    }
    const auto server = host::run_delay_ns(server_.process->pid());
    const auto client = host::run_delay_ns(::getpid());
    if (server && client) {
        delays_.resize(due + 1, {*server, *client});
    }
}

void window_runner::show_progress(time_point now) {
    if (window_start_) {
        shown_.tick(drivers_.front()->counted().messages * load_.threads, now - *window_start_);
    }
}

void window_runner::note_window(const snapshot& before, const snapshot& after) {
    if (after.server && before.server && is_backwards(*after.server, *before.server)) {
        throw round_failed("the server's counters ran backwards: it was started anew");
    }
    if (after.server && before.server) {
        result_.server = difference(*after.server, *before.server);
    }
    if (server_.process) {
        result_.server_resident_bytes = host::resident_bytes(server_.process->pid());
    }
    if (load_.idle > 0 && server_.resident_at_start && result_.server_resident_bytes) {
        const auto connections = static_cast<double>(load_.connections + load_.idle);
        result_.resident_bytes_per_connection =
            (static_cast<double>(*result_.server_resident_bytes) -
             static_cast<double>(*server_.resident_at_start)) /
            connections;
    }
    result_.client = {after.client.cpu_ns - before.client.cpu_ns,
                      after.client.user_ns - before.client.user_ns,
                      after.client.system_ns - before.client.system_ns,
                      difference(after.client.counts, before.client.counts)};
    if (result_.counted.has_overflowed) {
        return; // it may have been too short for what follows to mean anything
    }
    result_.server_run_delay_ns = minus(after.server_run_delay_ns, before.server_run_delay_ns);
    result_.client_run_delay_ns = minus(after.client_run_delay_ns, before.client_run_delay_ns);
    if (before.host && after.host) {
        const std::size_t cpus = used_cpus().empty() ? host::online_cpus() : used_cpus().size();
        result_.host = host::cpu_usage{after.host->busy_ns - before.host->busy_ns,
                                       after.host->steal_ns - before.host->steal_ns,
                                       after.host->softirq_ns - before.host->softirq_ns,
                                       minus(after.host->pressure_ns, before.host->pressure_ns)};
        const std::chrono::duration<double> between = after.taken - before.taken;
        result_.host_seconds = between.count() * static_cast<double>(cpus);
    }
}

/// Joins the slices to windows, up to the last whole one.
void window_runner::note_course(time_point window_start, time_point window_end) {
    constexpr auto length = round_course::window_length;
    constexpr auto slices_of_one = static_cast<std::size_t>(length / timeline::slice_length);
    const auto& slices = result_.counted.over_time.slices();
    const auto whole = static_cast<std::size_t>((window_end - start_) / length);
    auto& course = result_.course;
    course.warmup = static_cast<std::size_t>((window_start - start_ + length / 2) / length);
    course.has_run_delays = delays_.size() > whole;
    for (std::size_t i = 0; i < whole; ++i) {
        auto& made = course.windows.emplace_back();
        for (std::size_t k = i * slices_of_one; k < (i + 1) * slices_of_one; ++k) {
            if (k < slices.size()) {
                made.messages += slices[k].messages;
                made.send_lag_max_ns = std::max(made.send_lag_max_ns, slices[k].send_lag_max_ns);
            }
        }
        if (i + 1 < delays_.size()) {
            made.server_run_delay_ns = delays_[i + 1].server_ns - delays_[i].server_ns;
            made.client_run_delay_ns = delays_[i + 1].client_ns - delays_[i].client_ns;
        }
    }
}

/// Says what is doubtful about the window.
void window_runner::judge(time_point window_start, time_point window_end) {
    const auto slices = result_.counted.over_time.between(window_start, window_end);
    std::vector<double> messages;
    std::vector<double> backlog;
    for (const auto& slice : slices) {
        messages.push_back(static_cast<double>(slice.messages));
        backlog.push_back(static_cast<double>(slice.backlog));
    }
    if (!result_.counted.has_overflowed) { // it fell to nothing because we stopped
        result_.flags = unsteady_flags(messages);
    }
    if (!load_.is_open_loop()) {
        return;
    }
    const tally& counted = result_.counted;
    const double tolerated = shortfall_max * static_cast<double>(counted.offered);
    const bool is_short =
        static_cast<double>(counted.messages) + tolerated < static_cast<double>(counted.offered);
    const bool stays_behind = backlog.size() >= last_slices &&
                              std::all_of(backlog.end() - last_slices, backlog.end(),
                                          [&](double waiting) { return waiting > tolerated; });
    result_.is_overloaded = counted.has_overflowed || (is_short && stays_behind) ||
                            is_growing(backlog, std::max(tolerated, 10.0));
    if (counted.send_lag.can_tell(0.99) && counted.response.can_tell(0.99)) {
        const auto lag = static_cast<double>(counted.send_lag.percentile(0.99));
        const auto response = static_cast<double>(counted.response.percentile(0.99));
        if (lag > std::max(lag_ns_max, lag_share_max * response)) {
            result_.flags.emplace_back("lag");
        }
    }
}

host::cpu_list window_runner::used_cpus() const {
    host::cpu_list used = plan_.server_cpus;
    if (!pass_.is_one_core) {
        used.insert(used.end(), plan_.client_cpus.begin(), plan_.client_cpus.end());
    }
    return used;
}

std::string window_runner::why_nothing() const {
    if (result_.counted.has_overflowed) {
        return fmt::format("nothing came back, and {} messages were on their way; --max-in-flight "
                           "allows no more",
                           load_.in_flight_max);
    }
    if (load_.is_open_loop() && result_.counted.offered == 0) {
        return "none was due in the window; make --rate or --duration larger";
    }
    return "nothing came back within the window";
}

void window_runner::check_result() {
    const auto& counted = result_.counted;
    if (counted.wrong == 0 && counted.messages == 0) {
        throw round_failed(
            fmt::format("{} answered no message: {}", server_.address.to_string(),
                        counted.errors.empty() ? why_nothing() : counted.errors.begin()->first));
    }
}

} // namespace sockeye::bench
