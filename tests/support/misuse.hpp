#pragma once

#include "base/misuse.hpp"

#include <string_view>

namespace support {

/// Lets mistakes pass as long as it lives: what comes of them then is what comes of them in a
/// library without asserts.
class tolerated_misuse {
public:
    tolerated_misuse() noexcept
        : before_(sockeye::listen_to_misuse([](std::string_view, std::string_view) {})) {}
    tolerated_misuse(const tolerated_misuse&) = delete;
    tolerated_misuse& operator=(const tolerated_misuse&) = delete;
    ~tolerated_misuse() { sockeye::listen_to_misuse(before_); }

private:
    sockeye::misuse_listener before_;
};

} // namespace support
