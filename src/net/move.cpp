#include "net/connection.hpp"

#include <sockeye/loop_group.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace sockeye {
namespace {

/// A connection on its way. It is sent before it is filled, so that nothing is given up before
/// somebody is there to take it.
struct parcel {
    std::mutex guard;
    unique_fd fd;
    stream_limits limits;
    unique_function<void(result<stream>)> arrive;
};

void open_parcel(parcel& arrived, loop& owner) {
    unique_fd fd;
    {
        const std::lock_guard lock(arrived.guard);
        fd = std::move(arrived.fd);
    }
    // An empty one: it could not be released.
    if (fd) {
        arrived.arrive(adopt(owner, std::move(fd), arrived.limits));
    }
}

} // namespace

std::error_code move_to(stream& link, const remote& target,
                        unique_function<void(result<stream>)> arrive) {
    auto* const place = stream_access::place(link);
    if (place == nullptr) {
        return make_error_code(std::errc::not_connected);
    }
    const auto sent = std::make_shared<parcel>();
    sent->limits = connection(*place).limits();
    sent->arrive = std::move(arrive);
    const std::lock_guard lock(sent->guard);
    if (!target.post([sent](loop& owner) { open_parcel(*sent, owner); })) {
        return make_error_code(std::errc::operation_canceled);
    }
    auto given = link.release();
    if (given) {
        sent->fd = std::move(given.value());
    }
    return given.error();
}

} // namespace sockeye
