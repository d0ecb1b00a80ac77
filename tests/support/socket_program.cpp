#include "support/socket_program.hpp"

#include "simulation/random.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

namespace support {
namespace {

using sockeye::interest;
using sockeye::transport;

constexpr std::string_view verb_names[] = {
    "make",           "bind",           "listen", "connect",      "accept",
    "send",           "send_to",        "fill",   "receive",      "receive_datagrams",
    "drain",          "shutdown_write", "close",  "linger_reset", "pending_error",
    "local_endpoint", "peer_endpoint",  "watch",  "forget",       "wait"};
constexpr std::string_view place_names[] = {"of_socket", "any_port",  "anywhere", "foreign",
                                            "closed",    "broadcast", "path_a",   "path_b",
                                            "dead_path", "unnamed"};
constexpr std::string_view kind_names[] = {"tcp", "udp", "unix_stream", "unix_datagram"};

/// What the next program is drawn with. It only guesses what the sockets are.
class drawing {
public:
    explicit drawing(std::uint64_t seed) : random_(seed) {}

    socket_program draw() {
        begin();
        const auto size = made_.size() + 1 + random_.below(program_steps_max - made_.size());
        while (made_.size() < size) {
            made_.push_back(anything());
        }
        return std::move(made_);
    }

private:
    template <typename T>
    T one_of(std::initializer_list<T> choices) {
        return *(choices.begin() + random_.below(choices.size()));
    }
    bool sometimes(unsigned percent) { return random_.below(100) < percent; }
    int any_socket() { return static_cast<int>(random_.below(program_sockets)); }

    /// Most of the time: what goes wrong at once is soon told.
    void likely(const step& one) {
        if (!sometimes(4)) {
            made_.push_back(one);
            if (one.what == verb::make) {
                kinds_[static_cast<std::size_t>(one.on)] = one.kind;
            }
            if (one.what == verb::accept) {
                kinds_[static_cast<std::size_t>(one.other)] = kinds_[0];
            }
        }
    }

    place home_of(transport kind) {
        return is_local(kind) ? one_of({place::path_a, place::unnamed}) : place::any_port;
    }

    void begin() {
        const auto kind =
            one_of({transport::tcp, transport::tcp, transport::tcp, transport::udp,
                    transport::unix_stream, transport::unix_stream, transport::unix_datagram});
        if (sometimes(8)) {
            return;
        }
        likely({.what = verb::make, .on = 0, .kind = kind});
        likely({.what = verb::bind, .on = 0, .where = home_of(kind)});
        likely({.what = verb::make, .on = 1, .kind = kind});
        if (is_stream(kind)) {
            likely({.what = verb::listen, .on = 0, .amount = one_of<std::size_t>({0, 1, 1, 8})});
            likely({.what = verb::connect, .on = 1});
            if (!sometimes(25)) {
                likely({.what = verb::accept, .on = 0, .other = 2});
            }
            return;
        }
        if (sometimes(70)) {
            likely({.what = verb::bind,
                    .on = 1,
                    .where = is_local(kind) ? place::path_b : place::any_port});
        }
        if (sometimes(50)) {
            likely({.what = verb::connect, .on = 1});
        }
        if (sometimes(40)) {
            likely({.what = verb::connect, .on = 0, .other = 1});
        }
    }

    step anything() {
        const int on = any_socket();
        auto& kind = kinds_[static_cast<std::size_t>(on)];
        if (sometimes(25)) {
            return {.what = verb::wait};
        }
        if (!kind) {
            return new_socket(on);
        }
        if (sometimes(15)) {
            return {.what = verb::watch, .on = on, .wanted = any_interest()};
        }
        auto one = is_stream(*kind) ? on_stream(on) : on_datagrams(on);
        if (one.what == verb::close) {
            kind.reset();
        }
        return one;
    }

    step new_socket(int on) {
        auto& kind = kinds_[static_cast<std::size_t>(on)];
        if (kinds_[0] && is_stream(*kinds_[0]) && sometimes(60)) {
            kind = kinds_[0];
            return {.what = verb::accept, .on = 0, .other = on};
        }
        kind = kinds_[0] && !sometimes(15)
                   ? *kinds_[0]
                   : one_of({transport::tcp, transport::udp, transport::unix_stream,
                             transport::unix_datagram});
        return {.what = verb::make, .on = on, .kind = *kind};
    }

    interest any_interest() {
        const auto wanted = one_of({interest::none, interest::readable, interest::readable,
                                    interest::writable, interest::readable | interest::writable});
        return sometimes(40) ? wanted | interest::edge : wanted;
    }

