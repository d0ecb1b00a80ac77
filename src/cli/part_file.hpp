#pragma once

#include <sockeye/unique_fd.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// A file that takes its name only when all of it is there; until then it is called NAME.part.
///
/// Never writes through a symbolic link, and never into a file that somebody else made. A character
/// device, such as /dev/null, is written to as it is.
class part_file {
public:
    /// How to go about files that are there already.
    enum class existing : std::uint8_t { keep, replace };

    /// Nothing is made yet. Throws command_error with exit_failed where it is plain already that
    /// the file could not be: it is there and is to be kept, or its directory is not.
    part_file(std::string path, existing policy);

    /// Makes NAME.part. Throws command_error, as do those that follow.
    void open();
    void write(std::string_view data);
    /// Closes NAME.part and gives it its name.
    void finish();

    /// What is there now: NAME.part from open() to finish(), NAME else.
    [[nodiscard]] const std::string& place() const { return is_open() ? part_ : path_; }
    /// Whether it is there, and not whole.
    [[nodiscard]] bool is_partial() const { return is_open() && !is_device_; }
    [[nodiscard]] std::uint64_t written() const { return written_; }

private:
    [[nodiscard]] bool is_open() const { return static_cast<bool>(file_); }
    void look() const;
    [[noreturn]] void refuse(const std::string& path, const std::string& why) const;

    std::string path_;
    std::string part_;
    existing policy_;
    bool is_device_ = false;
    std::uint64_t written_ = 0;
    unique_fd file_;
};

} // namespace sockeye::cli
