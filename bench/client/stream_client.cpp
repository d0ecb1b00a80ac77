#include "bench/client/stream_client.hpp"

#include "bench/machine/host.hpp"

#include <algorithm>
#include <limits>
#include <system_error>

namespace sockeye::bench {
namespace {

/// Connections that wait for the server at one time: far fewer than its backlog takes.
constexpr std::size_t connecting_max = 64;

} // namespace

stream_limits endless_limits() noexcept {
    stream_limits limits;
    limits.queue_max = std::numeric_limits<std::size_t>::max() / 2;
    limits.queue_high = limits.queue_max;
    limits.queue_low = limits.queue_max - 1;
    limits.linger = duration::zero();
    return limits;
}

stream_session::stream_session(stream_client& client, std::size_t index) noexcept
    : client_(client), index_(index),
      // Who faces itself expects of its pair what it sends itself.
      number_((client.setup_.first_connection + index) >> (client.faces_itself_ ? 1 : 0)),
      messages_(client.what_.pipeline), sent_position_(ring::start_of(number_)),
      got_position_(sent_position_) {
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
    if (received_ > taken_bytes_) { // the stream has not said so yet
        note_taken(received_, clock::now());
    }
    client_.setup_.result.bytes += in.size();
    if (in.size() < missing_) {
        missing_ -= in.size();
        return;
    }
    time_point now = clock::now();
    const std::size_t answers = take_answers(in.size(), now);
    if (client_.what_.burn > duration::zero()) {
        burn_cpu(client_.what_.burn * static_cast<duration::rep>(answers));
        now = clock::now();
    }
    if (client_.is_sending_ && !client_.is_open_loop()) {
        for (std::size_t i = 0; i < answers; ++i) {
            add_message(now);
        }
        send(link, now);
    }
}

void stream_session::on_close(stream&, const close_info& info) {
    auto& counted = client_.setup_.result;
    client_.sessions_[index_] = nullptr;
    client_.on_way_ -= messages_.size();
    if (index_ < client_.what_.connections) {
        --client_.busy_alive_;
    }
    if (client_.is_closing_) {
        return;
    }
    counted.unfinished += messages_.size();
    ++client_.failed_;
    if (info.reason != close_reason::aborted) { // that was ours: see on_data()
        ++counted.errors[info.error ? info.error.message() : "closed by the server"];
    }
}

/// Compares with what was sent; notes the first difference.
bool stream_session::is_right(bytes in) {
    auto& counted = client_.setup_.result;
    const auto& content = client_.setup_.content;
    const auto sent = in.first(std::min<std::uint64_t>(in.size(), handed_bytes_ - received_));
    for (std::size_t done = 0; client_.what_.is_verified && done < sent.size();) {
        const auto piece = sent.subspan(done, std::min(sent.size() - done, ring::piece_max));
        if (const auto at = content.first_difference(got_position_, piece)) {
            const auto expected = content.view(got_position_, piece.size());
            counted.note_wrong({number_, received_ + done + *at, hex_excerpt(expected, *at),
                                hex_excerpt(piece, *at)});
            return false;
        }
        got_position_ = (got_position_ + piece.size()) % ring::length;
        done += piece.size();
    }
    if (sent.size() < in.size()) {
        counted.note_wrong(
            {number_, received_ + sent.size(), "nothing", hex_excerpt(in, sent.size())});
        return false;
    }
    return true;
}

std::size_t stream_session::take_answers(std::size_t size, time_point now) {
    auto& counted = client_.setup_.result;
    std::size_t answers = 0;
    while (!messages_.is_empty() && size >= missing_) {
        size -= missing_;
        const message& answered = messages_[0];
        if (client_.is_open_loop()) {
            counted.note_answer(answered.due, answered.taken, now);
        } else {
            counted.note_answer(answered.taken, now);
        }
        messages_.pop_front();
        --taken_;
        ++answers;
        missing_ = messages_.is_empty() ? 0 : messages_[0].size;
    }
    missing_ -= size;
    client_.on_way_ -= answers;
    return answers;
}

void stream_session::add_message(time_point due) {
    const std::size_t size = client_.what_.sizes.of(number_, added_++);
    if (messages_.is_empty()) {
        missing_ = size;
    }
    messages_.push_back({due, {}, size});
    due_bytes_ += size;
    ++client_.on_way_;
}

/// Hands as much to the system as it takes.
void stream_session::send(stream& link, time_point now) {
    while (handed_bytes_ < due_bytes_ && !is_blocked_) {
        const std::size_t size =
            std::min<std::uint64_t>(due_bytes_ - handed_bytes_, ring::piece_max);
        const auto piece = client_.setup_.content.view(sent_position_, size);
        const auto sent = link.try_write(piece);
        if (!sent && sent.error() != std::errc::operation_would_block) {
            return; // on_close tells
        }
        const std::size_t taken = sent ? *sent : 0;
        handed_bytes_ += size;
        sent_position_ = (sent_position_ + size) % ring::length;
        note_taken(taken_bytes_ + taken, now);
        if (taken < size) {
            wait_for_room(link, piece.subspan(taken));
        } else if (handed_bytes_ < due_bytes_) {
            now = clock::now();
        }
    }
}

/// Awaits answers to messages that never left, as the other end of a pair whose messages are the
/// answers.
void stream_session::pretend_sent() {
    handed_bytes_ = due_bytes_;
    note_taken(handed_bytes_, clock::now());
}

/// The system took everything up to `position`.
void stream_session::note_taken(std::uint64_t position, time_point at) {
    if (position <= taken_bytes_) {
        return;
    }
    cut_ += position - taken_bytes_;
    taken_bytes_ = position;
    while (taken_ < messages_.size() && cut_ >= messages_[taken_].size) {
        cut_ -= messages_[taken_].size;
        messages_[taken_].taken = at;
        ++taken_;
    }
}

/// The connection is full: its stream keeps the rest of the piece, and what follows waits here.
void stream_session::wait_for_room(stream& link, bytes rest) {
    is_blocked_ = true;
    link.write(rest);
    link.when_sent([this, &link](std::error_code error) {
        if (!error) {
            is_blocked_ = false;
            const time_point now = clock::now();
            note_taken(handed_bytes_, now);
            send(link, now);
        }
    });
}

stream_client::stream_client(const client_setup& setup)
    : setup_(setup), what_(setup_.what), links_(what_.connections + what_.idle),
      sessions_(links_.size()), agenda_(what_, setup_.seed) {}

void stream_client::open(const endpoint& server, duration deadline) {
    server_ = server;
    options_ = {deadline, endless_limits()};
    busy_alive_ = what_.connections;
    connect_more();
}

std::error_code stream_client::open_to_itself() {
    faces_itself_ = true;
    for (std::size_t i = 0; i + 1 < links_.size(); i += 2) {
        auto pair = host::socket_pair();
        if (!pair) {
            return pair.error();
        }
        for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
            auto link = adopt(setup_.owner, std::move((*pair)[side]), endless_limits());
            if (!link) {
                return link.error();
            }
            links_[i + side] = std::move(*link);
            links_[i + side].attach<stream_session>(*this, i + side);
        }
    }
    busy_alive_ = what_.connections;
    opened_ = links_.size();
    return {};
}

