#include <sockeye/unique_function.hpp>

#include "support/allocations.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

using sockeye::unique_function;

namespace {

/// What happened to the callables of one test.
struct journal {
    int made = 0;
    int destroyed = 0;
    int calls = 0;
};

/// A callable that writes down its life; `Size` pointers large.
template <std::size_t Size, bool MoveThrows = false>
class recorder {
public:
    explicit recorder(journal& book) : book_(&book) { ++book.made; }
    recorder(recorder&& other) noexcept(!MoveThrows) : book_(other.book_) { ++book_->made; }
    recorder(const recorder&) = delete;
    ~recorder() { ++book_->destroyed; }
    int operator()(int number) {
        ++book_->calls;
        return number + 1;
    }

private:
    journal* book_;
    [[maybe_unused]] std::array<void*, Size - 1> ballast_ = {};
};

template <>
class recorder<1> {
public:
    explicit recorder(journal& book) : book_(&book) { ++book.made; }
    recorder(recorder&& other) noexcept : book_(other.book_) { ++book_->made; }
    recorder(const recorder&) = delete;
    ~recorder() { ++book_->destroyed; }
    int operator()(int number) {
        ++book_->calls;
        return number + 1;
    }

private:
    journal* book_;
};

/// How many allocations it takes to make, move, call and destroy one.
template <typename Callable>
std::size_t allocations_of(Callable callable) {
    const auto before = support::allocations();
    {
        unique_function<int()> first = std::move(callable);
        unique_function<int()> second = std::move(first);
        first = std::move(second);
        CHECK(first() == 7);
    }
    return support::allocations() - before;
}

template <typename Callable>
void check_life(bool is_inside) {
    journal book;
    const auto before = support::allocations();
    const auto freed_before = support::deallocations();
    {
        unique_function<int(int)> first = Callable(book);
        CHECK(first(1) == 2);
        unique_function<int(int)> second = std::move(first);
        CHECK_FALSE(first);
        CHECK(second(2) == 3);
        unique_function<int(int)> third;
        third = std::move(second);
        CHECK_FALSE(second);
        CHECK(third(3) == 4);
        CHECK(book.made - book.destroyed == 1);
    }
    CHECK(book.calls == 3);
    CHECK(book.made == book.destroyed);
    const auto allocated = support::allocations() - before;
    CHECK(allocated == (is_inside ? 0 : 1));
    CHECK(support::deallocations() - freed_before == allocated);
}

int add(int left, int right) {
    return left + right;
}

} // namespace

TEST_CASE("unique_function: captures of one, two and three pointers never allocate") {
    int number = 7;
    auto* one = &number;
    auto* two = &number;
    auto* three = &number;
    auto* four = &number;
    CHECK(allocations_of([] { return 7; }) == 0);
    CHECK(allocations_of([one] { return *one; }) == 0);
    CHECK(allocations_of([one, two] { return *one + *two - 7; }) == 0);
    CHECK(allocations_of([one, two, three] { return *one + *two + *three - 14; }) == 0);
    CHECK(allocations_of([one, two, three, four] { return *one + *two + *three + *four - 21; }) ==
          1);
    CHECK(allocations_of([owned = std::make_unique<int>(7)] { return *owned; }) == 0);
}

TEST_CASE("unique_function: what it holds is destroyed exactly once") {
    SUBCASE("inside") {
        check_life<recorder<1>>(true);
        check_life<recorder<2>>(true);
        check_life<recorder<3>>(true);
    }
    SUBCASE("outside because it is large") {
        check_life<recorder<4>>(false);
    }
    SUBCASE("outside because its move may throw") {
        check_life<recorder<2, true>>(false);
    }
}

TEST_CASE("unique_function: moving never throws, whatever it holds") {
    static_assert(std::is_nothrow_move_constructible_v<unique_function<void()>>);
    static_assert(std::is_nothrow_move_assignable_v<unique_function<void()>>);
    static_assert(!std::is_copy_constructible_v<unique_function<void()>>);
    static_assert(!std::is_copy_assignable_v<unique_function<void()>>);
    journal book;
    unique_function<int(int)> source = recorder<2, true>(book);
    const int made = book.made;
    unique_function<int(int)> target = std::move(source);
    CHECK(book.made == made);
    CHECK(target(1) == 2);
}

TEST_CASE("unique_function: an empty one is false and may be moved and destroyed") {
    unique_function<void()> subject;
    CHECK_FALSE(subject);
    CHECK_FALSE(unique_function<void()>(nullptr));
    unique_function<void()> other = std::move(subject);
    CHECK_FALSE(other);
    int calls = 0;
    other = [&calls] { ++calls; };
    REQUIRE(other);
    other();
    CHECK(calls == 1);
    other = nullptr;
    CHECK_FALSE(other);
}

TEST_CASE("unique_function: assigning destroys what was held before") {
    journal old;
    journal fresh;
    unique_function<int(int)> subject = recorder<1>(old);
    subject = recorder<4>(fresh);
    CHECK(old.made == old.destroyed);
    CHECK(fresh.made - fresh.destroyed == 1);
    CHECK(subject(1) == 2);
    CHECK(fresh.calls == 1);
}

TEST_CASE("unique_function: assigning one to itself keeps it") {
    journal book;
    unique_function<int(int)> subject = recorder<1>(book);
    auto& same = subject;
    subject = std::move(same);
    REQUIRE(subject);
    CHECK(subject(1) == 2);
    CHECK(book.made - book.destroyed == 1);
}

TEST_CASE("unique_function: arguments and results go through unchanged") {
    unique_function<int(int, int)> plain = add;
    CHECK(plain(3, 4) == 7);

    unique_function<std::unique_ptr<int>(std::unique_ptr<int>)> moves =
        [](std::unique_ptr<int> owned) { return owned; };
    auto owned = std::make_unique<int>(7);
    const auto* address = owned.get();
    CHECK(moves(std::move(owned)).get() == address);

    int number = 1;
    unique_function<int&(int&)> refers = [](int& given) -> int& { return given; };
    refers(number) = 7;
    CHECK(number == 7);

    struct point {
        int x;
        int sum(int other) const { return x + other; }
    };
    unique_function<int(const point&, int)> member = &point::sum;
    CHECK(member(point{3}, 4) == 7);

    unique_function<void()> discards = [] { return 7; };
    discards();
}

TEST_CASE("unique_function: an exception of the callable goes through and it stays callable") {
    unique_function<int(bool)> subject = [](bool fails) {
        if (fails) {
            throw std::runtime_error("on purpose");
        }
        return 7;
    };
    CHECK_THROWS_WITH(subject(true), "on purpose");
    CHECK(subject(false) == 7);
}

TEST_CASE("unique_function: a constructor that throws leaves nothing behind") {
    struct fails_to_copy {
        fails_to_copy() = default;
        fails_to_copy(const fails_to_copy&) { throw std::runtime_error("on purpose"); }
        void operator()() const {}
    };
    const fails_to_copy original;
    const auto living = support::allocations() - support::deallocations();
    bool was_thrown = false;
    try {
        const unique_function<void()> subject(original);
    } catch (const std::runtime_error&) {
        was_thrown = true;
    }
    CHECK(was_thrown);
    CHECK(support::allocations() - support::deallocations() == living);
}
