#include "bench/progress.hpp"

#include "cli/common.hpp"
#include "cli/values.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t bar_width = 24;
constexpr duration object_interval = 100ms;

/// Whoever does not read it is no reason to stop.
void tell(const std::string& text) {
    std::fputs(text.c_str(), stderr);
}

} // namespace

std::string progress_bar(double share, std::size_t columns, bool is_smooth) {
    const double filled = std::clamp(share, 0.0, 1.0) * static_cast<double>(columns);
    const auto whole = static_cast<std::size_t>(filled);
    if (!is_smooth) {
        return std::string(whole, '#') + std::string(columns - whole, '-');
    }
    // U+2588 is a full block, U+258F an eighth of one; between them they shrink.
    std::string text;
    for (std::size_t i = 0; i < whole; ++i) {
        text += "\xe2\x96\x88";
    }
    const auto eighths = static_cast<int>((filled - static_cast<double>(whole)) * 8);
    if (eighths > 0) {
        text += "\xe2\x96";
        text += static_cast<char>(0x90 - eighths);
    }
    return text + std::string(columns - whole - (eighths > 0 ? 1 : 0), ' ');
}

progress::progress(form how, duration total)
    : form_(how), is_smooth_(how == form::terminal && cli::shows_utf8(STDERR_FILENO)),
      total_(total) {}

void progress::begin_round(std::string_view test, std::size_t round, const round_count& rounds) {
    test_ = test;
    round_number_ = round;
    round_ = fmt::format("{} round {}{}{}", test, round, rounds.is_auto() ? " of " : "/",
                         rounds.to_string());
    lanes_done_.clear();
}

void progress::begin_lane(std::string_view name) {
    lane_ = name;
    told_messages_ = 0;
    told_until_ = {};
    if (form_ == form::terminal) {
        show("");
    }
}

void progress::tick(std::uint64_t messages, duration since_start) {
    if (form_ == form::objects && since_start - told_until_ >= object_interval) {
        tell_object(messages, since_start);
    }
    if (form_ != form::terminal || clock::now() - last_shown_ < 250ms || since_start <= 0ns) {
        return;
    }
    const double seconds = std::chrono::duration<double>(since_start).count();
    show(cli::format_count(static_cast<double>(messages) / seconds) + "/s");
}

void progress::end_lane(double rate, duration planned) {
    done_ += planned;
    lanes_done_ += fmt::format("  {} {:.0f}/s", lane_, rate);
}

void progress::end_round() {
    if (form_ == form::lines) {
        tell(fmt::format("{}{}\n", round_, lanes_done_));
    }
}

void progress::erase() {
    if (is_shown_) {
        std::fputs("\r\x1b[K", stderr);
        is_shown_ = false;
    }
}

void progress::tell_object(std::uint64_t messages, duration since_start) {
    const auto seconds = std::chrono::duration<double>(since_start - told_until_).count();
    const std::uint64_t more = messages - told_messages_;
    tell(fmt::format(
        "{{\"test\":\"{}\",\"round\":{},\"backend\":\"{}\",\"at_ns\":{},\"messages\":{},"
        "\"rate_per_s\":{:.0f}}}\n",
        test_, round_number_, lane_, since_start.count(), more,
        static_cast<double>(more) / seconds));
    told_messages_ = messages;
    told_until_ = since_start;
}

void progress::show(std::string_view detail) {
    const double share =
        std::min(1.0, static_cast<double>(done_.count()) /
                          static_cast<double>(std::max<duration::rep>(total_.count(), 1)));
    const duration left = std::max<duration>(total_ - done_, 0ns);
    tell(fmt::format("\r[{}] {:2.0f} %  {} {}  {}  left {}\x1b[K",
                     progress_bar(share, bar_width, is_smooth_), share * 100, round_, lane_, detail,
                     cli::format_time(std::chrono::ceil<std::chrono::seconds>(left))));
    is_shown_ = true;
    last_shown_ = clock::now();
}

} // namespace sockeye::bench
