#include "bench/round.hpp"

#include "bench/control_client.hpp"
#include "bench/datagram_client.hpp"
#include "bench/server.hpp"
#include "bench/stream_client.hpp"
#include "cli/text.hpp"

#include <algorithm>
#include <limits>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration connect_timeout = 10s;
/// How long one wait may take, so that Ctrl-C is heard.
constexpr duration patience = 50ms;
constexpr duration pause_between_lanes = 50ms;

/// Everything that is read at both ends of the window.
struct snapshot {
    time_point taken;
    std::optional<account> server;
    std::optional<std::uint64_t> server_run_delay_ns;
    std::optional<std::uint64_t> client_run_delay_ns;
    process_times client;
    std::optional<host::cpu_usage> host;
};

template <typename T>
std::optional<T> minus(const std::optional<T>& after, const std::optional<T>& before) {
    return after && before ? std::optional(*after - *before) : std::nullopt;
}

/// One lane of one round, while it runs.
template <typename Client>
class round_runner {
public:
    round_runner(const plan& whole, const pass& test, const lane& subject, const ring& content,
                 progress& shown)
        : plan_(whole), pass_(test), lane_(subject), shown_(shown),
          loop_(loop_options{.backend = best_backend(),
                             .queued_bytes_max = std::numeric_limits<std::size_t>::max() / 2}),
          client_(make_client(content)) {}

    lane_result run() {
        start_server();
        connect();
        client_.start();
        turn_until(clock::now() + pass_.warmup, std::numeric_limits<std::uint64_t>::max());
        measure();
        client_.close();
        turn_while([](auto&) { return false; }, 0ns);
        check_result();
        return std::move(result_);
    }

private:
    Client make_client(const ring& content) {
        if constexpr (std::is_same_v<Client, stream_client>) {
            return Client(loop_, pass_.what, content, result_.counted);
        } else {
            return Client(loop_, pass_.what, content, result_.counted, plan_.timeout);
        }
    }

    void start_server() {
        if (plan_.target) {
            address_ = *plan_.target;
            if (plan_.control) {
                control_.emplace(*plan_.control);
            }
            return;
        }
        server_.emplace(server_process::start(lane_, pass_.what.carrier,
                                              {plan_.server_cpus, pass_.is_one_core}));
        address_ = server_->address();
        resident_at_start_ = host::resident_bytes(server_->pid());
    }

    void connect() {
        client_.open(address_, connect_timeout);
        turn_while([](Client& c) { return !c.is_open() && !c.has_failed(); }, connect_timeout);
        if (!client_.is_open() || client_.has_failed()) {
            throw round_failed(fmt::format("cannot connect to {}: {}", address_.to_string(),
                                           first_error("timed out")));
        }
    }

    void measure() {
        const snapshot before = take_snapshot();
        result_.counted.begin_window();
        window_start_ = before.taken;
        turn_until(before.taken + pass_.window,
                   plan_.messages.value_or(std::numeric_limits<std::uint64_t>::max()));
        // The client stands still from here on, so that these belong to the second snapshot.
        const std::uint64_t messages = result_.counted.messages;
        const std::uint64_t bytes = result_.counted.bytes;
        note_window(before, take_snapshot());
        drain();
        result_.counted.messages = messages;
        result_.counted.bytes = bytes;
    }

    /// Reads the server's account first: while it answers, the client stands still, and both ends
    /// of the window are alike in that.
    snapshot take_snapshot() {
        snapshot taken;
        if (server_) {
            taken.server = server_->ask();
            taken.server_run_delay_ns = host::run_delay_ns(server_->pid());
        } else if (control_) {
            taken.server = control_->ask();
        }
        taken.client_run_delay_ns = host::run_delay_ns(::getpid());
        taken.client = host::own_times();
        taken.host = host::usage_of(used_cpus());
        taken.taken = clock::now();
        return taken;
    }

    void note_window(const snapshot& before, const snapshot& after);
    void drain() {
        client_.stop_sending();
        turn_while([](Client& c) { return c.on_way() > 0 && c.alive() > 0; }, plan_.timeout);
    }

