#include "kernel/posix.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace sockeye {
namespace {

/// More than any system sends in one message, so that what does not fit is what this process has
/// no room for: 253 on Linux, 509 where they have to fit into one buffer of 2 KiB.
constexpr std::size_t received_max = 512;

/// Room for the control messages of one call, as cmsg(3) wants it.
template <std::size_t Descriptors>
class control_room {
public:
    control_room() noexcept = default;

    void lend_to(msghdr& header) noexcept {
        header.msg_control = memory_.data();
        header.msg_controllen = static_cast<decltype(header.msg_controllen)>(memory_.size());
    }

private:
    /// The header of the message, and what a socket may be told beside descriptors: who sent them.
    /// CMSG_SPACE would say exactly, but is no constant everywhere.
    static constexpr std::size_t others = 384;

    alignas(
        std::max_align_t) std::array<std::byte, Descriptors * sizeof(int) + others> memory_ = {};
};

/// Owns what came, before anything is decided about it.
class received_descriptors {
public:
    explicit received_descriptors(msghdr& header) noexcept {
        for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr;
             part = CMSG_NXTHDR(&header, part)) {
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
                own(*part);
            }
        }
    }

    [[nodiscard]] bool fits() const noexcept { return fits_; }

    /// False where there is no memory for them.
    [[nodiscard]] bool give_to(std::vector<unique_fd>& target) {
        try {
            target.reserve(target.size() + count_);
        } catch (const std::bad_alloc&) {
            return false;
        }
        std::move(owned_.begin(), owned_.begin() + static_cast<std::ptrdiff_t>(count_),
                  std::back_inserter(target));
        return true;
    }

private:
    void own(cmsghdr& part) noexcept {
        const auto size = static_cast<std::size_t>(part.cmsg_len);
        const auto begin = static_cast<std::size_t>(CMSG_LEN(0));
        for (auto at = begin; at + sizeof(int) <= size; at += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, reinterpret_cast<const std::byte*>(&part) + at, sizeof fd);
            unique_fd one(fd);
            if (!platform::received_are_close_on_exec) {
                static_cast<void>(::fcntl(fd, F_SETFD, FD_CLOEXEC));
            }
            if (count_ == owned_.size()) {
                fits_ = false;
                continue;
            }
            owned_[count_++] = std::move(one);
        }
    }

    std::array<unique_fd, received_max> owned_;
    std::size_t count_ = 0;
    bool fits_ = true;
};

} // namespace

result<std::size_t> posix_kernel::send_with_descriptors(int fd, bytes source,
                                                        std::span<const int> descriptors) {
    if (source.empty() || descriptors.size() > descriptors_per_message) {
        return std::errc::invalid_argument;
    }
    control_room<descriptors_per_message> room;
    auto buffer = buffer_of(source);
    msghdr header = {};
    header.msg_iov = &buffer;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
        room.lend_to(header);
        auto& part = *CMSG_FIRSTHDR(&header);
        part.cmsg_level = SOL_SOCKET;
        part.cmsg_type = SCM_RIGHTS;
        part.cmsg_len = static_cast<decltype(part.cmsg_len)>(CMSG_LEN(descriptors.size_bytes()));
        std::memcpy(CMSG_DATA(&part), descriptors.data(), descriptors.size_bytes());
        header.msg_controllen =
            static_cast<decltype(header.msg_controllen)>(CMSG_SPACE(descriptors.size_bytes()));
    }
    const auto sent =
        count_or_error(retry_eintr([&] { return ::sendmsg(fd, &header, platform::send_flags); }));
    // More on their way than this user may have open: there is room when they have been received.
    const bool is_crowded =
        !sent && sent.error() == std::error_code(ETOOMANYREFS, std::system_category());
    return is_crowded ? make_error_code(std::errc::too_many_files_open) : sent;
}

result<std::size_t> posix_kernel::receive_with_descriptors(int fd, std::span<std::byte> target,
                                                           std::vector<unique_fd>& descriptors) {
    control_room<received_max> room;
    iovec buffer = {target.data(), target.size()};
    msghdr header = {};
    const auto got = count_or_error(retry_eintr([&] {
        header = {};
        header.msg_iov = &buffer;
        header.msg_iovlen = 1;
        room.lend_to(header);
        return ::recvmsg(fd, &header, platform::receive_flags);
    }));
    if (!got) {
        return got;
    }
    received_descriptors came(header);
    if ((header.msg_flags & MSG_CTRUNC) != 0 || !came.fits()) {
        return std::errc::too_many_files_open;
    }
    if ((header.msg_flags & MSG_TRUNC) != 0) {
        return std::errc::message_size;
    }
    return came.give_to(descriptors) ? got : std::errc::too_many_files_open;
}

/// Without room for control messages the system drops what comes along.
result<std::size_t> posix_kernel::receive_message(int fd, std::span<std::byte> target) {
    iovec buffer = {target.data(), target.size()};
    msghdr header = {};
    const auto got = count_or_error(retry_eintr([&] {
        header = {};
        header.msg_iov = &buffer;
        header.msg_iovlen = 1;
        return ::recvmsg(fd, &header, platform::receive_flags);
    }));
    const bool is_cut = got && (header.msg_flags & MSG_TRUNC) != 0;
    return is_cut ? std::errc::message_size : got;
}

result<peer_credentials> posix_kernel::credentials(int fd) {
    peer_credentials made;
    return platform::ask_peer_credentials(fd, made.user_id, made.group_id, made.process_id)
               ? result<peer_credentials>(made)
               : last_error();
}

} // namespace sockeye
