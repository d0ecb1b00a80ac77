#include <sockeye/error.hpp>
#include <sockeye/result.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <type_traits>

using sockeye::errc;
using sockeye::result;

namespace {

result<int> half_of(int number) {
    if (number % 2 != 0) {
        return std::make_error_code(std::errc::invalid_argument);
    }
    return number / 2;
}

} // namespace

TEST_CASE("result: a value is had in every way and there is no error") {
    auto subject = half_of(14);
    CHECK(subject);
    CHECK(subject.has_value());
    CHECK(subject.value() == 7);
    CHECK(*subject == 7);
    CHECK_FALSE(subject.error());
    *subject = 8;
    CHECK(std::as_const(subject).value() == 8);
    CHECK(*std::as_const(subject) == 8);
    CHECK(half_of(4).value() == 2);
}

TEST_CASE("result: an error is had as a code and, by value(), as an exception") {
    const auto subject = half_of(7);
    CHECK_FALSE(subject);
    CHECK_FALSE(subject.has_value());
    CHECK(subject.error() == std::errc::invalid_argument);
    bool was_thrown = false;
    try {
        static_cast<void>(subject.value());
    } catch (const std::system_error& thrown) {
        was_thrown = true;
        CHECK(thrown.code() == subject.error());
    }
    CHECK(was_thrown);
    CHECK_THROWS_AS(static_cast<void>(half_of(7).value()), std::system_error);
    auto changeable = half_of(7);
    CHECK_THROWS_AS(static_cast<void>(changeable.value()), std::system_error);
}

TEST_CASE("result: the library's own errors convert and keep their category") {
    const result<std::string> subject = errc::end_of_stream;
    CHECK(subject.error() == errc::end_of_stream);
    CHECK(&subject.error().category() == &sockeye::sockeye_category());
    CHECK(subject.error() != errc::send_queue_full);
    CHECK(subject.error().message() == "end of stream");
    CHECK(std::string(sockeye::sockeye_category().name()) == "sockeye");
}

TEST_CASE("result: a value that can only be moved is moved out") {
    result<std::unique_ptr<int>> subject = std::make_unique<int>(7);
    CHECK(**subject == 7);
    CHECK(subject->get() != nullptr);
    const auto taken = std::move(subject).value();
    CHECK(*taken == 7);
    static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_constructible_v<result<std::unique_ptr<int>>>);
}

TEST_CASE("result: a value may itself be an error code") {
    struct answer {
        std::error_code code;
    };
    const result<answer> subject = answer{std::make_error_code(std::errc::timed_out)};
    CHECK(subject);
    CHECK(subject->code == std::errc::timed_out);
    CHECK_FALSE(subject.error());
}

TEST_CASE("result: every error of the library has a message of its own") {
    std::string before;
    int known = 0;
    for (int value = 1; value < 1000; ++value) {
        const auto message = sockeye::sockeye_category().message(value);
        if (message == "unknown error") {
            break;
        }
        CHECK_FALSE(message.empty());
        CHECK(message != before);
        before = message;
        ++known;
    }
    CHECK(known >= static_cast<int>(errc::endpoint_abstract_unsupported));
    CHECK(sockeye::sockeye_category().message(0) == "unknown error");
}

TEST_CASE("error: each has a message of its own") {
    std::set<std::string> messages;
    int count = 0;
    while (std::error_code(count + 1, sockeye::sockeye_category()).message() != "unknown error") {
        messages.insert(std::error_code(++count, sockeye::sockeye_category()).message());
    }
    CHECK(count >= static_cast<int>(sockeye::errc::endpoint_abstract_unsupported));
    CHECK(messages.size() == static_cast<std::size_t>(count));
}
