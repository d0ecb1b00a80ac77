#pragma once

#include <string>
#include <string_view>

namespace sockeye::cli {

/// How `help` and `manual` are asked for it.
inline constexpr std::string_view method_topic = "method";

/// How `bench` measures, for people who read its results: sockeye-method(7), in mdoc.
[[nodiscard]] std::string method_manual();

/// The same for the terminal.
[[nodiscard]] std::string method_text();

} // namespace sockeye::cli
