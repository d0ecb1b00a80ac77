#include "cli/answering.hpp"
#include "cli/conversation.hpp"
#include "cli/service.hpp"

#include <algorithm>

// The character generator: lines of a rotating pattern for as long as the peer takes them; to a
// datagram, one of at most its own length. See: RFC 864.

namespace sockeye::cli {
namespace {

constexpr std::size_t printable_count = 95; // from the blank to the tilde
constexpr std::size_t columns = 72;
constexpr std::size_t datagram_max = 512;

/// The whole pattern once: after 95 lines it begins anew.
const std::string& pattern() {
    static const std::string text = [] {
        std::string lines;
        for (std::size_t line = 0; line < printable_count; ++line) {
            for (std::size_t column = 0; column < columns; ++column) {
                lines += static_cast<char>(' ' + (line + column) % printable_count);
            }
            lines += "\r\n";
        }
        return lines;
    }();
    return text;
}

class chargen_dialogue {
public:
    chargen_dialogue(speaker& voice, const service_options&) : voice_(voice) { go_on(); }

    void on_data(bytes) {}
    /// A peer that has only ended its side still listens.
    void on_end() {}

private:
    /// The next piece follows when the system has taken this one: nothing piles up.
    void go_on() {
        voice_.say(pattern());
        voice_.when_said([this] { go_on(); });
    }

    speaker& voice_;
};

struct chargen_rule {
    explicit chargen_rule(const service_options&) {}
    std::optional<bytes> operator()(bytes in, std::string&) const {
        return as_bytes(pattern()).first(std::min(in.size(), datagram_max));
    }
};

} // namespace

result<endpoint> start_chargen(service_host& host, const endpoint& local,
                               const service_options& options, service_state& state) {
    return serve_both<chargen_dialogue, chargen_rule>(host, local, options, state);
}

} // namespace sockeye::cli
