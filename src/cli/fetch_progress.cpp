#include "cli/fetch_progress.hpp"

#include "cli/common.hpp"
#include "cli/host.hpp"

namespace sockeye::cli {
namespace {

constexpr duration quiet_time = std::chrono::seconds(1);
constexpr duration step_time = std::chrono::milliseconds(250);
constexpr duration line_patience = std::chrono::milliseconds(50);

} // namespace

std::string progress_text(std::uint64_t received, std::optional<std::uint64_t> total,
                          duration elapsed) {
    auto text = format_size(received);
    if (total && *total > 0) {
        const double share = static_cast<double>(received) / static_cast<double>(*total);
        text += fmt::format(" of {}, {:.0f} %", format_size(*total), 100 * share);
    }
    const double seconds = std::chrono::duration<double>(elapsed).count();
    const double speed = seconds > 0 ? static_cast<double>(received) / seconds : 0;
    return text + fmt::format(", {}/s", format_size(static_cast<std::uint64_t>(speed)));
}

void fetch_progress::start(std::optional<std::uint64_t> total) {
    total_ = total;
    began_ = clock::now();
    timer_.start(quiet_time, [this] {
        show();
        timer_.start_every(step_time, [this] { show(); });
    });
}

void fetch_progress::show() {
    // Spaces instead of an escape code wipe out what was longer before.
    auto line = progress_text(received_, total_, clock::now() - began_);
    const auto length = line.size();
    line.append(shown_ > length ? shown_ - length : 0, ' ');
    shown_ = length;
    write_talk("\r" + line, line_patience);
}

void fetch_progress::stop() {
    timer_.cancel();
    if (shown_ > 0) {
        write_talk("\r" + std::string(shown_, ' ') + "\r", line_patience);
        shown_ = 0;
    }
}

} // namespace sockeye::cli
