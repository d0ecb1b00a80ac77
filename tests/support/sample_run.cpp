#include "support/sample_run.hpp"

#include "bench/histogram.hpp"
#include "bench/judge/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

namespace support {
namespace {

using nlohmann::json;
using sockeye::bench::histogram;

/// One test of the made-up run.
struct sample_test {
    std::string name;
    std::string placement;
    std::string transport = "tcp";
    std::uint64_t connections = 64;
    std::uint64_t idle = 0;
    bool is_open = false;
    double rate = 0;    ///< of epoll, in messages a second
    double time_ns = 0; ///< its median time
};

std::vector<sample_test> sample_tests() {
    return {{"throughput", "two-cores", "tcp", 64, 0, false, 177e3, 340e3},
            {"datagrams", "two-cores", "udp", 64, 0, false, 203e3, 300e3},
            {"latency", "two-cores", "tcp", 64, 0, true, 83e3, 31e3},
            {"idle", "two-cores", "tcp", 8, 900, false, 121e3, 62e3},
            {"throughput", "one-core", "tcp", 64, 0, false, 96e3, 650e3},
            {"datagrams", "one-core", "udp", 64, 0, false, 110e3, 570e3}};
}

/// How fast a backend is beside epoll.
double factor_of(const std::string& backend, const sample_test& test) {
    const bool is_slow = backend == "select" || backend == "poll";
    if (is_slow && test.idle > 0) {
        return backend == "poll" ? 0.081 : 0.078;
    }
    if (backend == "io_uring") {
        return 1.035;
    }
    return backend == "select" ? 0.94 : backend == "poll" ? 0.985 : 1.0;
}

/// Numbers that are the same with every standard library.
class sample_noise {
public:
    /// Between 0 and 1, without the ends.
    double part() { return (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53; }
    /// Near 1, as far as `by`.
    double near_one(double by) { return 1 + by * (part() + part() - 1); }
    /// Times as queues make them: most near the middle, few far above.
    double time(double middle) {
        const double wide = part() + part() + part() - 1.5;
        const double tail = part() < 0.004 ? 3 * -std::log(part()) : 0;
        return middle * std::exp(0.45 * wide + tail * 0.15);
    }

private:
    std::mt19937_64 random_{7};
};

std::uint64_t whole(double value) {
    return static_cast<std::uint64_t>(std::llround(value));
}

json times_of(const histogram& times) {
    json made = {{"count", times.count()},
                 {"min", times.min()},
                 {"mean", times.mean()},
                 {"max", times.max()}};
    constexpr std::pair<const char*, double> shares[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
    for (const auto& [name, share] : shares) {
        if (times.can_tell(share)) {
            made[name] = times.percentile(share);
        }
    }
    return made;
}

json curve_of(const histogram& times) {
    json made = json::array();
    for (int i = 0;; ++i) {
        const double share = 1 - std::pow(10.0, -i / 20.0);
        if (!times.can_tell(share)) {
            return made;
        }
        made.push_back(times.percentile(share));
    }
}

json pairs_of(const histogram& times) {
    json pairs = json::array();
    times.for_each_bucket([&pairs](std::uint64_t upper, std::uint64_t count) {
        pairs.push_back({upper, count});
    });
    return {{"format", "loglin/1"}, {"unit", "ns"}, {"digits", 3}, {"pairs", std::move(pairs)}};
}

json estimate_of(const std::vector<double>& values) {
    json made = {{"median", sockeye::bench::median(values)},
                 {"spread", sockeye::bench::relative_spread(values)}};
    if (const auto bounds = sockeye::bench::median_interval(values)) {
        made["lo"] = bounds->lo;
        made["hi"] = bounds->hi;
    }
    return made;
}

/// Makes the lanes of one test.
class sample_lane {
public:
    sample_lane(const sample_options& options, const sample_test& test, std::string backend,
                sample_noise& noise)
        : options_(options), test_(test), backend_(std::move(backend)), noise_(noise) {
        speed_ = factor_of(backend_, test);
    }

    json make() {
        json rounds = json::array();
        for (std::size_t i = 0; i < options_.rounds; ++i) {
            rounds.push_back(make_round(i + 1, false));
        }
        // One round stalled and was run again.
        if (backend_ == "poll" && test_.name == "throughput" && options_.rounds > 2) {
            rounds[2]["is_replaced"] = true;
            rounds[2]["flags"] = {"stall"};
            rounds.push_back(make_round(3, true));
            rounds.back()["slot"] = 1;
        }
        return result_of(std::move(rounds));
    }

private:
    json make_round(std::size_t number, bool is_repeat) {
        const double seconds = 1 + 0.00001 * static_cast<double>(number);
        const double rate = test_.rate * (test_.is_open ? 1 : speed_) * noise_.near_one(0.015);
        const auto messages = whole(rate * seconds);
        const double middle = test_.time_ns / speed_ * noise_.near_one(0.03);
        histogram service;
        histogram response;
        histogram lag;
        // Every message stands for a hundred: it is the shape that matters.
        for (std::uint64_t i = 0; i < messages / 20; ++i) {
            const double time = noise_.time(middle);
            const double late = noise_.time(900);
            service.record(whole(time));
            response.record(whole(time + late));
            lag.record(whole(late));
        }
        service_.merge(service);
        response_.merge(response);
        lag_.merge(lag);
        json made = {{"round", number},
                     {"slot", number % 5 + 1},
                     {"seconds", seconds},
                     {"messages", messages},
                     {"bytes", messages * 64},
                     {"service_ns", times_of(service)},
                     {"errors", json::object()},
                     {"unfinished", 0},
                     {"lost", test_.transport == "udp" ? number % 2 : 0},
                     {"late", 0},
                     {"duplicate", 0},
                     {"reordered", 0},
                     {"wrong", 0},
                     {"flags", json::array()}};
        if (is_repeat) {
            made["is_repeat"] = true;
        }
        add_open(made, response, lag);
        add_account(made, messages);
        if (options_.has_curves) {
            made["curve_ns"] = curve_of(test_.is_open ? response : service);
        }
        if (options_.has_windows) {
            made["windows"] = windows_of(rate, number, is_repeat);
        }
        if (!(backend_ == "poll" && number == 3 && !is_repeat && test_.name == "throughput")) {
            rates_.push_back(static_cast<double>(messages) / seconds);
            cpu_.push_back(made["server"]["cpu_ns_per_message"].get<double>());
        }
        return made;
    }

    void add_open(json& made, const histogram& response, const histogram& lag) const {
        if (test_.is_open) {
            made["response_ns"] = times_of(response);
            made["send_lag_ns"] = times_of(lag);
            made["offered"] = made["messages"];
            made["answered"] = made["messages"];
            made["overloaded"] = false;
        }
    }

    void add_account(json& made, std::uint64_t messages) {
        const auto cpu = whole(5000 / speed_ * noise_.near_one(0.02));
        made["server"] = {{"cpu_ns_per_message", cpu},
                          {"cpu_ns", cpu * messages},
                          {"user_ns", cpu * messages / 4},
                          {"system_ns", cpu * messages - cpu * messages / 4},
                          {"run_delay_ns", whole(2.1e6 * noise_.near_one(0.5))},
                          {"syscalls",
                           {{"wait", messages / 9},
                            {"read", messages},
                            {"write", messages},
                            {"register", 64},
                            {"accept", 64}}},
                          {"events", messages},
                          {"would_blocks", 3},
                          {"rss_bytes", 6291456}};
        made["client"] = {
            {"cpu_ns_per_message", cpu + 900}, {"busy", 1.0}, {"run_delay_ns", 180000}};
        made["host"] = {{"busy", 0.97}, {"steal", 0.003}, {"softirq", 0.08}};
    }

    json windows_of(double rate, std::size_t number, bool is_repeat) {
        constexpr double ns = 20e6;
        json made = {{"ns", 20000000}, {"warmup", 15}, {"messages", json::array()}};
        for (int i = 0; i < 65; ++i) {
            const bool is_stalled = backend_ == "poll" && number == 3 && !is_repeat &&
                                    test_.name == "throughput" && i >= 40 && i < 46;
            const double warm = i < 4 ? 0.5 + 0.12 * i : 1;
            const double now = rate * warm * noise_.near_one(0.06) * (is_stalled ? 0.2 : 1);
            made["messages"].push_back(whole(now * ns / 1e9));
            made["server_run_delay_ns"].push_back(
                whole(is_stalled ? 0.7 * ns : 0.002 * ns * noise_.part()));
            made["client_run_delay_ns"].push_back(whole(0.004 * ns * noise_.part()));
            if (test_.is_open) {
                made["send_lag_max_ns"].push_back(whole(noise_.time(9000)));
            }
        }
        return made;
    }

    json result_of(json rounds) {
        json summary = {
            {"rate_per_s", estimate_of(rates_)},  {"server_cpu_ns_per_message", estimate_of(cpu_)},
            {"syscalls_per_message", 2.11},       {"events_per_wait", 9.1},
            {"rss_bytes_per_connection", 5120.5}, {"service_ns", times_of(service_)}};
        json made = {{"test", test_.name},
                     {"placement", test_.placement},
                     {"backend", backend_},
                     {"transport", test_.transport},
                     {"connections", test_.connections},
                     {"idle", test_.idle},
                     {"pipeline", 1},
                     {"size_bytes", {64, 64}},
                     {"verified", true},
                     {"mode", "echo"},
                     {"loop", test_.is_open ? "open" : "closed"},
                     {"pace", "spin"},
                     {"threads", 1},
                     {"warmup_ns", 300000000},
                     {"duration_ns", 1000000000},
                     {"histogram", pairs_of(options_.has_histograms ? service_ : histogram())},
                     {"rounds", std::move(rounds)}};
        if (test_.is_open) {
            made["offered_per_s"] = test_.rate;
            made["arrival"] = "poisson";
            summary["response_ns"] = times_of(response_);
            summary["send_lag_ns"] = times_of(lag_);
            made["response_histogram"] =
                pairs_of(options_.has_histograms ? response_ : histogram());
            for (const char* name : {"p50", "p90", "p99"}) {
                std::vector<double> values;
                for (const auto& round : made["rounds"]) {
                    values.push_back(round["response_ns"][name].get<double>());
                }
                summary["response_by_round_ns"][name] = estimate_of(values);
            }
        }
        made["summary"] = std::move(summary);
        return made;
    }

    const sample_options& options_;
    const sample_test& test_;
    std::string backend_;
    sample_noise& noise_;
    double speed_ = 1;
    histogram service_;
    histogram response_;
    histogram lag_;
    std::vector<double> rates_;
    std::vector<double> cpu_;
};

json ratio_of(const sample_test& test, const char* metric, double ratio, std::size_t rounds) {
    json made = {{"test", test.name},  {"placement", test.placement},    {"metric", metric},
                 {"ratio", ratio},     {"method", "paired-signed-rank"}, {"pairs", rounds},
                 {"baseline", "epoll"}};
    if (rounds >= 6) {
        made["lo"] = ratio * 0.987;
        made["hi"] = ratio * 1.012;
    }
    return made;
}

void add_comparisons(json& document, const sample_test& test, const sample_options& options) {
    std::vector<const char*> metrics = {"rate_per_s", "cpu_ns_per_message"};
    if (test.is_open) {
        metrics = {"response_p50_ns", "response_p99_ns", "cpu_ns_per_message"};
    }
    for (const char* metric : metrics) {
        for (const auto& backend : options.backends) {
            if (backend == "epoll") {
                continue;
            }
            const double ratio = factor_of(backend, test);
            auto made = ratio_of(test, metric, ratio, options.rounds);
            made["backend"] = backend;
            made["verdict"] = options.rounds < 6 ? "none"
                              : ratio > 1.02     ? "faster"
                              : ratio < 0.98     ? "slower"
                                                 : "same";
            document["comparisons"].push_back(std::move(made));
        }
        document["control"].push_back(ratio_of(test, metric, 0.996, options.rounds));
    }
}

json sample_head(const sample_options& options) {
    return {{"schema", "sockeye.bench/1"},
            {"id", "7f3a"},
            {"started", "2026-11-21T03:40:11Z"},
            {"status", "complete"},
            {"tool",
             {{"version", "0.1.0"},
              {"build", "release"},
              {"compiler", "gcc 12.2.0"},
              {"flags", "-O2"}}},
            {"command", {"sockeye", "bench", "--label", "a quiet evening"}},
            {"label", "a quiet evening"},
            {"machine",
             {{"cpu", "AMD EPYC"},
              {"cpus_online", 2},
              {"cpus_allowed", {0, 1}},
              {"smt", false},
              {"numa_nodes", 1},
              {"virtual", true},
              {"kernel", "Linux 6.18.44"},
              {"clocksource", "tsc"},
              {"mitigations", {"retpoline", "spectre_v1: usercopy/swapgs barriers"}},
              {"tcp_congestion", "bbr"},
              {"somaxconn", 4096},
              {"nofile", 20000},
              {"mem_bytes", 8326434816}}},
            {"plan",
             {{"rounds", options.rounds},
              {"seed", 1},
              {"order", "williams"},
              {"timeout_ns", 1000000000},
              {"pin", {{"server", {1}}, {"client", {0}}}},
              {"baseline", "epoll"},
              {"control", true}}},
            {"results", json::array()},
            {"comparisons", json::array()},
            {"control", json::array()},
            {"calibration", {{"ceiling_per_s", 1.9e6}, {"clock_read_ns", 21.0}}},
            {"thresholds",
             {{{"expr", "p99>2ms"}, {"failed", false}},
              {{"expr", "rate<200k/s"},
               {"failed", true},
               {"worst", 166000},
               {"test", "throughput"},
               {"backend", "select"}}}},
            {"words",
             {"io_uring is faster than epoll in throughput (1.03x the rate).",
              "poll is as fast as epoll in throughput: no difference that matters here."}},
            {"trust",
             {{"grade", "B"},
              {"flags",
               {{{"id", "few-cpus"},
                 {"text", "2 CPUs only: kernel network work of client and server shares them"}},
                {{"id", "steal"},
                 {"value", 0.003},
                 {"text", "a virtual machine neighbour took 0.3 % of the time"}}}}}}};
}

} // namespace

nlohmann::json sample_run(const sample_options& options) {
    auto document = sample_head(options);
    sample_noise noise;
    for (const auto& test : sample_tests()) {
        auto backends = options.backends;
        backends.push_back("control");
        for (const auto& backend : backends) {
            document["results"].push_back(sample_lane(options, test, backend, noise).make());
        }
        add_comparisons(document, test, options);
    }
    return document;
}

} // namespace support
