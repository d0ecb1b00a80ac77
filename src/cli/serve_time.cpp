#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/host.hpp"
#include "cli/service.hpp"

// The time service: seconds since 1900 as four bytes, most significant first. See: RFC 868.

namespace sockeye::cli {
namespace {

std::string time_bytes() {
    const auto seconds = static_cast<std::uint32_t>(seconds_since_1900());
    std::string four;
    for (const int shift : {24, 16, 8, 0}) {
        four += static_cast<char>(seconds >> shift & 0xff);
    }
    return four;
}

class time_dialogue {
public:
    time_dialogue(speaker& voice, const service_options&) {
        voice.say(time_bytes());
        voice.finish();
    }

    void on_data(bytes) {}
    void on_end() {}
};

struct time_rule {
    explicit time_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes, std::string& room) const {
        room = time_bytes();
        return as_bytes(room);
    }
};

} // namespace

result<endpoint> start_time(service_host& host, const endpoint& local,
                            const service_options& options, service_state& state) {
    return serve_both<time_dialogue, time_rule>(host, local, options, state);
}

} // namespace sockeye::cli
