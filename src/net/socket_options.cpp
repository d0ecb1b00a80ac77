#include "net/socket_options.hpp"

#include <chrono>
#include <limits>

namespace sockeye {
namespace {

constexpr std::size_t value_max = std::numeric_limits<int>::max();

/// In whole units, never less than asked for.
template <typename Unit>
constexpr auto round_up(duration length) noexcept {
    return std::chrono::ceil<Unit>(length).count();
}

template <typename Unit>
constexpr bool fits(duration length) noexcept {
    return round_up<Unit>(length) <= static_cast<std::int64_t>(value_max);
}

/// A time that is there, and that the system has a number for.
bool is_keep_alive_time(duration length) noexcept {
    return length > duration::zero() && fits<std::chrono::seconds>(length);
}

bool is_keep_alive(const keep_alive_options& wanted) noexcept {
    return !wanted.is_on || (is_keep_alive_time(wanted.idle) &&
                             is_keep_alive_time(wanted.interval) && wanted.probes > 0);
}

bool is_user_timeout(duration length) noexcept {
    return length >= duration::zero() && fits<std::chrono::milliseconds>(length);
}

bool is_buffer(std::size_t size) noexcept {
    return size > 0 && size <= value_max;
}

/// Sets options one after the other, until one is refused.
class option_setter {
public:
    option_setter(kernel& system, int fd) noexcept : system_(system), fd_(fd) {}

    template <typename Value>
    void set(socket_option option, const std::optional<Value>& value) {
        if (value && !error_) {
            error_ = system_.set_option(fd_, option, static_cast<int>(*value));
        }
    }
    void set_keep_alive(const keep_alive_options& wanted) {
        if (wanted.is_on) {
            using std::chrono::seconds;
            set(socket_option::keep_alive_idle, std::optional(round_up<seconds>(wanted.idle)));
            set(socket_option::keep_alive_interval,
                std::optional(round_up<seconds>(wanted.interval)));
            set(socket_option::keep_alive_probes, std::optional(wanted.probes));
        }
        set(socket_option::keep_alive, std::optional(wanted.is_on));
    }
    void set_congestion_control(std::string_view name) {
        if (!error_) {
            error_ = system_.set_congestion_control(fd_, name);
        }
    }
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

private:
    kernel& system_;
    int fd_;
    std::error_code error_;
};

/// Reads options one after the other; notes the error of a descriptor that has none.
class option_reader {
public:
    option_reader(kernel& system, int fd) noexcept : system_(system), fd_(fd) {}

    std::optional<int> get(socket_option option) { return known(system_.get_option(fd_, option)); }
    std::optional<bool> get_flag(socket_option option) {
        const auto value = get(option);
        return value ? std::optional(*value != 0) : std::nullopt;
    }
    std::optional<std::size_t> get_size(socket_option option) {
        const auto value = get(option);
        return value ? std::optional(static_cast<std::size_t>(static_cast<unsigned>(*value)))
                     : std::nullopt;
    }
    template <typename Unit>
    std::optional<duration> get_time(socket_option option) {
        const auto value = get(option);
        return value ? std::optional<duration>(Unit(*value)) : std::nullopt;
    }
    std::optional<keep_alive_options> get_keep_alive() {
        using std::chrono::seconds;
        const auto is_on = get_flag(socket_option::keep_alive);
        const auto idle = get_time<seconds>(socket_option::keep_alive_idle);
        const auto interval = get_time<seconds>(socket_option::keep_alive_interval);
        const auto probes = get(socket_option::keep_alive_probes);
        if (!is_on || !idle || !interval || !probes) {
            return {};
        }
        return keep_alive_options{*is_on, *idle, *interval, *probes};
    }
    std::optional<std::string> get_congestion_control() {
        return known(system_.congestion_control(fd_));
    }
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

private:
    template <typename T>
    std::optional<T> known(const result<T>& said) {
        if (said) {
            return *said;
        }
        if (said.error() != std::errc::not_supported &&
            said.error() != std::errc::no_protocol_option) {
            error_ = said.error();
        }
        return {};
    }

    kernel& system_;
    int fd_;
    std::error_code error_;
};

} // namespace

std::error_code check_options(const stream_options& wanted, transport carrier, bool is_listener) {
    const bool needs_tcp = wanted.no_delay || wanted.keep_alive || wanted.user_timeout ||
                           wanted.not_sent_low_at || wanted.quick_ack || wanted.congestion_control;
    if ((needs_tcp && carrier != transport::tcp) || (wanted.quick_ack && is_listener)) {
        return make_error_code(std::errc::not_supported);
    }
    const bool is_valid = is_keep_alive(wanted.keep_alive.value_or(keep_alive_options{})) &&
                          is_user_timeout(wanted.user_timeout.value_or(duration::zero())) &&
                          wanted.not_sent_low_at.value_or(0) <= value_max &&
                          is_buffer(wanted.send_buffer.value_or(1)) &&
                          is_buffer(wanted.receive_buffer.value_or(1));
    return is_valid ? std::error_code() : make_error_code(std::errc::invalid_argument);
}

std::error_code apply_options(kernel& system, int fd, const stream_options& wanted) {
    option_setter to(system, fd);
    to.set(socket_option::send_buffer, wanted.send_buffer);
    to.set(socket_option::receive_buffer, wanted.receive_buffer);
    to.set(socket_option::no_delay, wanted.no_delay);
    if (wanted.keep_alive) {
        to.set_keep_alive(*wanted.keep_alive);
    }
    if (wanted.user_timeout) {
        to.set(socket_option::user_timeout,
               std::optional(round_up<std::chrono::milliseconds>(*wanted.user_timeout)));
    }
    to.set(socket_option::not_sent_low_at, wanted.not_sent_low_at);
    to.set(socket_option::quick_ack, wanted.quick_ack);
    if (wanted.congestion_control) {
        to.set_congestion_control(*wanted.congestion_control);
    }
    return to.error();
}

result<stream_options> read_options(kernel& system, int fd, transport carrier) {
    option_reader from(system, fd);
    stream_options found;
    found.send_buffer = from.get_size(socket_option::send_buffer);
    found.receive_buffer = from.get_size(socket_option::receive_buffer);
    if (carrier == transport::tcp) {
        found.no_delay = from.get_flag(socket_option::no_delay);
        found.keep_alive = from.get_keep_alive();
        found.user_timeout = from.get_time<std::chrono::milliseconds>(socket_option::user_timeout);
        found.not_sent_low_at = from.get_size(socket_option::not_sent_low_at);
        found.quick_ack = from.get_flag(socket_option::quick_ack);
        found.congestion_control = from.get_congestion_control();
    }
    if (from.error()) {
        return from.error();
    }
    return found;
}

} // namespace sockeye
