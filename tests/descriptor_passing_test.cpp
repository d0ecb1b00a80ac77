#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using sockeye::unique_fd;

namespace {

std::vector<unique_fd> make_descriptors(std::size_t count) {
    std::vector<unique_fd> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.emplace_back(::open("/dev/null", O_RDONLY));
        REQUIRE(made.back());
    }
    return made;
}

std::vector<int> numbers_of(const std::vector<unique_fd>& owned) {
    std::vector<int> numbers;
    std::transform(owned.begin(), owned.end(), std::back_inserter(numbers),
                   [](const unique_fd& one) { return one.get(); });
    return numbers;
}

bool is_close_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

bool is_same_file(int first, int second) {
    struct stat one = {};
    struct stat other = {};
    REQUIRE(::fstat(first, &one) == 0);
    REQUIRE(::fstat(second, &other) == 0);
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Sends `text` with copies of `descriptors`, all of it at once.
void send_all(sockeye::kernel& system, int fd, std::string_view text,
              const std::vector<unique_fd>& descriptors) {
    const auto sent =
        system.send_with_descriptors(fd, sockeye::as_bytes(text), numbers_of(descriptors));
    REQUIRE(sent.value() == text.size());
}

} // namespace

TEST_CASE("[193] kernel: descriptors arrive with their byte, close-on-exec, the same files") {
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        auto ends = support::make_pipe();
        std::vector<unique_fd> given;
        given.push_back(std::move(ends.first));
        given.push_back(std::move(ends.second));
        send_all(system, pair.first.get(), "two", given);

        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 3);
        REQUIRE(came.size() == 2);
        for (std::size_t i = 0; i < came.size(); ++i) {
            CHECK(is_close_on_exec(came[i].get()));
            CHECK(is_same_file(came[i].get(), given[i].get()));
        }
        const auto nothing = system.receive_with_descriptors(pair.second.get(), target, came);
        CHECK(nothing.error() == std::errc::operation_would_block);
        pair.first.reset();
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 0);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("[193] kernel: a message carries 253 descriptors, and no more") {
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        auto given = make_descriptors(sockeye::descriptors_per_message);
        send_all(system, pair.first.get(), "all", given);
        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 3);
        CHECK(came.size() == 253);

        given.push_back(std::move(came.back()));
        const auto refused = system.send_with_descriptors(
            pair.first.get(), sockeye::as_bytes("one too many"), numbers_of(given));
        CHECK(refused.error() == std::errc::invalid_argument);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("[194] kernel: of descriptors that find no room none stays open, and it is an error") {
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        send_all(system, pair.first.get(), "some", make_descriptors(5));
        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        const auto beside = support::open_descriptors();
        {
            // There is room for two, so that the system installs them and cuts off the others.
            const support::lowered_descriptor_limit room_for_two(2);
            const auto got = system.receive_with_descriptors(pair.second.get(), target, came);
            CHECK(got.error() == std::errc::too_many_files_open);
        }
        CHECK(came.empty());
        CHECK(support::open_descriptors() == beside);
    }
    CHECK(support::open_descriptors() == before);
}
