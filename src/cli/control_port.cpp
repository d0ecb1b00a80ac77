#include "cli/control_port.hpp"

#include "bench/account.hpp"
#include "bench/machine/host.hpp"
#include "cli/line_reader.hpp"

#include <sockeye/stream.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace sockeye::cli {
namespace {

constexpr std::size_t clients_max = 4;
constexpr std::size_t request_max = 64;
constexpr duration first_request_timeout = std::chrono::seconds(10);
/// A client asks at both ends of a window, and no window is longer than a day.
constexpr duration idle_timeout = std::chrono::hours(25);

std::string account_line(const traffic& did) {
    loop_counters calls;
    calls.waits = did.waits;
    calls.events = did.events;
    calls.reads = did.reads;
    calls.writes = did.writes;
    calls.registrations = did.registrations;
    calls.accepted = did.accepted;
    calls.would_blocks = did.would_blocks;
    return bench::format_account(bench::make_account(bench::host::own_times(), calls)) + "\n";
}

class control_session {
public:
    explicit control_session(service_host& host) : host_(host) {}

    void on_data(stream& link, bytes in) {
        link_ = &link;
        const std::string_view text(reinterpret_cast<const char*>(in.data()), in.size());
        requests_.feed(text, [this](const line_reader::line& one) {
            if (one.is_too_long || one.text != "stats") {
                refuse("unknown request; there is: stats");
            } else if (is_asking_) {
                refuse("wait for the answer before the next request");
            } else if (!has_ended_) {
                ask();
            }
        });
    }

private:
    void refuse(std::string_view why) {
        if (!std::exchange(has_ended_, true)) {
            link_->write("error: " + std::string(why) + "\n");
            link_->close();
        }
    }

    /// Threads answer later, when this client may be gone.
    void ask() {
        is_asking_ = true;
        host_.collect([self = std::weak_ptr(self_)](const traffic& did) {
            if (const auto alive = self.lock()) {
                (*alive)->tell(did);
            }
        });
    }

    void tell(const traffic& did) {
        is_asking_ = false;
        if (!has_ended_) {
            link_->write(account_line(did));
        }
    }

    service_host& host_;
    stream* link_ = nullptr;
    line_reader requests_{request_max};
    bool is_asking_ = false;
    bool has_ended_ = false;
    std::shared_ptr<control_session*> self_ = std::make_shared<control_session*>(this);
};

} // namespace

result<control_port> control_port::open(loop& owner, service_host& host, const endpoint& local) {
    serve_options options;
    options.connections_max = clients_max;
    options.limits.first_byte = first_request_timeout;
    options.limits.idle = idle_timeout;
    auto made = serve<control_session>(owner, local, options, std::ref(host));
    if (!made) {
        return made.error();
    }
    auto place = made->local_endpoint();
    if (!place) {
        return place.error();
    }
    return control_port(std::move(made).value(), *place);
}

} // namespace sockeye::cli
