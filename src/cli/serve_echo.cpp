#include "cli/serve_echo.hpp"

#include "cli/text.hpp"

#include <sockeye/error.hpp>

#include <functional>
#include <string>

namespace sockeye::cli {
namespace {

/// A connection that -v tells of.
class logged_echo {
public:
    explicit logged_echo(event_log& log) : log_(log) {}

    void on_open(stream& link) {
        const auto peer = link.peer_endpoint();
        peer_ = peer_name(peer ? *peer : endpoint());
        log_.connected(link.loop().now(), peer_);
    }
    void on_data(stream& link, bytes in) {
        log_.received(link.loop().now(), peer_, in);
        link.write(in);
    }
    void on_close(stream& link, const close_info& info) {
        log_.closed(link.loop().now(), peer_,
                    info.error ? "failed: " + info.error.message() : std::string("closed"));
    }

private:
    event_log& log_;
    std::string peer_;
};

/// Answers each batch of datagrams, but for those that must get no answer.
class datagram_echo {
public:
    datagram_echo(loop& owner, service_state& state, event_log* log)
        : loop_(owner), state_(state), log_(log) {}

    void operator()(datagram_socket& socket, std::span<const datagram> in) {
        if (!local_.is_known()) {
            local_ = socket.local_endpoint().value();
        }
        std::size_t first = 0;
        for (std::size_t i = 0; i < in.size(); ++i) {
            if (!may_answer(in[i])) {
                socket.send(in.subspan(first, i - first));
                first = i + 1;
            }
        }
        socket.send(in.subspan(first));
    }

private:
    bool may_answer(const datagram& in) {
        if (in.is_truncated) {
            ++state_.truncated;
            tell(in, {});
            return false;
        }
        const auto said = state_.policy.judge(in, local_, in.data, loop_.now());
        tell(in, why_not(said));
        return said == reply_verdict::allowed;
    }

    /// Empty where it is answered.
    static std::string_view why_not(reply_verdict said) noexcept {
        switch (said) {
        case reply_verdict::allowed:
            return {};
        case reply_verdict::refused_port:
        case reply_verdict::refused_address:
            return "forbidden sender";
        case reply_verdict::too_long:
            return "longer than what was asked";
        case reply_verdict::rate_limited:
            return "too many";
        case reply_verdict::looping:
            return "it answers our answers";
        }
        return {};
    }

    void tell(const datagram& in, std::string_view refusal) {
        if (log_ == nullptr) {
            return;
        }
        const auto name = peer_name(in.peer == nullptr ? endpoint() : *in.peer);
        if (!refusal.empty()) {
            log_->refused(loop_.now(), name, refusal);
        } else {
            log_->received(loop_.now(), name, in.data);
        }
    }

    loop& loop_;
    service_state& state_;
    event_log* log_;
    endpoint local_;
};

template <typename Started>
result<active_service> as_active(result<Started> started) {
    if (!started) {
        return started.error();
    }
    return active_service(std::move(started).value());
}

result<active_service> start_datagrams(loop& owner, const endpoint& local,
                                       const service_options& options, service_state& state) {
    if (local.kind() == transport::raw || local.kind() == transport::icmp) {
        return errc::service_mismatch; // answers to answers
    }
    auto socket = serve(owner, local, options.datagram, datagram_echo(owner, state, options.log));
    if (socket && !local.is_local()) {
        const auto bound = socket->local_endpoint();
        state.policy.add_own_port(bound ? bound->port() : local.port());
    }
    return as_active(std::move(socket));
}

} // namespace

result<active_service> start_echo(loop& owner, const endpoint& local,
                                  const service_options& options, service_state& state) {
    if (!local.is_stream()) {
        return start_datagrams(owner, local, options, state);
    }
    if (options.log != nullptr) {
        return as_active(serve<logged_echo>(owner, local, options.stream, std::ref(*options.log)));
    }
    return as_active(
        serve(owner, local, options.stream, [](stream& link, bytes in) { link.write(in); }));
}

} // namespace sockeye::cli
