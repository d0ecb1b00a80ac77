#pragma once

#include <sockeye/time.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sockeye::cli {

/// What a text of the command line means, or one line that says what is wrong with it.
///
/// The line is made to follow `--option 'text': `.
template <typename T>
class parsed {
public:
    parsed(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    static parsed wrong(std::string message) { return parsed(wrong_tag(), std::move(message)); }

    [[nodiscard]] explicit operator bool() const noexcept { return content_.index() == 0; }

    /// Requires: there is a value.
    [[nodiscard]] const T& operator*() const noexcept { return *std::get_if<0>(&content_); }

    /// Requires: there is none.
    [[nodiscard]] const std::string& message() const noexcept { return *std::get_if<1>(&content_); }

private:
    struct wrong_tag {};
    parsed(wrong_tag, std::string message) : content_(std::in_place_index<1>, std::move(message)) {}

    std::variant<T, std::string> content_;
};

/// The least and the most that an option takes, both included.
template <typename T>
struct range {
    T least = T{};
    T most = std::numeric_limits<T>::max();
};

/// How often something is to happen or how fast data is to flow.
struct rate {
    enum class kind : std::uint8_t { per_second, bits_per_second };

    double value = 0;
    kind what = kind::per_second;

    friend bool operator==(const rate&, const rate&) = default;
};

/// Bytes: `64`, `64B`, `1.5KiB`. k K KiB M MiB G GiB are powers of 1024, kB MB GB of 1000.
parsed<std::uint64_t> parse_size(std::string_view text, range<std::uint64_t> limits = {});

/// A whole number: `64`, `50k`, `1.5M`. k and M are 1000 and 1000000.
parsed<std::uint64_t> parse_count(std::string_view text, range<std::uint64_t> limits = {});

/// `50k`, `50k/s`, `1.5M/s`; for data `100Mbit/s` (k, M and G of 1000). Must be above 0.
parsed<rate> parse_rate(std::string_view text);

/// `500ms`, `1.5s`, `1m30s`: ns us ms s m h. A bare number is seconds.
parsed<duration> parse_time(std::string_view text,
                            range<duration> limits = {duration::zero(), duration::max()});

/// For people: `64 B`, `64 KiB`, `1.9 MiB`.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// For people, three digits: `950`, `1.5 k`, `177 k`, `1.53 M`.
[[nodiscard]] std::string format_count(double count);

/// For people: `177 k/s`, `100 Mbit/s`.
[[nodiscard]] std::string format_rate(const rate& value);

/// For people: `850 ns`, `212 us`, `1.9 ms`, `4.2 s`, `2m14s`, `1h02m`. Requires: not negative.
[[nodiscard]] std::string format_time(duration value);

} // namespace sockeye::cli