    void check_result();
    [[nodiscard]] std::string first_error(const char* otherwise) const {
        const auto& errors = result_.counted.errors;
        return errors.empty() ? otherwise : errors.begin()->first;
    }

    [[nodiscard]] host::cpu_list used_cpus() const {
        host::cpu_list used = plan_.server_cpus;
        if (!pass_.is_one_core) {
            used.insert(used.end(), plan_.client_cpus.begin(), plan_.client_cpus.end());
        }
        return used;
    }

    /// Turns the loop while `goes_on` says so, `limit` at most; once at least.
    template <typename Condition>
    void turn_while(Condition goes_on, duration limit) {
        const time_point end = clock::now() + limit;
        do {
            turn(std::min<duration>(end - clock::now(), patience));
        } while (goes_on(client_) && clock::now() < end);
    }

    void turn_until(time_point end, std::uint64_t messages) {
        const auto& counted = result_.counted;
        for (time_point now = clock::now(); now < end && counted.messages < messages;) {
            turn(std::min<duration>(end - now, patience));
            now = clock::now();
            shown_.tick(counted.messages, window_start_ ? now - *window_start_ : 0ns);
            if (client_.alive() == 0) {
                break;
            }
        }
    }

    void turn(duration limit) {
        if (host::interrupt() != 0) {
            throw interrupted();
        }
        if (const auto turned = loop_.run_once(limit); !turned) {
            throw round_failed("the client's loop failed: " + turned.error().message());
        }
    }

    const plan& plan_;
    const pass& pass_;
    const lane& lane_;
    progress& shown_;
    lane_result result_;
    std::optional<server_process> server_;
    std::optional<control_client> control_;
    endpoint address_;
    loop loop_;
    Client client_;
    std::optional<std::uint64_t> resident_at_start_;
    std::optional<time_point> window_start_;
};

template <typename Client>
void round_runner<Client>::note_window(const snapshot& before, const snapshot& after) {
    result_.seconds = std::chrono::duration<double>(after.taken - before.taken).count();
    if (after.server && before.server) {
        result_.server = difference(*after.server, *before.server);
    }
    if (server_) {
        result_.server_resident_bytes = host::resident_bytes(server_->pid());
    }
    if (pass_.what.idle > 0 && resident_at_start_ && result_.server_resident_bytes) {
        const auto connections = static_cast<double>(pass_.what.connections + pass_.what.idle);
        result_.resident_bytes_per_connection =
            (static_cast<double>(*result_.server_resident_bytes) -
             static_cast<double>(*resident_at_start_)) /
            connections;
    }
    result_.server_run_delay_ns = minus(after.server_run_delay_ns, before.server_run_delay_ns);
    result_.client_run_delay_ns = minus(after.client_run_delay_ns, before.client_run_delay_ns);
    result_.client = {after.client.cpu_ns - before.client.cpu_ns,
                      after.client.user_ns - before.client.user_ns,
                      after.client.system_ns - before.client.system_ns};
    if (before.host && after.host) {
        const std::size_t cpus = used_cpus().empty() ? host::online_cpus() : used_cpus().size();
        result_.host = host::cpu_usage{after.host->busy_ns - before.host->busy_ns,
                                       after.host->steal_ns - before.host->steal_ns,
                                       after.host->softirq_ns - before.host->softirq_ns,
                                       minus(after.host->pressure_ns, before.host->pressure_ns)};
        result_.host_seconds = result_.seconds * static_cast<double>(cpus);
    }
}

template <typename Client>
void round_runner<Client>::check_result() {
    if (result_.counted.wrong == 0 && result_.counted.messages == 0) {
        throw round_failed(fmt::format("{} answered no message: {}", address_.to_string(),
                                       first_error("timed out")));
    }
}

} // namespace

lane_result run_lane(const plan& whole, const pass& test, const lane& subject, const ring& content,
                     progress& shown) {
    host::place({test.is_one_core ? whole.server_cpus : whole.client_cpus, test.is_one_core});
    std::this_thread::sleep_for(pause_between_lanes);
    if (is_stream(test.what.carrier)) {
        return round_runner<stream_client>(whole, test, subject, content, shown).run();
    }
    return round_runner<datagram_client>(whole, test, subject, content, shown).run();
}

} // namespace sockeye::bench