    std::size_t any_amount() {
        if (!has_sent_much_ && sometimes(8)) {
            has_sent_much_ = true;
            return one_of<std::size_t>({20000, 65507, 65508, 70000});
        }
        return one_of<std::size_t>({1, 1, 10, 100, 1000, 5000});
    }

    step on_stream(int on) {
        const auto what = one_of(
            {verb::send,           verb::send,          verb::send,           verb::receive,
             verb::receive,        verb::receive,       verb::receive,        verb::shutdown_write,
             verb::shutdown_write, verb::close,         verb::close,          verb::linger_reset,
             verb::pending_error,  verb::pending_error, verb::local_endpoint, verb::peer_endpoint,
             verb::connect,        verb::connect,       verb::bind,           verb::listen,
             verb::accept,         verb::accept,        verb::fill,           verb::drain,
             verb::drain,          verb::forget});
        return fill_in({.what = what, .on = on});
    }

    step on_datagrams(int on) {
        const auto what = one_of({verb::send,
                                  verb::send,
                                  verb::send,
                                  verb::send_to,
                                  verb::send_to,
                                  verb::send_to,
                                  verb::receive,
                                  verb::receive,
                                  verb::receive,
                                  verb::receive,
                                  verb::receive_datagrams,
                                  verb::receive_datagrams,
                                  verb::connect,
                                  verb::bind,
                                  verb::local_endpoint,
                                  verb::peer_endpoint,
                                  verb::pending_error,
                                  verb::close,
                                  verb::shutdown_write,
                                  verb::listen,
                                  verb::accept,
                                  verb::forget});
        return fill_in({.what = what, .on = on});
    }

    step fill_in(step one) {
        switch (one.what) {
        case verb::bind:
            one.where = one_of({place::any_port, place::any_port, place::anywhere, place::foreign,
                                place::of_socket, place::path_a, place::path_b, place::unnamed});
            one.other = any_socket();
            break;
        case verb::connect:
        case verb::send_to:
            one.where =
                one_of({place::of_socket, place::of_socket, place::of_socket, place::of_socket,
                        place::closed, place::any_port, place::anywhere, place::broadcast,
                        place::path_a, place::path_b, place::dead_path, place::unnamed});
            one.other = any_socket();
            one.amount = one.what == verb::send_to ? any_amount() : 0;
            break;
        case verb::listen:
            one.amount = random_.below(3);
            break;
        case verb::accept:
            one.other = any_socket();
            break;
        case verb::send:
            one.amount = sometimes(6) ? 0 : any_amount();
            break;
        case verb::receive:
            one.amount = one_of<std::size_t>({1, 10, 500, 70000, 70000});
            break;
        default:
            break;
        }
        return one;
    }

    sockeye::simulated::random_source random_;
    socket_program made_;
    std::array<std::optional<transport>, program_sockets> kinds_;
    bool has_sent_much_ = false;
};

std::string interest_text(interest wanted) {
    std::string text;
    for (const auto& [flag, name] : {std::pair(interest::readable, "interest::readable"),
                                     std::pair(interest::writable, "interest::writable"),
                                     std::pair(interest::edge, "interest::edge")}) {
        if (has(wanted, flag)) {
            text += (text.empty() ? "" : " | ") + std::string(name);
        }
    }
    return text.empty() ? "interest::none" : text;
}

} // namespace

socket_program draw_program(std::uint64_t seed) {
    return drawing(seed).draw();
}

std::string to_string(const step& one) {
    auto text = "{.what = verb::" + std::string(verb_names[static_cast<std::size_t>(one.what)]);
    const bool has_place =
        one.what == verb::bind || one.what == verb::connect || one.what == verb::send_to;
    if (one.what != verb::wait) {
        text += ", .on = " + std::to_string(one.on);
    }
    if (one.what == verb::make) {
        text +=
            ", .kind = transport::" + std::string(kind_names[static_cast<std::size_t>(one.kind)]);
    }
    if (has_place) {
        text +=
            ", .where = place::" + std::string(place_names[static_cast<std::size_t>(one.where)]);
    }
    if (one.what == verb::accept || (has_place && one.where == place::of_socket)) {
        text += ", .other = " + std::to_string(one.other);
    }
    if (one.what == verb::listen || one.what == verb::send || one.what == verb::send_to ||
        one.what == verb::receive) {
        text += ", .amount = " + std::to_string(one.amount);
    }
    if (one.what == verb::watch) {
        text += ", .wanted = " + interest_text(one.wanted);
    }
    return text + "},";
}

} // namespace support
