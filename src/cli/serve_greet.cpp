#include "cli/conversation.hpp"
#include "cli/service.hpp"

// The greeting: one line to whoever connects, then the end.

namespace sockeye::cli {
namespace {

class greet_dialogue {
public:
    greet_dialogue(speaker& voice, const service_options& options) {
        voice.say(options.text + "\r\n");
        voice.finish();
    }

    void on_data(bytes) {}
    void on_end() {}
};

} // namespace

result<endpoint> start_greet(service_host& host, const endpoint& local,
                             const service_options& options, service_state& state) {
    return serve_dialogues<greet_dialogue>(host, local, options, state);
}

} // namespace sockeye::cli
