#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/service.hpp"

// The discard service: reads for ever and says nothing. See: RFC 863.

namespace sockeye::cli {
namespace {

class discard_dialogue {
public:
    discard_dialogue(speaker& voice, const service_options&) : voice_(voice) {}

    void on_data(bytes) {}
    void on_end() { voice_.end(); }

private:
    speaker& voice_;
};

struct discard_rule {
    explicit discard_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes, std::string&) const { return std::nullopt; }
};

} // namespace

result<endpoint> start_discard(service_host& host, const endpoint& local,
                               const service_options& options, service_state& state) {
    return serve_both<discard_dialogue, discard_rule>(host, local, options, state);
}

} // namespace sockeye::cli
