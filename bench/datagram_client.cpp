#include "bench/datagram_client.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace sockeye::bench {
namespace {

constexpr std::size_t staged_max = 64;

std::int64_t now_ns() {
    return clock::now().time_since_epoch().count();
}

bytes bytes_of(const datagram_header& header) noexcept {
    return std::as_bytes(std::span(&header, 1));
}

} // namespace

datagram_client::datagram_client(loop& owner, const load& what, const ring& content, tally& result,
                                 duration timeout)
    : loop_(owner), what_(what), content_(content), tally_(result), timeout_(timeout),
      lost_timer_(owner), peers_(what.connections),
      scratch_(what.size * std::min(what.pipeline, staged_max)), run_(std::random_device()()) {}

void datagram_client::open(const endpoint& server, duration) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        auto socket = datagram_socket::connect(
            loop_, server, {}, [this, i](datagram_socket&, std::span<const datagram> batch) {
                on_datagrams(i, batch);
            });
        if (!socket) {
            ++tally_.errors[socket.error().message()];
            continue;
        }
        peers_[i].socket = std::move(*socket);
        peers_[i].slots.resize(what_.pipeline);
        for (std::size_t k = 0; k < what_.pipeline; ++k) {
            peers_[i].slots[k].sequence = k;
        }
        ++alive_;
    }
}

void datagram_client::start() {
    is_sending_ = true;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        for (auto& free : peers_[i].slots) {
            stage(i, free, now_ns());
        }
        flush(peers_[i]);
    }
    lost_timer_.start_every(timeout_ / 4, [this] { give_up_old(); });
}

void datagram_client::close() {
    tally_.unfinished += on_way_;
    lost_timer_.cancel();
    for (auto& each : peers_) {
        each.socket.close();
    }
}

void datagram_client::on_datagrams(std::size_t index, std::span<const datagram> batch) {
    const std::int64_t now = now_ns();
    for (const auto& answer : batch) {
        slot* const answered = match(index, answer);
        if (answered == nullptr) {
            continue;
        }
        const auto took = std::max<std::int64_t>(now - answered->sent_ns, 0);
        tally_.service.record(static_cast<std::uint64_t>(took));
        ++tally_.messages;
        tally_.bytes += answer.data.size();
        answered->is_waiting = false;
        answered->sequence += what_.pipeline;
        --on_way_;
        if (is_sending_) {
            stage(index, *answered, now);
        }
    }
    flush(peers_[index]);
}

datagram_client::slot* datagram_client::match(std::size_t index, const datagram& answer) {
    datagram_header header;
    const auto connection = static_cast<std::uint32_t>(index);
    if (answer.data.size() < datagram_header_size) {
        note_wrong({run_, connection, 0, 0}, answer.data, 0);
        return nullptr;
    }
    std::memcpy(&header, answer.data.data(), datagram_header_size);
    if (header.run != run_ || header.connection != connection) {
        note_wrong({run_, connection, header.sequence, header.sent_ns}, answer.data,
                   header.run != run_ ? 0 : sizeof header.run);
        return nullptr;
    }
    peer& from = peers_[index];
    slot& asked = from.slots[header.sequence % what_.pipeline];
    if (header.sequence < asked.sequence) {
        count_stray(from, header.sequence);
        return nullptr;
    }
    const datagram_header expected = {run_, connection, asked.sequence, asked.sent_ns};
    if (const auto at = difference(expected, answer.data); at || !asked.is_waiting) {
        note_wrong(expected, answer.data, at.value_or(0));
        return nullptr;
    }
    return &asked;
}

void datagram_client::count_stray(peer& from, std::uint64_t sequence) {
    if (from.lost.erase(sequence) > 0) {
        ++tally_.late;
    } else {
        ++tally_.duplicate;
    }
}

std::optional<std::size_t> datagram_client::difference(const datagram_header& expected,
                                                       bytes got) const {
    const auto head = bytes_of(expected);
    const auto place = std::mismatch(head.begin(), head.end(), got.begin());
    if (place.first != head.end()) {
        return static_cast<std::size_t>(place.first - head.begin());
    }
    const auto body = got.subspan(datagram_header_size);
    const std::size_t shared = std::min(body.size(), what_.size - datagram_header_size);
    if (what_.is_verified) {
        const auto position = body_position(expected);
        if (const auto at = content_.first_difference(position, body.first(shared))) {
            return datagram_header_size + *at;
        }
    }
    if (got.size() != what_.size) {
        return datagram_header_size + shared;
    }
    return std::nullopt;
}

void datagram_client::note_wrong(const datagram_header& expected, bytes got, std::size_t at) {
    std::vector<std::byte> message(what_.size);
    write_message(expected, message);
    const auto or_nothing = [](std::string text) { return text.empty() ? "nothing" : text; };
    tally_.note_wrong({expected.connection, at, or_nothing(hex_excerpt(message, at)),
                       or_nothing(hex_excerpt(got, at))});
}

std::uint64_t datagram_client::body_position(const datagram_header& header) const noexcept {
    const std::size_t body = what_.size - datagram_header_size;
    return ring::start_of(header.connection) + header.sequence * body;
}

void datagram_client::write_message(const datagram_header& header,
                                    std::span<std::byte> target) const {
    std::memcpy(target.data(), &header, datagram_header_size);
    const auto body = content_.view(body_position(header), target.size() - datagram_header_size);
    std::copy(body.begin(), body.end(), target.begin() + datagram_header_size);
}

/// Prepares the next message of `free`; flush() sends it.
void datagram_client::stage(std::size_t index, slot& free, std::int64_t now) {
    if (staged_.size() == std::min(what_.pipeline, staged_max)) {
        flush(peers_[index]);
    }
    const auto target = std::span(scratch_).subspan(staged_.size() * what_.size, what_.size);
    free.sent_ns = now;
    free.is_waiting = true;
    write_message({run_, static_cast<std::uint32_t>(index), free.sequence, now}, target);
    staged_.push_back({.data = target});
    ++on_way_;
}

/// What the system does not take is lost, and found so in time.
void datagram_client::flush(peer& to) {
    if (!staged_.empty()) {
        to.socket.send(staged_);
        staged_.clear();
    }
}

void datagram_client::give_up_old() {
    const std::int64_t now = now_ns();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        for (auto& each : peers_[i].slots) {
            if (!each.is_waiting || now - each.sent_ns < timeout_.count()) {
                continue;
            }
            ++tally_.lost;
            peers_[i].lost.insert(each.sequence);
            each.sequence += what_.pipeline;
            each.is_waiting = false;
            --on_way_;
            if (is_sending_) {
                stage(i, each, now);
            }
        }
        flush(peers_[i]);
    }
}

} // namespace sockeye::bench
