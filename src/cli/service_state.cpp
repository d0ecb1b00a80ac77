#include "cli/service_state.hpp"

#include <string_view>

namespace sockeye::cli {
namespace {

/// Why there is no answer; empty where there is one.
std::string_view why_not(reply_verdict said) noexcept {
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

} // namespace

void service_state::add_own_port(std::uint16_t port) {
    const std::lock_guard lock(guard_);
    policy_.add_own_port(port);
}

void service_state::add_broadcast(const endpoint& address) {
    const std::lock_guard lock(guard_);
    policy_.add_broadcast(address);
}

bool service_state::may_answer(const datagram& in, const endpoint& bound, bytes reply,
                               time_point now) {
    const auto said = [&] {
        const std::lock_guard lock(guard_);
        return policy_.judge(in, bound, reply, now);
    }();
    if (log != nullptr && said != reply_verdict::allowed) {
        log->refused(now, peer_name(in.peer), why_not(said));
    }
    return said == reply_verdict::allowed;
}

std::uint64_t service_state::refused() const {
    const std::lock_guard lock(guard_);
    return policy_.refused();
}

std::uint64_t service_state::forbidden() const {
    const std::lock_guard lock(guard_);
    return policy_.count(reply_verdict::refused_port) +
           policy_.count(reply_verdict::refused_address);
}

} // namespace sockeye::cli
