#include "bench/words.hpp"

#include "cli/text.hpp"
#include "cli/values.hpp"

#include <algorithm>

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

/// The lanes of one verdict, what their ratios say, and `is` or `are`.
struct group {
    std::vector<std::string> names;
    std::vector<std::string> ratios;

    [[nodiscard]] bool is_empty() const { return names.empty(); }
    void add(const lane_summary& lane, const comparison& found, metric by) {
        const double times = found.against_baseline.estimate;
        names.push_back(lane.what->name);
        ratios.push_back(fmt::format("{:.2f}x", by == metric::rate ? times : 1 / times));
    }

    [[nodiscard]] std::string subject(const char* one, const char* many) const {
        return cli::join_and(names) + " " + (names.size() == 1 ? one : many);
    }
};

/// `poll is slower than epoll in datagrams (0.95x the rate).`
void add_difference(const group& lanes, verdict said, const std::string& baseline,
                    const std::string& place, metric by, std::vector<std::string>& sentences) {
    if (lanes.is_empty()) {
        return;
    }
    const auto ratios = cli::join_and(lanes.ratios);
    std::string amount = ratios + " the rate";
    if (by == metric::cpu) {
        amount =
            fmt::format("{} {} the server CPU", lanes.names.size() == 1 ? "needs" : "need", ratios);
    } else if (by != metric::rate) {
        amount = fmt::format("{} the {} response time", ratios,
                             by == metric::response_p99 ? "p99" : "median");
    }
    sentences.push_back(fmt::format("{} {} than {} in {} ({}).", lanes.subject("is", "are"),
                                    name_of(said), baseline, place, amount));
}

void add_sentences(const pass_summary& pass, const std::string& baseline,
                   std::vector<std::string>& sentences) {
    const auto place = place_of(pass.record->what);
    group faster;
    group slower;
    group same;
    group unclear;
    for (const auto& lane : pass.lanes) {
        const auto* found = compared(lane, pass.primary);
        if (found == nullptr || found->said == verdict::none) {
            continue;
        }
        auto& told = found->said == verdict::faster   ? faster
                     : found->said == verdict::slower ? slower
                     : found->said == verdict::same   ? same
                                                      : unclear;
        told.add(lane, *found, pass.primary);
    }
    add_difference(faster, verdict::faster, baseline, place, pass.primary, sentences);
    add_difference(slower, verdict::slower, baseline, place, pass.primary, sentences);
    if (!same.is_empty()) {
        sentences.push_back(fmt::format("{} as fast as {} in {}: no difference that matters here.",
                                        same.subject("is", "are"), baseline, place));
    }
    if (!unclear.is_empty()) {
        sentences.push_back(fmt::format("{} too close to {} in {} to tell: more --rounds would.",
                                        unclear.subject("is", "are"), baseline, place));
    }
}

/// Why --rounds auto had no more of them, and what that came to.
void add_ending(const pass_summary& pass, const plan& whole, std::vector<std::string>& sentences) {
    const auto& record = *pass.record;
    const auto width = widest(primary_ratios(record, whole.baseline, whole.confidence()));
    const auto known = width ? fmt::format("its ratios are known to within {:.1f} %", *width * 100)
                             : std::string("no ratio is known");
    std::string why;
    switch (record.ended) {
    case ending::none:
        return;
    case ending::precise:
        why = fmt::format("every ratio was known to within {:.0f} %", enough::within * 100);
        break;
    case ending::most:
        why = known + ", and there are no more rounds";
        break;
    case ending::time:
        why = fmt::format("{}, and {} are over", known, cli::format_time(enough::budget));
        break;
    case ending::nothing:
        why = "it has no ratio that more could tell";
        break;
    }
    sentences.push_back(fmt::format("{} ended after {} of {} rounds: {}.", place_of(record.what),
                                    record.rounds(), whole.rounds.to_string(), why));
}

/// What ended rounds of an open loop, where it was our own cap.
std::string cap_text(const load& what, const std::vector<lane_result>& rounds) {
    const auto ended = std::count_if(rounds.begin(), rounds.end(), [](const lane_result& each) {
        return each.counted.has_overflowed;
    });
    return ended == 0 ? ""
                      : fmt::format("; {} ended at --max-in-flight {}", ended, what.in_flight_max);
}

/// Who did not keep up with an open loop.
void add_overloads(const pass_summary& pass, std::vector<std::string>& sentences) {
    for (const auto& lane : pass.lanes) {
        if (lane.overloaded_rounds > 0 && !pass.record->what.find_rate) {
            sentences.push_back(fmt::format(
                "{} did not keep up in {} ({} of {} rounds): {} offered, {} answered{}.",
                lane.what->name, place_of(pass.record->what), lane.overloaded_rounds,
                lane.rounds->size(),
                cli::format_rate({pass.record->what.what.rate_per_s, cli::rate::kind::per_second}),
                cli::format_rate({lane.rate.median, cli::rate::kind::per_second}),
                cap_text(pass.record->what.what, *lane.rounds)));
        }
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
        add_overloads(pass, sentences);
        add_sentences(pass, made.whole->baseline, sentences);
        add_ending(pass, *made.whole, sentences);
    }
    return sentences;
}

} // namespace sockeye::bench
