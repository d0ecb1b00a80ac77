#include "support/kernel_peer.hpp"

#include <array>

namespace support {

using namespace sockeye;

kernel_peer::kernel_peer(kernel& system, const endpoint& server)
    : system_(system), fd_(system.socket(server.kind(), server.family()).value()) {
    const auto said = system.connect(fd_.get(), server);
    if (said && said != std::errc::operation_in_progress) {
        throw std::system_error(said);
    }
}

void kernel_peer::reset() {
    static_cast<void>(system_.set_option(fd_.get(), socket_option::linger_reset, 1));
    fd_.reset();
}

void kernel_peer::pump() {
    if (fd_ && !error_) {
        push();
        pull();
    }
}

/// Would-block, and a connection that is not up yet, are no ends.
void kernel_peer::note(std::error_code error) {
    if (error != std::errc::operation_would_block && error != std::errc::not_connected) {
        error_ = error;
    }
}

void kernel_peer::push() {
    while (!unsent_.empty()) {
        const auto sent = system_.send(fd_.get(), as_bytes(unsent_));
        if (!sent) {
            note(sent.error());
            return;
        }
        unsent_.erase(0, *sent);
    }
    if (wants_fin_ && !system_.shutdown_write(fd_.get())) {
        wants_fin_ = false;
    }
}

void kernel_peer::pull() {
    std::array<std::byte, 65536> room;
    while (!has_ended_) {
        const auto got = system_.receive(fd_.get(), room);
        if (!got) {
            note(got.error());
            return;
        }
        heard_ += as_text(bytes(room).first(*got));
        has_ended_ = *got == 0;
    }
}

} // namespace support
