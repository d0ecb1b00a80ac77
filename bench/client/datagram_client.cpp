#include "bench/client/datagram_client.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <utility>

namespace sockeye::bench {
namespace {

constexpr std::size_t staged_max = 64;

bytes bytes_of(const datagram_header& header) noexcept {
    return std::as_bytes(std::span(&header, 1));
}

std::int64_t in_nanoseconds(time_point time) noexcept {
    return time.time_since_epoch().count();
}

} // namespace

datagram_client::datagram_client(const client_setup& setup)
    : setup_(setup), what_(setup_.what), lost_timer_(setup_.owner), peers_(what_.connections),
      agenda_(what_, setup_.seed), scratch_(what_.sizes.most() * staged_max),
      run_(std::random_device()()) {}

result<datagram_socket> datagram_client::open_socket(std::size_t index, const endpoint& server) {
    const auto hear = [this, index](datagram_socket&, std::span<const datagram> batch) {
        on_datagrams(index, batch);
    };
    if (what_.sources.empty()) {
        return datagram_socket::connect(setup_.owner, server, {}, hear);
    }
    const auto& source = what_.sources[number_of(index) % what_.sources.size()];
    auto made = datagram_socket::open(setup_.owner, source, {}, hear);
    if (made) {
        if (const auto error = made->connect(server)) {
            return error;
        }
    }
    return made;
}

void datagram_client::open(const endpoint& server, duration) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        auto socket = open_socket(i, server);
        if (!socket) {
            ++setup_.result.errors[socket.error().message()];
            continue;
        }
        peers_[i].socket = std::move(*socket);
        peers_[i].messages = fifo<message>(what_.pipeline);
        ++alive_;
    }
}

void datagram_client::start(time_point now) {
    is_sending_ = true;
    agenda_.begin(now);
    for (std::size_t i = 0; i < peers_.size() && !is_open_loop(); ++i) {
        for (std::size_t k = 0; k < what_.pipeline; ++k) {
            stage(i, now);
        }
        flush(peers_[i]);
    }
    lost_timer_.start_every(setup_.timeout / 4, [this] { give_up_old(); });
}

time_point datagram_client::work(time_point now) {
    const auto send = [this](std::size_t index, time_point due, time_point) {
        stage(index, due);
        flush(peers_[index]);
        return clock::now();
    };
    return agenda_.send_due(now, on_way_, setup_.result, send);
}

void datagram_client::stop_sending(time_point end) {
    is_sending_ = false;
    agenda_.end_at(end);
}

void datagram_client::close() {
    is_sending_ = false;
    setup_.result.unfinished += on_way_;
    lost_timer_.cancel();
    const time_point now = clock::now();
    agenda_.note_unsent(setup_.result, now);
    for (auto& each : peers_) {
        for (std::size_t k = 0; k < each.messages.size() && is_open_loop(); ++k) {
            if (each.messages[k].is_waiting) {
                setup_.result.note_unfinished(each.messages[k].due, now);
            }
        }
        each.socket.close();
    }
}

void datagram_client::on_datagrams(std::size_t index, std::span<const datagram> batch) {
    const time_point now = clock::now();
    peer& from = peers_[index];
    for (const auto& answer : batch) {
        const match answered = find(index, answer);
        if (answered.found == nullptr) {
            continue;
        }
        take_answer(from, answered, answer.data.size(), now);
        if (is_sending_ && !is_open_loop()) {
            stage(index, now);
        }
    }
    flush(from);
}

void datagram_client::take_answer(peer& from, const match& answered, std::size_t size,
                                  time_point now) {
    auto& counted = setup_.result;
    if (is_open_loop()) {
        counted.note_answer(answered.found->due, answered.found->taken, now);
    } else {
        counted.note_answer(answered.found->taken, now);
    }
    counted.bytes += size;
    counted.reordered += answered.sequence < from.answered ? 1 : 0;
    from.answered = std::max(from.answered, answered.sequence + 1);
    answered.found->is_waiting = false;
    --on_way_;
    forget_finished(from);
}

void datagram_client::forget_finished(peer& from) {
    while (!from.messages.is_empty() && !from.messages[0].is_waiting) {
        from.messages.pop_front();
        ++from.first;
    }
}

