#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// The number of a row of the fault matrix, beside those of the specification.
[[nodiscard]] constexpr int fault_row(int number) noexcept {
    return 1000 + number;
}

/// The rows of the specification that the test code in one scope holds one backend to.
///
/// A row has passed where no assertion failed between construction and destruction, in all scopes
/// that name it. What was found goes to the file that SOCKEYE_CONFORMANCE names when the test
/// program ends; support/conformance.awk makes the table of all such files, with the rows that
/// nobody tested. Threads: the one that runs the tests.
class rows {
public:
    /// For rows that have to do with no backend `backend` is "all".
    explicit rows(std::vector<int> numbers, std::string_view backend = "all");
    rows(const rows&) = delete;
    rows& operator=(const rows&) = delete;
    ~rows();

    /// Says why this backend cannot be held to the rows. What is asserted all the same can fail.
    void do_not_apply(std::string reason) { reason_ = std::move(reason); }

private:
    std::vector<int> numbers_;
    std::string backend_;
    std::string reason_;
    int failures_before_;
};

/// Declared at namespace scope: rows that have no meaning on any backend, and why.
class exemption {
public:
    exemption(std::initializer_list<int> numbers, const std::string& reason);
};

} // namespace support
