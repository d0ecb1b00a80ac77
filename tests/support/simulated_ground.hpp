#pragma once

#include "support/ground.hpp"

#include <memory>

namespace support {

/// One host of a simulated network, without faults, in virtual time.
[[nodiscard]] std::unique_ptr<ground> make_simulated_ground();

} // namespace support
