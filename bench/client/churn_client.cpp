#include "bench/client/churn_client.hpp"

#include "bench/client/stream_client.hpp"

#include <utility>

namespace sockeye::bench {
namespace {

/// So many failures of each place with no answer between them end it: there is no server.
constexpr std::size_t failures_max = 3;

} // namespace

void churn_session::on_open(stream& link) {
    link.write(client_.message_of(index_));
}

void churn_session::on_data(stream& link, bytes in) {
    auto& counted = client_.setup_.result;
    const auto expected = client_.message_of(index_);
    const auto due = expected.subspan(received_, std::min(in.size(), expected.size() - received_));
    const auto place = std::mismatch(due.begin(), due.end(), in.begin(), in.end());
    if (place.second != in.end() && (client_.what_.is_verified || in.size() > due.size())) {
        const auto at = static_cast<std::size_t>(place.second - in.begin());
        const auto wanted = hex_excerpt(due, at);
        counted.note_wrong({client_.number_of(index_), received_ + at,
                            wanted.empty() ? "nothing" : wanted, hex_excerpt(in, at)});
        link.abort();
        return;
    }
    received_ += in.size();
    if (received_ == expected.size()) {
        counted.bytes += received_;
        counted.note_answer(client_.places_[index_].begun, clock::now());
        client_.places_[index_].is_answered = true;
        client_.failures_ = 0;
        link.abort(); // a reset, so that the port is free at once
    }
}

void churn_session::on_close(stream&, const close_info& info) {
    --client_.on_way_;
    if (client_.is_closing_) {
        return;
    }
    if (!client_.places_[index_].is_answered) {
        ++client_.failures_;
    }
    if (info.reason != close_reason::aborted) { // that was ours: see on_data()
        ++client_.setup_.result.errors[info.error ? info.error.message() : "closed by the server"];
    }
    client_.ended_.push_back(index_);
}

churn_client::churn_client(const client_setup& setup)
    : setup_(setup), what_(setup_.what), places_(what_.connections) {}

void churn_client::open(const endpoint& server, duration deadline) {
    server_ = server;
    options_ = {deadline, endless_limits()};
}

void churn_client::start(time_point) {
    is_running_ = true;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        begin(i);
    }
}

void churn_client::begin(std::size_t index) {
    place& used = places_[index];
    if (!what_.sources.empty()) {
        options_.local = what_.sources[(number_of(index) + used.sequence) % what_.sources.size()];
    }
    used.size = what_.sizes.of(number_of(index), used.sequence++);
    used.is_answered = false;
    used.begun = clock::now();
    ++on_way_;
    used.link = connect<churn_session>(setup_.owner, server_, options_, *this, index);
}

/// Where there is no server, nothing will ever be answered.
std::size_t churn_client::alive() const noexcept {
    return failures_ < failures_max * places_.size() ? places_.size() : 0;
}

time_point churn_client::work(time_point) {
    for (const std::size_t index : std::exchange(ended_, {})) {
        if (is_running_ && alive() > 0) {
            begin(index);
        }
    }
    return never;
}

bytes churn_client::message_of(std::size_t index) const noexcept {
    const place& used = places_[index];
    return setup_.content.view(ring::start_of(number_of(index)) + used.sequence, used.size);
}

void churn_client::close() {
    is_closing_ = true;
    is_running_ = false;
    setup_.result.unfinished += on_way_;
    for (auto& each : places_) {
        each.link.abort();
    }
}

} // namespace sockeye::bench
