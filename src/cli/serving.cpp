#include "cli/serving.hpp"

#include "cli/host.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <utility>

namespace sockeye::cli {
namespace {

constexpr duration drain_step = std::chrono::milliseconds(5);
/// For the first line and the last; what is said while peers are served waits for nobody.
constexpr duration talk_patience = std::chrono::milliseconds(200);

/// The line for an endpoint that cannot be served: what the system says, and how to mend it.
std::string explain(const assignment& entry, std::error_code error) {
    const auto& local = entry.local;
    const auto name = local.to_string();
    if (error == std::errc::address_in_use && local.is_local()) {
        std::error_code ignored;
        const auto file = std::filesystem::symlink_status(local.path(), ignored);
        if (!local.path().empty() && std::filesystem::exists(file) &&
            !std::filesystem::is_socket(file)) {
            return name + ": what is there is no socket, and is kept; choose another";
        }
        return name + (entry.options.stream.replace_stale
                           ? ": address already in use: a server answers there; choose another"
                           : ": address already in use; choose another, or add --unlink to remove "
                             "what a dead server left there");
    }
    if (error == std::errc::address_in_use) {
        return name + ": address already in use; choose another, or :0 for any free port";
    }
    if (error == std::errc::permission_denied) {
        const bool is_low_port = !local.is_local() && local.port() != 0 && local.port() < 1024;
        return is_low_port
                   ? fmt::format("{}: permission denied: ports below 1024 need privilege; leave "
                                 "the port out for {}",
                                 name, entry.what->default_port)
                   : name + ": permission denied";
    }
    if (error == std::errc::address_not_available) {
        return name + ": this machine has no such address";
    }
    if (error == std::errc::no_such_file_or_directory) {
        return name + ": there is no such directory";
    }
    return fmt::format("{}: {}", name, error.message());
}

std::string per_second(std::uint64_t bytes, duration period) {
    const double seconds = std::chrono::duration<double>(period).count();
    return format_size(static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds)) + "/s";
}

service_host::options host_options(const serving_options& wanted, backend_kind backend,
                                   unique_function<void()> on_threads_gone) {
    return {.threads = wanted.threads,
            .backend = backend,
            .queued_bytes_max = wanted.queued_bytes_max,
            .reuse_port = wanted.reuse_port,
            .on_threads_gone = std::move(on_threads_gone)};
}

} // namespace

serving::serving(const common_options& common, serving_options options)
    : common_(common), options_(std::move(options)), log_(options_.log_lines_per_second),
      loop_(open_loop(common, options_.queued_bytes_max)),
      host_(loop_, host_options(options_, loop_.backend(), [this] { loop_.stop(); })),
      drain_timer_(loop_), stats_timer_(loop_) {
    state_.log = common.is_verbose ? &log_ : nullptr;
    state_.delay = options_.delay;
    state_.set_policy(options_.replies);
    if (options_.is_once) {
        state_.on_served = [this, to = loop_.remote()] { to.post([this] { stop(); }); };
    }
}

void serving::start(const std::vector<assignment>& work) {
    if (std::ranges::any_of(work, [](const auto& entry) { return is_public_udp(entry.local); })) {
        for (const auto& address : broadcast_addresses()) {
            state_.add_broadcast(address);
        }
    }
    // Before anything is bound, so that no signal leaves a socket file behind.
    watch_signals();
    for (const auto& entry : work) {
        start_one(entry);
    }
    start_control();
    announce(work);
    if (options_.stats_period) {
        last_reported_ = clock::now();
        stats_timer_.start_every(*options_.stats_period, [this] {
            host_.collect([this](const traffic& now) { report(now); });
        });
    }
}

void serving::start_one(const assignment& entry) {
    auto where = entry.what->start(host_, entry.local, entry.options, state_);
    const bool is_stale = !where && where.error() == std::errc::address_in_use &&
                          entry.local.kind() == transport::unix_datagram &&
                          entry.options.stream.replace_stale;
    // For streams the library sees to that itself.
    if (is_stale && remove_stale_socket(loop_, entry.local)) {
        where = entry.what->start(host_, entry.local, entry.options, state_);
    }
    if (!where) {
        throw command_error(exit_failed, explain(entry, where.error()));
    }
    places_.push_back(*where);
}

void serving::start_control() {
    if (!options_.control) {
        return;
    }
    auto made = control_port::open(loop_, host_, *options_.control);
    if (!made) {
        throw command_error(
            exit_failed,
            fmt::format("--control {}: {}", options_.control->to_string(), made.error().message()));
    }
    control_.emplace(std::move(made).value());
}

