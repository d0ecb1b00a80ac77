#pragma once

#include "bench/machine/host.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// The files in which a system tells of itself: those of Linux below /proc and /sys.
///
/// They are looked for below `root`: the machine's own are below the empty one. Everything is
/// absent where there is no such file, or it cannot be read.
class system_files {
public:
    system_files() = default;
    explicit system_files(std::string root) : root_(std::move(root)) {}

    /// Whether they are this machine's own.
    [[nodiscard]] bool is_own() const noexcept { return root_.empty(); }

    [[nodiscard]] std::optional<std::string> text(const std::string& path) const;
    /// The first line, where it is not empty, without blanks at its ends.
    [[nodiscard]] std::optional<std::string> line(const std::string& path) const;
    /// What the file begins with.
    [[nodiscard]] std::optional<std::uint64_t> number(const std::string& path) const;
    /// What follows `name` and a colon or blanks in the first line that begins so.
    [[nodiscard]] std::optional<std::string> entry(const std::string& path,
                                                   std::string_view name) const;
    /// The number that such an entry begins with.
    [[nodiscard]] std::optional<std::uint64_t> entry_number(const std::string& path,
                                                            std::string_view name) const;
    /// What is in a folder, in order.
    [[nodiscard]] std::vector<std::string> names(const std::string& folder) const;

private:
    std::string root_;
};

/// `0-1,4` as 0, 1, 4; what is no such list is left out.
[[nodiscard]] host::cpu_list parse_cpus(std::string_view text);

} // namespace sockeye::bench
