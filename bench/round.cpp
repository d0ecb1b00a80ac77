#include "bench/round.hpp"

#include "bench/rate_search.hpp"
#include "bench/window.hpp"

#include <thread>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration pause_between_lanes = 50ms;

subject_server start_server(const plan& whole, const pass& test, const lane& subject) {
    subject_server made;
    if (whole.target) {
        made.address = *whole.target;
        if (whole.control) {
            made.control = std::make_unique<control_client>(*whole.control);
        }
        return made;
    }
    made.process.emplace(server_process::start(subject, test.what, whole.seed,
                                               {whole.server_cpus, test.is_one_core}));
    made.address = made.process->address();
    made.resident_at_start = host::resident_bytes(made.process->pid());
    made.hardware = hardware_counters::of_process(made.process->pid());
    return made;
}

} // namespace

lane_result run_lane(const plan& whole, const pass& test, const lane& subject, const ring& content,
                     progress& shown) {
    host::place({test.is_one_core ? whole.server_cpus : whole.client_cpus, test.is_one_core});
    std::this_thread::sleep_for(pause_between_lanes);
    subject_server server = start_server(whole, test, subject);
    const auto run = [&](const load& what) {
        return window_runner(whole, test, what, server, content, shown).run();
    };
    return test.find_rate ? find_rate(test.what, *test.find_rate, run) : run(test.what);
}

} // namespace sockeye::bench
