#include "bench/client/bulk_client.hpp"

#include "bench/client/stream_client.hpp"

namespace sockeye::bench {
namespace {

constexpr std::size_t bulk_connecting_max = 64;
/// Bytes of a connection that wait in this process: enough for the next turn.
constexpr std::size_t waiting_max = std::size_t{256} << 10;

} // namespace

bulk_session::bulk_session(bulk_client& client, std::size_t index) noexcept
    : client_(client), index_(index) {
    client.sessions_[index] = this;
}

void bulk_session::on_open(stream& link) {
    ++client_.opened_;
    link.pause(); // until the load begins
    client_.connect_more();
}

void bulk_session::on_data(stream& link, bytes in) {
    client_.take_download(link, *this, in);
}

void bulk_session::on_close(stream&, const close_info& info) {
    client_.sessions_[index_] = nullptr;
    if (index_ < client_.what_.connections) {
        --client_.alive_;
    }
    if (!client_.is_closing_) {
        ++client_.failed_;
        if (info.reason != close_reason::aborted) {
            ++client_.setup_.result
                  .errors[info.error ? info.error.message() : "closed by the server"];
        }
    }
}

bulk_client::bulk_client(const client_setup& setup)
    : setup_(setup), what_(setup_.what), links_(what_.connections + what_.idle),
      sessions_(links_.size()) {}

void bulk_client::open(const endpoint& server, duration deadline) {
    server_ = server;
    options_ = {deadline, endless_limits()};
    alive_ = what_.connections;
    connect_more();
}

void bulk_client::connect_more() {
    while (started_ < links_.size() && started_ - opened_ < bulk_connecting_max) {
        const std::size_t index = started_++;
        if (!what_.sources.empty()) {
            options_.local =
                what_.sources[(setup_.first_connection + index) % what_.sources.size()];
        }
        links_[index] = connect<bulk_session>(setup_.owner, server_, options_, *this, index);
    }
}

void bulk_client::start(time_point) {
    is_running_ = true;
    for (std::size_t i = 0; i < what_.connections; ++i) {
        links_[i].resume();
    }
}

time_point bulk_client::work(time_point now) {
    if (!is_running_ || what_.how != mode::upload) {
        return never;
    }
    bool is_any_empty = false;
    std::uint64_t taken = 0;
    for (std::size_t i = 0; i < what_.connections; ++i) {
        if (auto* const session = sessions_[i]) {
            const std::uint64_t before = session->taken_;
            fill(links_[i], *session);
            taken += session->taken_ - before;
            is_any_empty = is_any_empty || links_[i].queued_bytes() == 0;
        }
    }
    count(taken, now);
    return is_any_empty ? now : never;
}

void bulk_client::fill(stream& link, bulk_session& session) {
    std::size_t written = 0;
    while (link.is_open() && link.queued_bytes() < waiting_max && written < waiting_max) {
        const auto piece = setup_.content.view(session.position_, ring::piece_max);
        link.write(piece);
        session.position_ += piece.size();
        written += piece.size();
    }
    session.taken_ = session.position_ - link.queued_bytes();
}

void bulk_client::count(std::uint64_t size, time_point now) {
    rest_ += size;
    const std::uint64_t messages = rest_ / what_.sizes.most();
    rest_ -= messages * what_.sizes.most();
    setup_.result.messages += messages;
    setup_.result.bytes += size;
    setup_.result.over_time.note_answers(now, messages);
}

void bulk_client::take_download(stream& link, bulk_session& session, bytes in) {
    if (what_.how == mode::upload) {
        return; // whoever answers an upload is not listened to
    }
    for (std::size_t done = 0; what_.is_verified && done < in.size();) {
        const auto piece = in.subspan(done, std::min(in.size() - done, ring::piece_max));
        const std::uint64_t position = session.position_ + done;
        if (const auto at = setup_.content.first_difference(position, piece)) {
            const auto expected = setup_.content.view(position, piece.size());
            setup_.result.note_wrong({setup_.first_connection + session.index_, position + *at,
                                      hex_excerpt(expected, *at), hex_excerpt(piece, *at)});
            link.abort();
            return;
        }
        done += piece.size();
    }
    session.position_ += in.size();
    count(in.size(), clock::now());
}

void bulk_client::close() {
    is_closing_ = true;
    is_running_ = false;
    for (auto& link : links_) {
        link.abort();
    }
}

} // namespace sockeye::bench
