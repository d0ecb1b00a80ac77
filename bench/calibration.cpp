#include "bench/calibration.hpp"

#include "bench/client/stream_client.hpp"
#include "bench/machine/host.hpp"
#include "bench/plan.hpp"

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration calibration_time = 300ms;
constexpr int clock_reads = 10'000;

double measure_clock() {
    const time_point before = clock::now();
    time_point last = before;
    for (int i = 0; i < clock_reads; ++i) {
        last = clock::now();
    }
    return static_cast<double>((last - before).count()) / clock_reads;
}

} // namespace

std::optional<calibration> calibrate(const ring& content) {
    loop_options options;
    options.backend = best_backend();
    loop own(std::move(options));
    tally counted;
    stream_client talker({own, load(), content, counted});
    if (talker.open_to_itself()) {
        return std::nullopt;
    }
    const time_point begin = clock::now();
    const time_point end = begin + calibration_time;
    counted.over_time.begin(begin);
    talker.start(begin);
    while (clock::now() < end) {
        if (host::interrupt() != 0 || counted.wrong > 0 || !own.run_once(0ns)) {
            return std::nullopt;
        }
    }
    const double seconds = std::chrono::duration<double>(clock::now() - begin).count();
    const auto messages = static_cast<double>(counted.messages);
    talker.close();
    return calibration{messages / seconds, measure_clock()};
}

} // namespace sockeye::bench
