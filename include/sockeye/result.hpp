#pragma once

#include <cassert>
#include <system_error>
#include <utility>
#include <variant>

namespace sockeye {

/// Throws std::system_error; ends the process where the caller was built without exceptions.
[[noreturn]] void throw_error(std::error_code error);

/// A T, or the std::error_code that says why there is none. Shaped like std::expected.
///
/// `.error()` is for those who look at codes, `.value()` for those who prefer exceptions.
template <typename T>
class [[nodiscard]] result {
public:
    result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    result(std::error_code error) : content_(std::in_place_index<1>, error) { assert(error); }
    result(std::errc error) : result(std::make_error_code(error)) {}
    template <typename Enum>
    requires std::is_error_code_enum_v<Enum> result(Enum error) : result(make_error_code(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    /// The value. Throws std::system_error with error() where there is none.
    [[nodiscard]] T& value() & {
        check();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] const T& value() const& {
        check();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] T value() && {
        check();
        return std::move(*std::get_if<0>(&content_));
    }

    /// Requires: has_value().
    [[nodiscard]] T& operator*() noexcept { return *std::get_if<0>(&content_); }
    [[nodiscard]] const T& operator*() const noexcept { return *std::get_if<0>(&content_); }
    [[nodiscard]] T* operator->() noexcept { return std::get_if<0>(&content_); }
    [[nodiscard]] const T* operator->() const noexcept { return std::get_if<0>(&content_); }

    /// The error; a code of 0 where there is a value.
    [[nodiscard]] std::error_code error() const noexcept {
        return has_value() ? std::error_code() : *std::get_if<1>(&content_);
    }

private:
    void check() const {
        if (!has_value()) {
            throw_error(error());
        }
    }

    std::variant<T, std::error_code> content_;
};

} // namespace sockeye
