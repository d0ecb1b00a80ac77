#include "support/test_kernel.hpp"

namespace support {

using namespace sockeye;

template <typename T>
using result_of = sockeye::result<T>;

time_point test_kernel::now() {
    return stopped_at_ ? *stopped_at_ : forwarding_kernel::now();
}

result_of<duration> test_kernel::read_clock(clock_kind which) {
    if (!stopped_at_) {
        return forwarding_kernel::read_clock(which);
    }
    const auto shown = stopped_at_->time_since_epoch();
    return which == clock_kind::wall ? shown + wall_ahead_ : shown;
}

result_of<owned_fd> test_kernel::make_alarm(clock_kind which) {
    if (stopped_at_) {
        return std::errc::not_supported;
    }
    return forwarding_kernel::make_alarm(which);
}

void test_kernel::wake(int write_end) noexcept {
    ++wakes_;
    forwarding_kernel::wake(write_end);
}

result_of<std::size_t> test_kernel::receive(int fd, std::span<std::byte> target) {
    auto got = forwarding_kernel::receive(fd, target);
    received_[fd] += got ? *got : 0;
    return got;
}

result_of<std::size_t> test_kernel::send(int fd, bytes source) {
    return note_sent(fd, source.size(), forwarding_kernel::send(fd, source));
}

result_of<std::size_t> test_kernel::send_gathered(int fd, std::span<const bytes> sources) {
    std::size_t wanted = 0;
    for (const auto& part : sources) {
        wanted += part.size();
    }
    return note_sent(fd, wanted, forwarding_kernel::send_gathered(fd, sources));
}

result_of<std::size_t> test_kernel::note_sent(int fd, std::size_t wanted,
                                              result_of<std::size_t> sent) {
    if (!sent || *sent < wanted) {
        short_.insert(fd);
    }
    return sent;
}

void test_kernel::close(int fd) noexcept {
    received_.erase(fd);
    short_.erase(fd);
    forwarding_kernel::close(fd);
}

result_of<wake_channel> test_kernel::make_wake_channel() {
    if (refuses_channel_) {
        return std::errc::too_many_files_open;
    }
    return forwarding_kernel::make_wake_channel();
}

} // namespace support