void serving::watch_signals() {
    stop_signals_ = signal_set::open(loop_, {SIGINT, SIGTERM}, [this](int) { stop(); }).value();
    report_signal_ =
        signal_set::open(loop_, {SIGUSR1, SIGHUP}, [this](int) {
            host_.collect([this](const traffic& now) {
                write_talk("sockeye: running for " + totals(now) + "\n", duration::zero());
            });
        }).value();
}

/// `sockeye: echo ready on tcp://127.0.0.1:7007 and udp://127.0.0.1:7007 (epoll)`
void serving::announce(const std::vector<assignment>& work) const {
    auto how = fmt::format("{}", to_string(loop_.backend()));
    if (options_.threads > 1) {
        how += fmt::format(", {} threads", options_.threads);
    }
    std::string page;
    for (std::size_t i = 0; i < work.size();) {
        const auto* what = work[i].what;
        std::vector<std::string> places;
        for (; i < work.size() && work[i].what == what; ++i) {
            places.push_back(places_[i].to_string());
        }
        page += fmt::format("sockeye: {} ready on {} ({})\n", what->name, join_and(places), how);
    }
    if (control_) {
        page += fmt::format("sockeye: control ready on {}\n", control_->place().to_string());
    }
    print(page);
    talk(fmt::format("at most {} (all limits: --help); press Ctrl-C to stop",
                     counted(options_.connections_max, "connection")));
}

void serving::run() {
    if (const auto error = loop_.run()) {
        throw command_error(exit_failed, "waiting for events: " + error.message());
    }
    if (const auto error = host_.finish()) {
        throw command_error(exit_failed, "a thread waiting for events: " + error.message());
    }
    log_.flush();
    auto line = "stopped after " + totals(host_.total());
    if (unfinished_ > 0) {
        line += fmt::format(", {} cut off with bytes unsent", counted(unfinished_, "connection"));
    }
    talk(line);
}

/// No new peers and no new datagrams; what is to be sent is sent. A second signal kills.
void serving::stop() {
    if (std::exchange(is_stopping_, true)) {
        return;
    }
    stop_signals_.reset();
    die_on_next_signal();
    stats_timer_.cancel();
    control_.reset();
    host_.close();
    drain_deadline_ = clock::now() + options_.stop_time;
    drain_timer_.start_every(drain_step, [this] { look_at_drain(); });
    look_at_drain();
}

/// Who got all that was for it and does not end its own side holds nothing up.
void serving::look_at_drain() {
    if (clock::now() >= drain_deadline_) {
        unfinished_ = host_.connection_count();
        loop_.stop();
        return;
    }
    host_.collect([this](const traffic& now) {
        if (now.unsent_bytes == 0) {
            loop_.stop();
        }
    });
}

/// `sockeye: last 10 s: 3 open, 12 connections, 0 datagrams, 1.9 MiB/s in, 1.9 MiB/s out, 0 errors`
void serving::report(const traffic& now) {
    const auto& last = last_report_;
    // Later than asked for where there is much to do; threads may make two come close together.
    const auto passed = std::max(clock::now() - std::exchange(last_reported_, clock::now()),
                                 *options_.stats_period);
    write_talk(fmt::format("sockeye: last {}: {} open, {}, {}, {} in, {} out, {}\n",
                           format_time(*options_.stats_period), now.open,
                           counted(now.accepted - last.accepted, "connection"),
                           counted(now.datagrams - last.datagrams, "datagram"),
                           per_second(now.bytes_in - last.bytes_in, passed),
                           per_second(now.bytes_out - last.bytes_out, passed),
                           counted(now.errors - last.errors, "error")),
               duration::zero());
    last_report_ = now;
}

/// `2m14s: 3 connections, 12 datagrams, 1.9 MiB in, 1.9 MiB out, 0 errors`
std::string serving::totals(const traffic& did) const {
    auto line = fmt::format("{}: {}, {}, {} in, {} out, {}", format_time(clock::now() - started_),
                            counted(did.accepted, "connection"), counted(did.datagrams, "datagram"),
                            format_size(did.bytes_in), format_size(did.bytes_out),
                            counted(did.errors + state_.unanswered, "error"));
    if (did.refused > 0) {
        line += fmt::format(", {} refused for what their source has open",
                            counted(did.refused, "connection"));
    }
    const auto forbidden = state_.forbidden();
    if (forbidden > 0) {
        line +=
            fmt::format(", {} from forbidden senders not answered", counted(forbidden, "datagram"));
    }
    if (const auto limited = state_.refused() - forbidden; limited > 0) {
        line += fmt::format(", {} beyond the limits of public addresses not answered",
                            counted(limited, "datagram"));
    }
    return line;
}

void serving::talk(const std::string& line) const {
    if (!common_.is_quiet) {
        write_talk("sockeye: " + line + "\n", talk_patience);
    }
}

} // namespace sockeye::cli
