#pragma once

#include <optional>

#include <nlohmann/json.hpp>

namespace sockeye::bench {

/// JSON in fewer bytes: of objects in an array, each name is written once, and its values as a
/// column. `[{"a":1,"b":0},{"a":2,"b":0}]` is `{"#rows":2,"#columns":{"a":[1,2],"b":{"#all":0}}}`.
///
/// Fractions are cut to seven digits, and what is null in such an object is absent afterwards.
[[nodiscard]] nlohmann::json packed(const nlohmann::json& value);

/// What packed() was given; nothing where `value` cannot be of that. What is not packed stays.
[[nodiscard]] std::optional<nlohmann::json> unpacked(const nlohmann::json& value);

} // namespace sockeye::bench
