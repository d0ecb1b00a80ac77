#include "support/network.hpp"

#include "net/connection.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <system_error>

#include <doctest/doctest.h>

namespace support {
namespace {

using namespace std::chrono_literals;

void throw_if(std::error_code error, const char* call) {
    if (error) {
        throw std::system_error(error, call);
    }
}

void note(std::vector<std::string>& heard, std::string_view what) {
    if (what != "data" || heard.empty() || heard.back() != what) {
        heard.emplace_back(what);
    }
}

} // namespace

network::network(ground& on, std::string local, rows& covered)
    : network(on, std::move(local), covered, on.system()) {}

network::network(ground& on, std::string local, rows& covered, sockeye::kernel& altered)
    : ground_(on), loop_(on.make_loop(altered)), local_(std::move(local)), covered_(covered),
      own_slots_(core().io().slots().used()) {}

sockeye::loop_core& network::core() noexcept {
    return sockeye::loop_access::core(loop_);
}

std::string network::path() const {
    return std::string(sockeye::endpoint::parse(local_).value().path());
}

bool network::has_file(std::string_view path) {
    return static_cast<bool>(system().identify(path));
}

int network::fd_of(const sockeye::stream& link) {
    return sockeye::stream_access::place(link)->fd;
}

void network::turn() {
    static_cast<void>(loop_.run_once(1ms).value());
}

bool network::until(const std::function<bool()>& fact) {
    const auto deadline = now() + generous_deadline;
    while (!fact()) {
        if (now() > deadline) {
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

void network::pass(sockeye::duration time) {
    const auto end = now() + time;
    while (now() < end) {
        turn();
    }
}

void network::check_nothing_is_left() {
    const auto expected = own_slots_ + left_;
    CHECK(until([&] {
        return core().io().slots().used() <= expected && (left_ != 0 || !core().next_deadline());
    }));
    CHECK(core().io().slots().used() == expected);
    CHECK(core().lives() == left_);
    const auto& counters = loop_.counters();
    CHECK(counters.queued_bytes == 0);
    CHECK(counters.opened - counters.closed <= left_);
}

void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(ground&, std::string, rows&)>& run,
                      const std::optional<needs_real_system>& need) {
    for_each_ground([&](ground& on) {
        for (const auto local : locals) {
            SUBCASE(std::string(local).c_str()) {
                rows covered(numbers, on.name());
                if (need && on.is_simulated()) {
                    covered.do_not_apply(std::string(need->reason));
                    continue;
                }
                const auto before = on.descriptors();
                const bool is_path = local.ends_with(':');
                run_guarded([&] {
                    run(on, std::string(local) + (is_path ? on.path("socket") : ""), covered);
                });
                CHECK(on.descriptors() == before);
            }
        }
    });
}

void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(network&)>& body,
                      const std::optional<needs_real_system>& need) {
    on_every_network(
        numbers, locals,
        [&](ground& on, std::string local, rows& covered) {
            network here(on, std::move(local), covered);
            if (run_guarded([&] { body(here); })) {
                here.check_nothing_is_left();
            }
        },
        need);
}

void on_every_stream(std::initializer_list<int> numbers, const std::function<void(network&)>& body,
                     const std::optional<needs_real_system>& need) {
    on_every_network(numbers, {"tcp://127.0.0.1:0", "tcp://[::1]:0", "unix:"}, body, need);
}

void on_every_backend_with_tcp(std::initializer_list<int> numbers,
                               const std::function<void(network&)>& body,
                               const std::optional<needs_real_system>& need) {
    on_every_network(numbers, {"tcp://127.0.0.1:0"}, body, need);
}

raw_peer::raw_peer(sockeye::kernel& system, const sockeye::endpoint& server)
    : system_(&system), fd_(system.socket(server.kind(), server.family()).value()),
      server_(server) {
    start();
    throw_if(error_, "connect");
}

/// A Unix socket whose listener is full is not connecting at all: it has to be asked again.
void raw_peer::start() {
    const auto error = system_->connect(fd_.get(), server_);
    if (error == std::errc::operation_in_progress) {
        is_ = state::in_progress;
    } else if (error == std::errc::operation_would_block) {
        is_ = state::to_be_tried;
    } else {
        is_ = state::up;
        error_ = error;
    }
}

bool raw_peer::is_up() {
    if (is_ == state::to_be_tried) {
        start();
    }
    if (is_ == state::in_progress && !error_) {
        error_ = system_->pending_error(fd_.get());
        if (!error_ && system_->peer_endpoint(fd_.get(), server_.kind())) {
            is_ = state::up;
        }
    }
    return is_ == state::up && !error_;
}

void raw_peer::reset() {
    throw_if(system_->set_option(fd_.get(), sockeye::socket_option::linger_reset, 1), "linger");
    fd_.reset();
}

void raw_peer::pump() {
    if (fd_ && is_up()) {
        push();
        if (!is_deaf && !is_over()) {
            pull();
        }
    }
}

void raw_peer::push() {
    while (sent_ < unsent_.size()) {
        const auto sent =
            system_->send(fd_.get(), sockeye::as_bytes(std::string_view(unsent_).substr(sent_)));
        if (!sent && sent.error() == std::errc::operation_would_block) {
            return;
        }
        sent_ = sent ? sent_ + *sent : unsent_.size();
    }
    unsent_.clear();
    sent_ = 0;
    if (wants_fin_) {
        wants_fin_ = false;
        static_cast<void>(system_->shutdown_write(fd_.get()));
    }
}

void raw_peer::pull() {
    static std::array<std::byte, 256 * 1024> room;
    for (int budget = 0; budget < 16; ++budget) {
        const auto got = system_->receive(fd_.get(), room);
        if (got && *got != 0) {
            heard_ += sockeye::as_text(sockeye::bytes(room).first(*got));
            continue;
        }
        has_ended_ = static_cast<bool>(got);
        if (!got && got.error() != std::errc::operation_would_block) {
            error_ = got.error();
        }
        return;
    }
}

std::vector<raw_peer> many_peers(network& on, std::size_t count, const sockeye::endpoint& server) {
    std::vector<raw_peer> peers;
    for (std::size_t i = 0; i < count; ++i) {
        peers.emplace_back(on.system(), server);
    }
    return peers;
}

std::size_t count_over(std::vector<raw_peer>& peers) {
    std::ranges::for_each(peers, &raw_peer::pump);
    return static_cast<std::size_t>(std::ranges::count_if(peers, &raw_peer::is_over));
}

raw_listener::raw_listener(sockeye::kernel& system, const sockeye::endpoint& local, int backlog)
    : system_(system), kind_(local.kind()), fd_(make_bound(system, local)) {
    throw_if(system.listen(fd_.get(), backlog), "listen");
}

sockeye::endpoint raw_listener::local() const {
    return system_.local_endpoint(fd_.get(), kind_).value();
}

std::optional<raw_peer> raw_listener::accept() {
    sockeye::endpoint peer;
    auto fd = system_.accept(fd_.get(), kind_, peer);
    if (!fd) {
        return {};
    }
    return raw_peer(system_, std::move(*fd));
}

full_backlog::full_backlog(network& on, const sockeye::endpoint& local)
    : listener(on.system(), local, 0) {
    do {
        waiting.emplace_back(on.system(), listener.local());
        on.settle();
    } while (waiting.back().is_up());
    waiting.pop_back();
}

full_backlog::full_backlog(network& on)
    : full_backlog(on, sockeye::endpoint::parse(on.local()).value()) {}

sockeye::owned_fd make_bound(sockeye::kernel& system, const sockeye::endpoint& local) {
    auto made = system.socket(local.kind(), local.family()).value();
    throw_if(system.bind(made.get(), local), "bind");
    return made;
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
        told_.data += sockeye::as_text(in);
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

pair_of_streams::pair_of_streams(network& on, const sockeye::serve_options& options)
    : on_(on), server(serve_script(on, told, options)), peer(on.system(), local_of(server)) {
    REQUIRE(on.until([&] { return told.link != nullptr; }));
}

bool pair_of_streams::is_heard(std::size_t size) {
    return on_.until([&] {
        peer.pump();
        return peer.heard().size() >= size || peer.is_over();
    });
}

} // namespace support
