#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/line_reader.hpp"
#include "cli/service.hpp"

// The hello service: each line, or datagram, is a name and is greeted by it.

namespace sockeye::cli {
namespace {

/// `Hello, NAME!` with the line ending that the name came with.
void greet(std::string& answers, const line_reader::line& one) {
    answers += "Hello, ";
    answers += one.text.empty() ? "world" : one.text;
    answers += '!';
    answers += one.ending;
}

class hello_dialogue {
public:
    hello_dialogue(speaker& voice, const service_options& options)
        : voice_(voice), lines_(options.line_max) {}

    void on_data(bytes in) {
        std::string answers;
        lines_.feed(as_text(in), [&](const line_reader::line& one) { add(answers, one); });
        voice_.say(answers);
    }
    void on_end() {
        std::string answers;
        lines_.finish([&](const line_reader::line& one) { add(answers, one); });
        voice_.say(answers);
        voice_.end();
    }

private:
    void add(std::string& answers, const line_reader::line& one) const {
        if (one.is_too_long) {
            answers += lines_.complaint();
        } else {
            greet(answers, one);
        }
    }

    speaker& voice_;
    line_reader lines_;
};

struct hello_rule {
    explicit hello_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes in, std::string& room) const {
        room.clear();
        greet(room, line_reader::split(as_text(in)));
        return as_bytes(room);
    }
};

} // namespace

result<endpoint> start_hello(service_host& host, const endpoint& local,
                             const service_options& options, service_state& state) {
    return serve_both<hello_dialogue, hello_rule>(host, local, options, state);
}

} // namespace sockeye::cli