/// The message that `answer` is the right answer of; anything else is counted.
datagram_client::match datagram_client::find(std::size_t index, const datagram& answer) {
    const std::uint32_t number = number_of(index);
    peer& from = peers_[index];
    datagram_header header;
    if (answer.data.size() < datagram_header_size) {
        note_wrong({run_, number, from.first, 0}, datagram_header_size, answer.data,
                   answer.data.size());
        return {};
    }
    std::memcpy(&header, answer.data.data(), datagram_header_size);
    if (header.run != run_ || header.connection != number) {
        note_wrong({run_, number, header.sequence, header.due_ns}, answer.data.size(), answer.data,
                   header.run != run_ ? 0 : sizeof header.run);
        return {};
    }
    if (header.sequence < from.first) {
        count_stray(from, header.sequence);
        return {};
    }
    if (header.sequence - from.first >= from.messages.size()) { // it was never sent
        note_wrong({run_, number, from.first, header.due_ns}, answer.data.size(), answer.data,
                   offsetof(datagram_header, sequence));
        return {};
    }
    message& asked = from.messages[static_cast<std::size_t>(header.sequence - from.first)];
    const datagram_header expected = {run_, number, header.sequence, in_nanoseconds(asked.due)};
    if (const auto at = difference(expected, asked.size, answer.data)) {
        note_wrong(expected, asked.size, answer.data, *at);
        return {};
    }
    if (!asked.is_waiting) {
        count_stray(from, header.sequence);
        return {};
    }
    return {&asked, header.sequence};
}

void datagram_client::count_stray(peer& from, std::uint64_t sequence) {
    if (from.lost.erase(sequence) > 0) {
        ++setup_.result.late;
    } else {
        ++setup_.result.duplicate;
    }
}

std::optional<std::size_t> datagram_client::difference(const datagram_header& expected,
                                                       std::size_t size, bytes got) const {
    const auto head = bytes_of(expected);
    const auto place = std::mismatch(head.begin(), head.end(), got.begin());
    if (place.first != head.end()) {
        return static_cast<std::size_t>(place.first - head.begin());
    }
    const auto body = got.subspan(datagram_header_size);
    const std::size_t shared = std::min(body.size(), size - datagram_header_size);
    if (what_.is_verified) {
        const auto position = body_position(expected);
        if (const auto at = setup_.content.first_difference(position, body.first(shared))) {
            return datagram_header_size + *at;
        }
    }
    if (got.size() != size) {
        return datagram_header_size + shared;
    }
    return std::nullopt;
}

void datagram_client::note_wrong(const datagram_header& expected, std::size_t size, bytes got,
                                 std::size_t at) {
    std::vector<std::byte> message(std::max(size, datagram_header_size));
    write_message(expected, message);
    const auto or_nothing = [](std::string text) { return text.empty() ? "nothing" : text; };
    setup_.result.note_wrong({expected.connection, at, or_nothing(hex_excerpt(message, at)),
                              or_nothing(hex_excerpt(got, at))});
}

std::uint64_t datagram_client::body_position(const datagram_header& header) const noexcept {
    const std::size_t body = what_.sizes.least() - datagram_header_size;
    return ring::start_of(header.connection) + header.sequence * body;
}

void datagram_client::write_message(const datagram_header& header,
                                    std::span<std::byte> target) const {
    std::memcpy(target.data(), &header, datagram_header_size);
    const auto body = setup_.content.view(body_position(header), //
                                          target.size() - datagram_header_size);
    std::copy(body.begin(), body.end(), target.begin() + datagram_header_size);
}

std::uint32_t datagram_client::number_of(std::size_t index) const noexcept {
    return static_cast<std::uint32_t>(setup_.first_connection + index);
}

/// Prepares the next message of a socket; flush() sends it.
void datagram_client::stage(std::size_t index, time_point due) {
    peer& to = peers_[index];
    if (staged_.size() == staged_max) {
        flush(to);
    }
    const std::uint64_t sequence = to.first + to.messages.size();
    const std::size_t size = what_.sizes.of(number_of(index), sequence);
    const auto target = std::span(scratch_).subspan(scratch_used_, size);
    scratch_used_ += size;
    write_message({run_, number_of(index), sequence, in_nanoseconds(due)}, target);
    to.messages.push_back({due, due, size, true});
    staged_.push_back({.data = target});
    ++on_way_;
}

/// What the system does not take is lost, and found so in time.
void datagram_client::flush(peer& to) {
    if (staged_.empty()) {
        return;
    }
    const time_point now = clock::now();
    to.socket.send(staged_);
    for (std::size_t i = 1; i <= staged_.size(); ++i) {
        to.messages[to.messages.size() - i].taken = now;
    }
    staged_.clear();
    scratch_used_ = 0;
}

void datagram_client::give_up_old() {
    const time_point now = clock::now();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peer& each = peers_[i];
        while (!each.messages.is_empty() && now - each.messages[0].due >= setup_.timeout) {
            ++setup_.result.lost;
            if (is_open_loop()) {
                setup_.result.note_unfinished(each.messages[0].due, now);
            }
            each.lost.insert(each.first);
            each.messages[0].is_waiting = false;
            --on_way_;
            forget_finished(each);
            if (is_sending_ && !is_open_loop()) {
                stage(i, now);
            }
        }
        flush(each);
    }
}

} // namespace sockeye::bench
