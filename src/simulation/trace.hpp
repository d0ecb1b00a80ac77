#pragma once

#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <string_view>

namespace sockeye::simulated {

/// What happened, as one number: equal runs have equal ones. Names the calls for who listens.
class trace {
public:
    struct entry {
        std::string_view host;
        std::string_view call;
        int fd = -1;
        std::int64_t outcome = 0; ///< a count, a descriptor, or a negative error
        time_point at;
    };

    void note(const entry& what) {
        mix(static_cast<std::uint64_t>(what.at.time_since_epoch().count()));
        mix(static_cast<std::uint64_t>(what.outcome) << 20 ^
            static_cast<std::uint64_t>(static_cast<std::uint32_t>(what.fd)));
        mix(what.call.size() << 8 | static_cast<unsigned char>(what.call[0]));
        ++calls_;
        if (listener) {
            listener(what);
        }
    }

    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
    [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }

    unique_function<void(const entry&)> listener;

private:
    void mix(std::uint64_t word) noexcept {
        hash_ = (hash_ ^ word) * 0x9e37'79b9'7f4a'7c15;
        hash_ ^= hash_ >> 29;
    }

    std::uint64_t hash_ = 0x50c4'e7e5;
    std::uint64_t calls_ = 0;
};

} // namespace sockeye::simulated
