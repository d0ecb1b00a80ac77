#include <sockeye/relay.hpp>

#include "net/connection.hpp"

#include <array>
#include <memory>

namespace sockeye {

/// What the two sessions and the owner share; goes with the last of them.
struct relay_core {
    std::array<stream, 2> ends;
    relay::handler on_end;
    relay_end outcome;
    int open = 2;
    int references = 1;

    [[nodiscard]] std::uint64_t& bytes_from(std::size_t side) noexcept {
        return side == 0 ? outcome.bytes_forward : outcome.bytes_back;
    }
    void closed(std::size_t side, const close_info& info);
    void give_up() noexcept;
    static void drop(relay_core* core) noexcept {
        if (core != nullptr && --core->references == 0) {
            delete core;
        }
    }
};

namespace {

/// The session of one of the two streams.
class relay_side {
public:
    relay_side(relay_core& core, std::size_t side) noexcept : core_(core), side_(side) {
        ++core_.references;
    }
    relay_side(const relay_side&) = delete;
    relay_side& operator=(const relay_side&) = delete;
    ~relay_side() { relay_core::drop(&core_); }

    void on_data(stream& self, bytes in) {
        core_.bytes_from(side_) += in.size();
        if (other().write(in) == write_status::above_high_mark) {
            self.pause();
        }
    }
    void on_end(stream&) { other().shutdown(); }
    void on_writable(stream&) { other().resume(); }
    void on_close(stream&, const close_info& info) { core_.closed(side_, info); }

private:
    [[nodiscard]] stream& other() noexcept { return core_.ends[1 - side_]; }

    relay_core& core_;
    std::size_t side_;
};

} // namespace

void relay_core::closed(std::size_t side, const close_info& info) {
    auto& other = ends[1 - side];
    if (info.reason == close_reason::ended) {
        other.shutdown(); // its end may have come as its close, without on_end
    } else if (info.reason == close_reason::closed) {
        other.close();
    } else {
        if (!outcome.error) {
            outcome.error =
                info.error ? info.error : make_error_code(std::errc::connection_aborted);
        }
        other.abort();
    }
    if (--open != 0) {
        return;
    }
    if (auto told = std::move(on_end)) {
        told(outcome);
    }
}

/// Both streams end in silence.
void relay_core::give_up() noexcept {
    on_end = nullptr;
    open = 0;
    for (auto& end : ends) {
        end = {};
    }
}

relay::relay(stream first, stream second, handler on_end) : core_(nullptr) {
    std::unique_ptr<relay_core, void (*)(relay_core*)> made(
        new relay_core{{std::move(first), std::move(second)}, std::move(on_end), {}},
        [](relay_core* failed) {
            failed->give_up();
            relay_core::drop(failed);
        });
    for (std::size_t side = 0; side < made->ends.size(); ++side) {
        made->ends[side].attach<relay_side>(*made, side);
        if (auto* const place = stream_access::place(made->ends[side])) {
            connection(*place).read_above_mark();
        }
    }
    core_ = made.release();
}

relay& relay::operator=(relay&& other) noexcept {
    if (this != &other) {
        relay ended(std::move(*this));
        core_ = std::exchange(other.core_, nullptr);
    }
    return *this;
}

relay::~relay() {
    if (core_ != nullptr) {
        core_->give_up();
        relay_core::drop(core_);
    }
}

void relay::detach() noexcept {
    relay_core::drop(std::exchange(core_, nullptr));
}

bool relay::is_open() const noexcept {
    return core_ != nullptr && core_->open != 0;
}

} // namespace sockeye
