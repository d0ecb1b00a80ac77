#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/host.hpp"
#include "cli/service.hpp"

// The daytime service: the time as one line for people, then the end. See: RFC 867.

namespace sockeye::cli {
namespace {

std::string daytime_line() {
    return calendar_time() + "\r\n";
}

class daytime_dialogue {
public:
    daytime_dialogue(speaker& voice, const service_options&) {
        voice.say(daytime_line());
        voice.finish();
    }

    void on_data(bytes) {}
    void on_end() {}
};

struct daytime_rule {
    explicit daytime_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes, std::string& room) const {
        room = daytime_line();
        return as_bytes(room);
    }
};

} // namespace

result<endpoint> start_daytime(service_host& host, const endpoint& local,
                               const service_options& options, service_state& state) {
    return serve_both<daytime_dialogue, daytime_rule>(host, local, options, state);
}

} // namespace sockeye::cli
