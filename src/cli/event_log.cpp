#include "cli/event_log.hpp"

#include "cli/host.hpp"
#include "cli/text.hpp"

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

constexpr std::array<std::string_view, 3> plurals = {"connections", "messages", "refusals"};

} // namespace

void event_log::connected(time_point now, std::string_view peer) {
    write(kind::connection, now, fmt::format("connected from {}", escape(peer)));
}

void event_log::closed(time_point now, std::string_view peer, std::string_view why) {
    write(kind::connection, now, fmt::format("{}: {}", escape(peer), why));
}

void event_log::received(time_point now, std::string_view peer, bytes data) {
    write(kind::message, now,
          fmt::format("{}: {}{}{}", escape(peer), counted(data.size(), "byte"),
                      data.empty() ? "" : ": ", escape(as_text(data))));
}

void event_log::refused(time_point now, std::string_view peer, std::string_view why) {
    write(kind::refusal, now, fmt::format("no answer for {}: {}", escape(peer), why));
}

void event_log::flush() {
    const std::lock_guard lock(guard_);
    for (const auto what : {kind::connection, kind::message, kind::refusal}) {
        tell_suppressed(what);
    }
}

void event_log::write(kind what, time_point now, std::string_view line) {
    const std::lock_guard lock(guard_);
    auto& left = allowances_[static_cast<std::size_t>(what)];
    if (now - left.began >= std::chrono::seconds(1)) {
        tell_suppressed(what);
        left = {.began = now};
    }
    if (left.written == lines_per_second_max_) {
        ++left.suppressed;
        return;
    }
    ++left.written;
    write_talk(fmt::format("{}\n", line), duration::zero());
}

void event_log::tell_suppressed(kind what) {
    auto& left = allowances_[static_cast<std::size_t>(what)];
    if (left.suppressed > 0) {
        write_talk(fmt::format("{} lines on {} suppressed\n", left.suppressed,
                               plurals[static_cast<std::size_t>(what)]),
                   duration::zero());
        left.suppressed = 0;
    }
}

std::string peer_name(const endpoint* peer) {
    const auto text = peer == nullptr ? std::string() : peer->to_string();
    const auto host = text.find("://");
    if (host != std::string::npos) {
        return text.substr(host + 3);
    }
    const bool is_named = peer != nullptr && peer->size() > offsetof(sockaddr, sa_data);
    return is_named ? text : "an unnamed socket";
}

} // namespace sockeye::cli
