#include "bench/stream_client.hpp"

#include <algorithm>
#include <limits>

namespace sockeye::bench {
namespace {

/// Connections that wait for the server at one time: far fewer than its backlog takes.
constexpr std::size_t connecting_max = 64;

/// Reading never pauses, however much is unsent: a client that stops reading because the server
/// does not read, while the server waits for the client to read, would wait for ever.
stream_limits endless_limits() noexcept {
    stream_limits limits;
    limits.queue_max = std::numeric_limits<std::size_t>::max() / 2;
    limits.queue_high = limits.queue_max;
    limits.queue_low = limits.queue_max - 1;
    limits.linger = duration::zero();
    return limits;
}

std::uint64_t nanoseconds(duration time) noexcept {
    return static_cast<std::uint64_t>(std::max<duration::rep>(time.count(), 0));
}

} // namespace

stream_session::stream_session(stream_client& client, std::size_t index) noexcept
    : client_(client), index_(index), sent_position_(ring::start_of(index)),
      got_position_(ring::start_of(index)), missing_(client.what_.size) {
    client.sessions_[index] = this;
}

void stream_session::on_open(stream&) {
    ++client_.opened_;
    client_.connect_more();
}

void stream_session::on_data(stream& link, bytes in) {
    if (!is_right(in)) {
        link.abort();
        return;
    }
    received_ += in.size();
    awaited_ -= in.size();
    client_.tally_.bytes += in.size();
    if (in.size() < missing_) {
        missing_ -= in.size();
        return;
    }
    const time_point now = clock::now();
    const std::size_t answers = take_answers(in.size(), now);
    if (client_.is_sending_) {
        send(link, answers, now);
    }
}

void stream_session::on_close(stream&, const close_info& info) {
    client_.sessions_[index_] = nullptr;
    client_.on_way_ -= on_way_;
    if (index_ < client_.what_.connections) {
        --client_.busy_alive_;
    }
    if (client_.is_closing_) {
        return;
    }
    client_.tally_.unfinished += on_way_;
    ++client_.failed_;
    if (info.reason != close_reason::aborted) { // that was ours: see on_data()
        ++client_.tally_.errors[info.error ? info.error.message() : "closed by the server"];
    }
}

/// Compares with what was sent; notes the first difference.
bool stream_session::is_right(bytes in) {
    const auto sent = in.first(std::min<std::uint64_t>(in.size(), awaited_));
    for (std::size_t done = 0; client_.what_.is_verified && done < sent.size();) {
        const auto piece = sent.subspan(done, std::min(sent.size() - done, ring::piece_max));
        if (const auto at = client_.content_.first_difference(got_position_, piece)) {
            const auto expected = client_.content_.view(got_position_, piece.size());
            client_.tally_.note_wrong({index_, received_ + done + *at, hex_excerpt(expected, *at),
                                       hex_excerpt(piece, *at)});
            return false;
        }
        got_position_ = (got_position_ + piece.size()) % ring::length;
        done += piece.size();
    }
    if (sent.size() < in.size()) {
        client_.tally_.note_wrong(
            {index_, received_ + sent.size(), "nothing", hex_excerpt(in, sent.size())});
        return false;
    }
    return true;
}

/// Counts the answers that `size` further bytes complete.
std::size_t stream_session::take_answers(std::size_t size, time_point now) {
    std::size_t answers = 0;
    for (; size >= missing_; ++answers) {
        size -= missing_;
        missing_ = client_.what_.size;
        client_.tally_.service.record(nanoseconds(now - client_.sent_at(index_, answer_slot_)));
        answer_slot_ = answer_slot_ + 1 == client_.what_.pipeline ? 0 : answer_slot_ + 1;
    }
    missing_ -= size;
    on_way_ -= answers;
    client_.on_way_ -= answers;
    client_.tally_.messages += answers;
    return answers;
}

void stream_session::send(stream& link, std::size_t count, time_point now) {
    for (std::size_t i = 0; i < count; ++i) {
        client_.sent_at(index_, send_slot_) = now;
        send_slot_ = send_slot_ + 1 == client_.what_.pipeline ? 0 : send_slot_ + 1;
    }
    on_way_ += count;
    client_.on_way_ += count;
    awaited_ += count * client_.what_.size;
    for (std::size_t left = count * client_.what_.size; left > 0;) {
        const std::size_t piece = std::min(left, ring::piece_max);
        link.write(client_.content_.view(sent_position_, piece));
        sent_position_ = (sent_position_ + piece) % ring::length;
        left -= piece;
    }
}

stream_client::stream_client(loop& owner, const load& what, const ring& content, tally& result)
    : loop_(owner), what_(what), content_(content), tally_(result),
      links_(what.connections + what.idle), sessions_(links_.size()),
      sent_at_(what.connections * what.pipeline) {}

void stream_client::open(const endpoint& server, duration deadline) {
    server_ = server;
    options_ = {deadline, endless_limits()};
    busy_alive_ = what_.connections;
    connect_more();
}

void stream_client::connect_more() {
    while (started_ < links_.size() && started_ - opened_ < connecting_max) {
        const std::size_t index = started_++;
        links_[index] = connect<stream_session>(loop_, server_, options_, *this, index);
    }
}

void stream_client::start() {
    is_sending_ = true;
    const time_point now = clock::now();
    for (std::size_t i = 0; i < what_.connections; ++i) {
        if (sessions_[i] != nullptr) {
            sessions_[i]->send(links_[i], what_.pipeline, now);
        }
    }
}

void stream_client::close() {
    is_closing_ = true;
    tally_.unfinished += on_way_;
    for (auto& link : links_) {
        link.abort();
    }
}

} // namespace sockeye::bench
