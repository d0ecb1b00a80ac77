#include "support/network.hpp"

#include "support/support.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <system_error>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace support {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds generous_deadline(20);

[[noreturn]] void refuse(const char* call) {
    throw std::system_error(errno, std::system_category(), call);
}

sockeye::loop_options options_for(const sockeye::backend_entry& entry) {
    sockeye::loop_options options;
    options.backend = entry.kind;
    return options;
}

void note(std::vector<std::string>& heard, std::string_view what) {
    if (what != "data" || heard.empty() || heard.back() != what) {
        heard.emplace_back(what);
    }
}

std::string shown(const std::vector<int>& numbers) {
    std::string text;
    for (const int one : numbers) {
        text += std::to_string(one) + ' ';
    }
    return text;
}

void run_on(const sockeye::backend_entry& entry, std::string_view local, rows& covered,
            const std::function<void(network&)>& body) {
    const auto before = open_descriptors();
    {
        const scratch_folder folder;
        const bool is_path = local.ends_with(':');
        network on(entry, std::string(local) + (is_path ? folder.path("socket") : ""), covered);
        try {
            body(on);
        } catch (const std::exception& error) {
            FAIL_CHECK("threw: " << error.what());
        } catch (...) {
            // A failed REQUIRE, which is reported already. The others go on.
        }
    }
    CHECK(shown(open_descriptors()) == shown(before));
}

} // namespace

network::network(const sockeye::backend_entry& entry, std::string local, rows& covered)
    : entry_(entry), loop_(options_for(entry)), local_(std::move(local)), covered_(covered) {}

void network::turn() {
    static_cast<void>(loop_.run_once(1ms).value());
}

bool network::until(const std::function<bool()>& fact) {
    const auto deadline = std::chrono::steady_clock::now() + generous_deadline;
    while (!fact()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        turn();
    }
    return true;
}

void network::settle() {
    for (int turns = 0; turns < 10; ++turns) {
        turn();
    }
}

void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(network&)>& body) {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        for (const auto local : locals) {
            SUBCASE((std::string(entry.name) + " " + std::string(local)).c_str()) {
                rows covered(numbers, entry.name);
                run_on(entry, local, covered, body);
            }
        }
    }
}

void on_every_stream(std::initializer_list<int> numbers,
                     const std::function<void(network&)>& body) {
    on_every_network(numbers, {"tcp://127.0.0.1:0", "tcp://[::1]:0", "unix:"}, body);
}

void on_every_backend_with_tcp(std::initializer_list<int> numbers,
                               const std::function<void(network&)>& body) {
    on_every_network(numbers, {"tcp://127.0.0.1:0"}, body);
}

raw_peer::raw_peer(const sockeye::endpoint& server)
    : fd_(::socket(server.family(), SOCK_STREAM, 0)) {
    if (!fd_ || ::connect(fd_.get(), server.data(), server.size()) != 0) {
        refuse("connect");
    }
    if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0 ||
        ::fcntl(fd_.get(), F_SETFD, FD_CLOEXEC) != 0) {
        refuse("fcntl");
    }
}

void raw_peer::reset() {
    reset_on_close(fd_.get());
    fd_.reset();
}

void raw_peer::pump() {
    if (fd_) {
        push();
        if (!is_deaf && !is_over()) {
            pull();
        }
    }
}

void raw_peer::push() {
    while (sent_ < unsent_.size()) {
        const auto sent =
            ::send(fd_.get(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            return;
        }
        sent_ = sent < 0 ? unsent_.size() : sent_ + static_cast<std::size_t>(sent);
    }
    unsent_.clear();
    sent_ = 0;
    if (wants_fin_) {
        wants_fin_ = false;
        ::shutdown(fd_.get(), SHUT_WR);
    }
}

void raw_peer::pull() {
    static std::array<char, 256 * 1024> room;
    for (int budget = 0; budget < 16; ++budget) {
        const auto got = ::recv(fd_.get(), room.data(), room.size(), 0);
        if (got > 0) {
            heard_.append(room.data(), static_cast<std::size_t>(got));
            continue;
        }
        has_ended_ = got == 0;
        error_ = got < 0 && errno != EAGAIN ? errno : 0;
        return;
    }
}

int script::count(std::string_view what) const {
    return static_cast<int>(std::ranges::count(heard, what));
}

void hooked::on_open(sockeye::stream& link) {
    note(told_.heard, "open");
    told_.link = &link;
    if (told_.on_open) {
        told_.on_open(link);
    }
}

void hooked::on_data(sockeye::stream& link, sockeye::bytes in) {
    note(told_.heard, "data");
    if (told_.on_data) {
        told_.on_data(link, in);
    } else {
        told_.data += text_of(in);
    }
}

void hooked::on_end(sockeye::stream& link) {
    note(told_.heard, "end");
    if (told_.on_end) {
        told_.on_end(link);
    }
}

void hooked::on_writable(sockeye::stream& link) {
    note(told_.heard, "writable");
    if (told_.on_writable) {
        told_.on_writable(link);
    }
}

void hooked::on_close(sockeye::stream& link, sockeye::close_info info) {
    note(told_.heard, "close");
    ++told_.closes;
    told_.info = info;
    told_.link = nullptr;
    if (told_.on_close) {
        told_.on_close(link, info);
    }
}

sockeye::server serve_script(network& on, script& told, const sockeye::serve_options& options) {
    return sockeye::serve<hooked>(on.loop(), on.local(), options, std::ref(told)).value();
}

sockeye::endpoint local_of(const sockeye::server& of) {
    return of.local_endpoint().value();
}

std::string_view text_of(sockeye::bytes data) noexcept {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

std::string pattern(std::size_t size, std::uint64_t seed) {
    std::string made(size, '\0');
    auto state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
    for (std::size_t at = 0; at < size; at += sizeof state) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::memcpy(made.data() + at, &state, std::min(sizeof state, size - at));
    }
    return made;
}

} // namespace support
