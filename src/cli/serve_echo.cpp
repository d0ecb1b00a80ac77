#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/service.hpp"

// The echo service: bytes back until the peer closes, each datagram back. See: RFC 862.

namespace sockeye::cli {
namespace {

class echo_dialogue {
public:
    echo_dialogue(speaker& voice, const service_options&) : voice_(voice) {}

    void on_data(bytes in) { voice_.say(in); }
    void on_end() { voice_.end(); }

private:
    speaker& voice_;
};

struct echo_rule {
    explicit echo_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes in, std::string&) const { return in; }
};

} // namespace

result<endpoint> start_echo(service_host& host, const endpoint& local,
                            const service_options& options, service_state& state) {
    return serve_both<echo_dialogue, echo_rule>(host, local, options, state);
}

} // namespace sockeye::cli
