#include "kernel/posix.hpp"

#include <algorithm>
#include <array>

namespace sockeye {
namespace {

msghdr header_of(const datagram& source, iovec& buffer) noexcept {
    msghdr header = {};
    buffer = buffer_of(source.data);
    header.msg_iov = &buffer;
    header.msg_iovlen = 1;
    if (source.peer != nullptr) {
        header.msg_name = const_cast<sockaddr*>(source.peer->data());
        header.msg_namelen = source.peer->size();
    }
    return header;
}

} // namespace

struct datagram_batch::headers {
    std::array<platform::message_header, datagrams_per_call> messages = {};
    std::array<iovec, datagrams_per_call> buffers = {};
};

datagram_batch::datagram_batch()
    : memory_(std::make_unique_for_overwrite<std::byte[]>(datagrams_per_call * stride)),
      headers_(std::make_unique<headers>()) {
    for (std::size_t i = 0; i < datagrams_per_call; ++i) {
        const auto memory = memory_of(i);
        headers_->buffers[i] = {memory.data(), memory.size()};
        auto& header = headers_->messages[i].msg_hdr;
        header.msg_iov = &headers_->buffers[i];
        header.msg_iovlen = 1;
        header.msg_name = peers_[i].room();
        header.msg_namelen = endpoint::room_size();
        datagrams_[i].peer = &peers_[i];
    }
}

datagram_batch::~datagram_batch() = default;

result<std::size_t> posix_kernel::receive_datagrams(int fd, transport kind, datagram_batch& batch) {
    auto& messages = batch.headers_->messages;
    const auto got = count_or_error(retry_eintr(
        [&] { return platform::receive_messages(fd, messages.data(), messages.size()); }));
    batch.resize(got ? *got : 0);
    for (std::size_t i = 0; i < batch.filled().size(); ++i) {
        auto& header = messages[i].msg_hdr;
        const auto size =
            std::min(static_cast<std::size_t>(messages[i].msg_len), datagram_bytes_max);
        batch.fill(i, size, (header.msg_flags & MSG_TRUNC) != 0);
        batch.peer_of(i).filled(kind, header.msg_namelen);
        header.msg_namelen = endpoint::room_size();
    }
    return got;
}

result<std::size_t> posix_kernel::send_datagrams(int fd, std::span<const datagram> sources) {
    std::array<platform::message_header, datagrams_per_call> messages;
    std::array<iovec, datagrams_per_call> buffers;
    const auto count = std::min(sources.size(), datagrams_per_call);
    for (std::size_t i = 0; i < count; ++i) {
        messages[i].msg_hdr = header_of(sources[i], buffers[i]);
    }
    return count_or_error(
        retry_eintr([&] { return platform::send_messages(fd, messages.data(), count); }));
}

} // namespace sockeye
