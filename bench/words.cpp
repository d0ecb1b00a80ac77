#include "bench/words.hpp"

#include "cli/text.hpp"

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

/// `throughput`, `throughput on one core`, `the test with 900 idle connections`.
std::string place_of(const pass& test) {
    std::string place = test.what.idle > 0
                            ? fmt::format("the test with {} idle connections", test.what.idle)
                            : test.test;
    return place + (test.is_one_core ? " on one core" : "");
}

/// The lanes of one verdict, and `is` or `are`.
struct group {
    std::vector<std::string> names;

    [[nodiscard]] std::string subject(const char* one, const char* many) const {
        return cli::join_and(names) + " " + (names.size() == 1 ? one : many);
    }
};

/// What a ratio of `by` means in plain words: `1.03x the rate`, `1.05x the CPU`.
std::string difference(const comparison& found, metric by) {
    const double times = found.against_baseline.estimate;
    if (by == metric::cpu) {
        return fmt::format("needs {:.2f}x the server CPU", 1 / times);
    }
    return fmt::format("{:.2f}x the rate", times);
}

void add_sentences(const pass_summary& pass, const std::string& baseline,
                   std::vector<std::string>& sentences) {
    const auto place = place_of(pass.record->what);
    group same;
    group unclear;
    for (const auto& lane : pass.lanes) {
        const auto* found = compared(lane, pass.primary);
        if (found == nullptr || found->said == verdict::none) {
            continue;
        }
        if (found->said == verdict::same) {
            same.names.push_back(lane.what->name);
        } else if (found->said == verdict::unclear) {
            unclear.names.push_back(lane.what->name);
        } else {
            sentences.push_back(fmt::format("{} is {} than {} in {} ({}).", lane.what->name,
                                            name_of(found->said), baseline, place,
                                            difference(*found, pass.primary)));
        }
    }
    if (!same.names.empty()) {
        sentences.push_back(fmt::format("{} as fast as {} in {}: no difference that matters here.",
                                        same.subject("is", "are"), baseline, place));
    }
    if (!unclear.names.empty()) {
        sentences.push_back(fmt::format("{} too close to {} in {} to tell: more --rounds would.",
                                        unclear.subject("is", "are"), baseline, place));
    }
}

} // namespace

std::vector<std::string> words_of(const report& made) {
    std::vector<std::string> sentences;
    const bool is_compared = !made.passes.empty() && made.passes.front().lanes.size() > 1;
    if (made.grade.grade == 'C' && is_compared) {
        sentences.push_back("No verdicts: what is marked GRAVE below could make any difference.");
    }
    for (const auto& pass : made.passes) {
        add_sentences(pass, made.whole->baseline, sentences);
    }
    return sentences;
}

} // namespace sockeye::bench
