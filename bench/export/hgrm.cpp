#include "bench/export/curves.hpp"
#include "bench/export/documents.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// How many lines there are from each percentile to the one half as far from 100 %.
constexpr double ticks_per_half = 5;

std::string percentile_line(double ms, double share, double passed) {
    auto line = fmt::format("{:12.3f} {:2.12f} {:10.0f}", ms, share, passed);
    if (share < 1) {
        line += fmt::format(" {:14.2f}", 1 / (1 - share));
    }
    return line + "\n";
}

/// The next percentile to be written, as HdrHistogram steps towards 100.
double next_level(double level) {
    const double halvings = std::floor(std::log2(100 / (100 - level))) + 1;
    return level + 100 / (ticks_per_half * std::pow(2.0, halvings));
}

double deviation_of(const saved_histogram& times, double mean) {
    double sum = 0;
    for (const auto& each : times.buckets) {
        sum += each.count * (each.upper - mean) * (each.upper - mean);
    }
    return std::sqrt(sum / times.count);
}

std::string hgrm_text(const saved_histogram& times, double mean) {
    constexpr double ms = 1e6;
    std::string text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    double level = 0;
    double passed = 0;
    for (const auto& each : times.buckets) {
        passed += each.count;
        const bool is_last = passed >= times.count;
        while (!is_last && passed / times.count * 100 >= level) {
            text += percentile_line(each.upper / ms, level / 100, passed);
            level = next_level(level);
        }
        if (is_last) {
            while (level / 100 < 1 - 0.5 / times.count) {
                text += percentile_line(each.upper / ms, level / 100, passed);
                level = next_level(level);
            }
            text += percentile_line(each.upper / ms, 1, passed);
            break;
        }
    }
    text += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", mean / ms,
                        deviation_of(times, mean) / ms);
    text += fmt::format("#[Max     = {:12.3f}, Total count    = {:12.0f}]\n",
                        times.buckets.back().upper / ms, times.count);
    return text + fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n", 53, 2048);
}

/// A part of a file's name: what is no letter, digit or dash becomes a dash.
std::string file_word(std::string_view text) {
    std::string made(text.substr(0, 60));
    for (char& c : made) {
        const bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        c = is_plain ? c : '-';
    }
    return made;
}

struct hgrm_lane {
    std::string name; ///< `latency-epoll`
    std::string text;
};

std::vector<hgrm_lane> hgrm_lanes(const run_view& run) {
    std::vector<hgrm_lane> made;
    for (const auto& pass : run.passes) {
        for (const auto& lane : pass.lanes) {
            const auto times = read_histogram(lane, pass.is_open);
            if (times.count < 1) {
                continue;
            }
            double sum = 0;
            for (const auto& each : times.buckets) {
                sum += each.upper * each.count;
            }
            const auto mean = number_at(*lane.result, "/summary/" + pass.times_name() + "_ns/mean");
            const auto place = pass.is_one_core() ? "-one-core" : "";
            made.push_back(
                {fmt::format("{}{}-{}", file_word(pass.test), place, file_word(lane.name)),
                 hgrm_text(times, mean.value_or(sum / times.count))});
        }
    }
    return made;
}

} // namespace

std::vector<named_text> hgrm_documents(const run_view& run, const std::string& path) {
    std::vector<named_text> files;
    auto lanes = hgrm_lanes(run);
    if (lanes.size() == 1) {
        files.push_back({path, std::move(lanes.front().text)});
        return files;
    }
    const auto stem = path.substr(0, path.rfind('.'));
    for (auto& lane : lanes) {
        auto name = fmt::format("{}-{}.hgrm", stem, lane.name);
        for (int number = 2; std::ranges::find(files, name, &named_text::path) != files.end();) {
            name = fmt::format("{}-{}-{}.hgrm", stem, lane.name, number++);
        }
        files.push_back({std::move(name), std::move(lane.text)});
    }
    return files;
}

} // namespace sockeye::bench::exporting
