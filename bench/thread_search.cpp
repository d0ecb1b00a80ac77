#include "bench/thread_search.hpp"

#include "bench/client/ring.hpp"
#include "bench/round.hpp"

#include <algorithm>
#include <utility>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

/// Less than this is no reason for more threads.
constexpr double growth_min = 1.03;
constexpr std::size_t threads_ever_max = 256;
constexpr duration trial_warmup = 100ms;
constexpr duration trial_window = 200ms;

request with_threads(request wanted, std::size_t threads) {
    wanted.threads = threads;
    return wanted;
}

/// The lane that all others are compared with; the only one where there is none.
const lane& baseline_of(const plan& whole, const pass& test) {
    for (const auto& each : test.lanes) {
        if (each.name == whole.baseline) {
            return each;
        }
    }
    return test.lanes.front();
}

double try_threads(const request& wanted, std::size_t threads, progress& shown) {
    const plan whole = make_plan(with_threads(wanted, threads));
    pass test = whole.passes.front();
    test.find_rate.reset();
    test.what.rate_per_s = 0;
    test.warmup = trial_warmup;
    test.window = trial_window;
    const ring content(whole.seed);
    return run_lane(whole, test, baseline_of(whole, test), content, shown).rate();
}

} // namespace

std::size_t threads_max(const request& wanted, std::size_t cpus, std::size_t connections) {
    if (cpus < cpus_for_threads || wanted.is_one_core) {
        return 1;
    }
    const std::size_t taken = std::max<std::size_t>(wanted.server_cpus.size(), 1);
    const std::size_t left = cpus > taken ? cpus - taken : 1;
    const std::size_t free = wanted.client_cpus.empty() ? left : wanted.client_cpus.size();
    return std::min({free, connections, threads_ever_max});
}

thread_choice search_threads(std::size_t most, const std::function<double(std::size_t)>& rate_of) {
    thread_choice found;
    if (most < 2) {
        return found;
    }
    double best = rate_of(1);
    found.tried.push_back({1, best});
    while (found.threads * 2 <= most) {
        const double next = rate_of(found.threads * 2);
        found.tried.push_back({found.threads * 2, next});
        if (next < best * growth_min) {
            break;
        }
        best = next;
        found.threads *= 2;
    }
    return found;
}

plan plan_with_threads(const request& wanted, std::size_t most) {
    const auto allowed = host::allowed_cpus();
    progress silent(progress::form::none, duration::zero());
    auto found = search_threads(most, [&](std::size_t threads) {
        const double rate = try_threads(wanted, threads, silent);
        host::place({allowed, false}); // the next plan has all CPUs to choose from
        return rate;
    });
    plan made = make_plan(with_threads(wanted, found.threads));
    made.threads_found = std::move(found);
    return made;
}

} // namespace sockeye::bench