void stream_client::connect_more() {
    while (started_ < links_.size() && started_ - opened_ < connecting_max) {
        const std::size_t index = started_++;
        if (!what_.sources.empty()) {
            options_.local =
                what_.sources[(setup_.first_connection + index) % what_.sources.size()];
        }
        links_[index] = connect<stream_session>(setup_.owner, server_, options_, *this, index);
    }
}

void stream_client::start(time_point now) {
    is_sending_ = true;
    agenda_.begin(now);
    if (is_open_loop()) {
        return;
    }
    for (std::size_t i = 0; i < what_.connections; ++i) {
        if (auto* const session = sessions_[i]) {
            for (std::size_t k = 0; k < what_.pipeline; ++k) {
                session->add_message(now);
            }
            if (faces_itself_ && i % 2 == 1) {
                session->pretend_sent();
            }
            session->send(links_[i], now);
        }
    }
}

time_point stream_client::work(time_point now) {
    const auto send = [this](std::size_t index, time_point due, time_point begun) {
        if (auto* const session = sessions_[index]) {
            session->add_message(due);
            session->send(links_[index], begun);
            return clock::now();
        }
        ++setup_.result.unfinished;
        return begun;
    };
    return agenda_.send_due(now, on_way_, setup_.result, send);
}

void stream_client::stop_sending(time_point end) {
    is_sending_ = false;
    agenda_.end_at(end);
}

void stream_client::close() {
    is_closing_ = true;
    is_sending_ = false;
    const time_point now = clock::now();
    agenda_.note_unsent(setup_.result, now);
    for (std::size_t i = 0; i < links_.size(); ++i) {
        if (auto* const session = sessions_[i]; session != nullptr && is_open_loop()) {
            for (std::size_t k = 0; k < session->messages_.size(); ++k) {
                setup_.result.note_unfinished(session->messages_[k].due, now);
            }
        }
        links_[i].abort();
    }
    setup_.result.unfinished += on_way_;
}

} // namespace sockeye::bench
