#include <sockeye/unique_fd.hpp>

#include <doctest/doctest.h>

#include <array>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

using sockeye::unique_fd;

namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) != -1;
}

std::pair<unique_fd, unique_fd> make_pipe() {
    std::array<int, 2> ends = {-1, -1};
    REQUIRE(::pipe(ends.data()) == 0);
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

} // namespace

TEST_CASE("unique_fd: an empty one holds -1 and closes nothing") {
    const unique_fd subject;
    CHECK(subject.get() == -1);
    CHECK_FALSE(subject);
    CHECK_FALSE(unique_fd(-1));
}

TEST_CASE("unique_fd: descriptor 0 is a descriptor") {
    unique_fd subject(0);
    CHECK(subject);
    CHECK(subject.release() == 0);
}

TEST_CASE("unique_fd: what it owns is closed when it is destroyed") {
    int number = -1;
    {
        const auto [reader, writer] = make_pipe();
        number = reader.get();
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
}

TEST_CASE("unique_fd: moving hands over, and exactly one of the two closes") {
    auto [reader, writer] = make_pipe();
    const int number = reader.get();
    {
        unique_fd taken = std::move(reader);
        CHECK(taken.get() == number);
        CHECK(reader.get() == -1);
        reader.reset();
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
    static_assert(!std::is_copy_constructible_v<unique_fd>);
    static_assert(!std::is_copy_assignable_v<unique_fd>);
    static_assert(std::is_nothrow_move_constructible_v<unique_fd>);
    static_assert(std::is_nothrow_move_assignable_v<unique_fd>);
}

TEST_CASE("unique_fd: assigning closes what was held before") {
    auto [reader, writer] = make_pipe();
    const int old = reader.get();
    const int fresh = writer.get();
    reader = std::move(writer);
    CHECK_FALSE(is_open(old));
    CHECK(is_open(fresh));
    CHECK(reader.get() == fresh);
    CHECK_FALSE(writer);
}

TEST_CASE("unique_fd: assigning one to itself keeps it open") {
    auto [reader, writer] = make_pipe();
    const int number = reader.get();
    auto& same = reader;
    reader = std::move(same);
    CHECK(reader.get() == number);
    CHECK(is_open(number));
}

TEST_CASE("unique_fd: release gives away without closing") {
    auto [reader, writer] = make_pipe();
    const int number = reader.release();
    CHECK_FALSE(reader);
    CHECK(is_open(number));
    reader.reset(number);
    reader.reset();
    CHECK_FALSE(is_open(number));
}

TEST_CASE("unique_fd: a descriptor that is already closed does no harm") {
    auto [reader, writer] = make_pipe();
    REQUIRE(::close(reader.get()) == 0);
    reader.reset();
    CHECK_FALSE(reader);
}
