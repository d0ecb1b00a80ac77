#pragma once

#include "support/program.hpp"

#include <string>
#include <string_view>

namespace support {

/// A tree of files like /proc and /sys of a machine that is not this one.
class fixture_tree {
public:
    /// Writes a file and the folders it is in: `/proc/stat`.
    void write(std::string_view path, std::string_view text) const;
    /// Four CPUs in two cores of one socket, each of two threads: 0 and 2, 1 and 3; nothing is
    /// wrong with it.
    void write_good_machine() const;

    [[nodiscard]] std::string root() const { return folder_.file("root"); }

private:
    scratch_directory folder_;
};

} // namespace support
