#pragma once

#include <sockeye/result.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sockeye {

/// What somebody wants to hear about a descriptor. A set: combine with `|`.
enum class interest : std::uint8_t {
    none = 0,
    readable = 1,
    writable = 2,
    /// Tell each change once instead of as long as it lasts; only where the backend has `edge`.
    edge = 4,
    /// Of several loops that watch the same listening socket, do not wake all of them for one
    /// newcomer; only where the backend has `exclusive`, and with nothing but `readable`.
    exclusive = 8,
};

[[nodiscard]] constexpr interest operator|(interest a, interest b) noexcept {
    return static_cast<interest>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr interest operator&(interest a, interest b) noexcept {
    return static_cast<interest>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(interest set, interest bit) noexcept {
    return (set & bit) != interest::none;
}

/// The multiplexers that this library knows. `simulated` is what a loop of a simulation says.
enum class backend_kind : std::uint8_t { automatic, epoll, kqueue, poll, select, simulated };

/// What differs between backends and can be asked for; everything else is the same on all.
struct backend_features {
    bool edge = false;        ///< interest::edge is offered
    bool early_close = false; ///< hang-up and error are noticed without any interest
    bool exclusive = false;   ///< interest::exclusive is offered
};

/// One line of the table of backends.
struct backend_info {
    backend_kind kind;
    std::string_view name;
    bool is_usable;          ///< probed, not guessed
    std::string_view reason; ///< why it is not usable; where it is, what to know of it
    backend_features features;
};

/// All backends this library knows, best first; those not usable here come with the reason.
[[nodiscard]] std::span<const backend_info> backends();

/// The kind of that name; "auto" is backend_kind::automatic. Errors: errc::backend_unknown.
[[nodiscard]] result<backend_kind> parse_backend(std::string_view name);

[[nodiscard]] std::string_view to_string(backend_kind kind) noexcept;

} // namespace sockeye
