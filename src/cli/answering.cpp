#include "cli/answering.hpp"

#include <sockeye/loop.hpp>

#include <utility>

namespace sockeye::cli {

void answer_batch::begin(datagram_socket& socket) {
    if (socket_ == nullptr) {
        socket_ = &socket;
        bound_ = socket.local_endpoint().value();
        if (state_.delay > duration::zero()) {
            timer_.emplace(socket.loop());
        }
    }
    replies_.clear();
}

bool answer_batch::hear(const datagram& in) {
    if (in.is_truncated) {
        ++state_.unanswered;
    }
    if (state_.log != nullptr && in.is_truncated) {
        state_.log->refused(socket_->loop().now(), peer_name(in.peer), "too long to be received");
    } else if (state_.log != nullptr) {
        state_.log->received(socket_->loop().now(), peer_name(in.peer), in.data);
    }
    return !in.is_truncated;
}

void answer_batch::answer(const datagram& in, bytes reply) {
    if (in.peer == nullptr || !in.peer->is_known()) {
        ++state_.unanswered;
    } else if (state_.may_answer(in, bound_, reply, socket_->loop().now())) {
        replies_.push_back(in);
        replies_.back().data = reply;
    }
}

void answer_batch::send() {
    if (!timer_) {
        send_now(replies_);
        return;
    }
    const auto due = clock::now() + state_.delay;
    for (const auto& reply : replies_) {
        hold_back(reply, due);
    }
}

void answer_batch::send_now(std::span<const datagram> replies) {
    if (!replies.empty()) {
        socket_->send(replies);
        if (state_.on_served) {
            state_.on_served();
        }
    }
}

std::string& answer_batch::room(std::size_t index) {
    while (rooms_.size() <= index) {
        rooms_.emplace_back();
    }
    return rooms_[index];
}

void answer_batch::hold_back(const datagram& reply, time_point due) {
    if (later_cost_ > held_back_max) {
        ++state_.unanswered;
        return;
    }
    later_.push_back({due, std::string(as_text(reply.data)), *reply.peer,
                      reply.local == nullptr ? std::optional<endpoint>()
                                             : std::optional<endpoint>(*reply.local)});
    later_cost_ += later_.back().cost();
    if (!timer_->is_armed()) {
        wait();
    }
}

void answer_batch::wait() {
    timer_->start_at(later_.front().due, [this] { send_due(); });
}

void answer_batch::send_due() {
    const auto now = clock::now();
    while (!later_.empty() && later_.front().due <= now) {
        const auto next = std::move(later_.front());
        later_.pop_front();
        later_cost_ -= next.cost();
        const datagram reply = {.data = as_bytes(next.data),
                                .peer = &next.peer,
                                .local = next.local ? &*next.local : nullptr};
        send_now({&reply, 1});
    }
    if (!later_.empty()) {
        wait();
    }
}

} // namespace sockeye::cli
