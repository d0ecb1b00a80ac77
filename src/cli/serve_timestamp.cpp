#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/host.hpp"
#include "cli/line_reader.hpp"
#include "cli/service.hpp"

// The timestamp service: what one read brought comes back behind the time, at once and whether or
// not it ends in a newline, because plain clients send none and wait; with --lines, each line.

namespace sockeye::cli {
namespace {

std::string stamp() {
    return "[" + calendar_time() + "] ";
}

class timestamp_dialogue {
public:
    timestamp_dialogue(speaker& voice, const service_options& options)
        : voice_(voice), by_lines_(options.by_lines), lines_(options.line_max) {}

    void on_data(bytes in) {
        if (!by_lines_) {
            voice_.say(stamp().append(as_text(in)));
            return;
        }
        std::string answers;
        const auto now = stamp();
        lines_.feed(as_text(in), [&](const line_reader::line& one) { add(answers, now, one); });
        voice_.say(answers);
    }
    void on_end() {
        std::string answers;
        lines_.finish([&](const line_reader::line& one) { add(answers, stamp(), one); });
        voice_.say(answers);
        voice_.end();
    }

private:
    /// All that came together came at the same time.
    void add(std::string& answers, std::string_view now, const line_reader::line& one) const {
        if (one.is_too_long) {
            answers += lines_.complaint();
        } else {
            answers.append(now).append(one.text).append(one.ending);
        }
    }

    speaker& voice_;
    bool by_lines_;
    line_reader lines_;
};

struct timestamp_rule {
    explicit timestamp_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes in, std::string& room) const {
        room = stamp().append(as_text(in));
        return as_bytes(room);
    }
};

} // namespace

result<endpoint> start_timestamp(service_host& host, const endpoint& local,
                                 const service_options& options, service_state& state) {
    return serve_both<timestamp_dialogue, timestamp_rule>(host, local, options, state);
}

} // namespace sockeye::cli
