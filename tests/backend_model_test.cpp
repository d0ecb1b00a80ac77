#include "support/backends.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include <doctest/doctest.h>
#include <sys/socket.h>

// Random steps against a model of what must be ready.

using sockeye::interest;
using support::on_every_backend;
using support::subject;

namespace {

constexpr int steps = support::repetitions(100'000);
constexpr int steps_with_few_descriptors = support::repetitions(20'000);
constexpr std::size_t sockets_max = 12;
constexpr std::size_t duplicates_max = 3;
constexpr std::array<interest, 4> interests = {interest::none, interest::readable,
                                               interest::writable,
                                               interest::readable | interest::writable};

/// A descriptor of a socket, and what was asked of the backend about it.
struct handle {
    sockeye::owned_fd fd;
    bool is_watched = false;
    interest wanted = interest::none;
    std::uint64_t key = 0;
    bool is_muted = false; ///< its hang-up was told while nothing was wanted
};

/// One end of a pair of stream sockets, under all its numbers, and the end that plays the peer.
struct connection {
    std::vector<handle> handles;
    sockeye::owned_fd peer;
    std::size_t unread = 0;
    bool is_full = false;  ///< nothing more fits towards the peer
    bool is_ended = false; ///< the peer sent FIN

    [[nodiscard]] bool is_readable() const { return unread > 0 || is_ended || !peer; }
    [[nodiscard]] bool is_writable() const { return !is_full || !peer; }
};

struct directions {
    bool readable = false;
    bool writable = false;
    bool operator==(const directions&) const = default;
    [[nodiscard]] bool are_some_of(const directions& all) const {
        return (all.readable || !readable) && (all.writable || !writable) &&
               (readable || writable || all == directions());
    }
};
using expectation = std::map<std::uint64_t, directions>;

/// Whether descriptors are always removed before they are closed, as the contract asks.
enum class manners { good, bad };

/// Takes the steps, keeps the model, and compares.
class model_run {
public:
    model_run(subject& on, manners of_user, std::uint64_t seed)
        : on_(on), manners_(of_user), random_(seed) {}

    void step();

private:
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
    connection& any_connection() { return connections_[below(connections_.size())]; }
    handle& any_handle() {
        auto& handles = any_connection().handles;
        return handles[below(handles.size())];
    }

    void open();
    void watch();
    void change();
    void unwatch();
    void duplicate();
    void close_handle();
    void close_peer();
    void end_peer();
    void write_to_us();
    void read_from_peer();
    void read_from_us();
    void fill_towards_peer();
    void look();

    expectation expected() const;
    void compare(const std::vector<sockeye::event>& told, std::size_t room);
    void remember(const sockeye::event& told);

    subject& on_;
    manners manners_;
    std::mt19937_64 random_;
    std::vector<connection> connections_;
    std::uint64_t last_key_ = 0;
};

void model_run::open() {
    if (connections_.size() < sockets_max) {
        auto pair = on_.pair();
        connection fresh;
        fresh.handles.emplace_back().fd = std::move(pair.first);
        fresh.peer = std::move(pair.second);
        connections_.push_back(std::move(fresh));
    }
}

void model_run::watch() {
    auto& chosen = any_handle();
    const auto wanted = interests[below(interests.size())];
    const auto error = on_->add(chosen.fd.get(), wanted, last_key_ + 1);
    if (chosen.is_watched) {
        CHECK(error == std::errc::file_exists);
        return;
    }
    REQUIRE_FALSE(error);
    chosen.is_watched = true;
    chosen.is_muted = false;
    chosen.wanted = wanted;
    chosen.key = ++last_key_;
}

void model_run::change() {
    auto& chosen = any_handle();
    const auto wanted = interests[below(interests.size())];
    const auto error = on_->modify(chosen.fd.get(), wanted, last_key_ + 1);
    if (!chosen.is_watched) {
        CHECK(error == std::errc::no_such_file_or_directory);
        return;
    }
    REQUIRE_FALSE(error);
    chosen.is_muted = chosen.is_muted && chosen.wanted == wanted;
    chosen.wanted = wanted;
    chosen.key = ++last_key_;
}

void model_run::unwatch() {
    auto& chosen = any_handle();
    const auto error = on_->remove(chosen.fd.get());
    if (chosen.is_watched) {
        CHECK_FALSE(error);
    } else {
        CHECK(error == std::errc::no_such_file_or_directory);
    }
    chosen.is_watched = false;
}

void model_run::duplicate() {
    auto& handles = any_connection().handles;
    if (handles.size() < duplicates_max && !on_.under().is_simulated()) {
        auto number = support::make_duplicate(handles[0].fd.get());
        handles.emplace_back().fd = sockeye::owned_fd(on_.system(), number.release());
    }
}

/// In the right order; with bad manners also in the wrong one, or so late that the number has
/// another owner.
void model_run::close_handle() {
    auto& owner = any_connection();
    const auto place = below(owner.handles.size());
    const int fd = owner.handles[place].fd.get();
    const bool is_watched = owner.handles[place].is_watched;
    const auto order = manners_ == manners::good ? 0 : below(3);
    if (is_watched && order == 0) {
        CHECK_FALSE(on_->remove(fd));
    }
    const auto index = &owner - connections_.data();
    owner.handles.erase(owner.handles.begin() + static_cast<std::ptrdiff_t>(place));
    if (owner.handles.empty()) {
        connections_.erase(connections_.begin() + index);
    }
    if (is_watched && order != 0) {
        if (order == 2) {
            open();
        }
        CHECK_FALSE(on_->remove(fd));
    }
}

void model_run::close_peer() {
    any_connection().peer.reset();
}

void model_run::end_peer() {
    auto& chosen = any_connection();
    if (chosen.peer) {
        CHECK_FALSE(on_.system().shutdown_write(chosen.peer.get()));
        chosen.is_ended = true;
    }
}

void model_run::write_to_us() {
    auto& chosen = any_connection();
    if (chosen.peer && !chosen.is_ended) {
        chosen.unread += support::put(on_.system(), chosen.peer.get(), 1 + below(100));
    }
}

void model_run::read_from_peer() {
    auto& chosen = any_connection();
    if (chosen.peer) {
        support::take(on_.system(), chosen.peer.get());
        chosen.is_full = false;
    }
}

void model_run::read_from_us() {
    auto& chosen = any_connection();
    const auto got = support::take(on_.system(), chosen.handles[0].fd.get());
    // A peer that closed with bytes unread resets; what it had sent is there before that.
    CHECK((got == chosen.unread || !chosen.peer));
    if (got < chosen.unread) {
        support::take(on_.system(), chosen.handles[0].fd.get());
    }
    chosen.unread = 0;
}

void model_run::fill_towards_peer() {
    auto& chosen = any_connection();
    if (chosen.peer) {
        support::fill(on_.system(), chosen.handles[0].fd.get());
        chosen.is_full = true;
    }
}

expectation model_run::expected() const {
    expectation all;
    for (const auto& owner : connections_) {
        for (const auto& one : owner.handles) {
            const directions ready = {
                has(one.wanted, interest::readable) && owner.is_readable(),
                has(one.wanted, interest::writable) && owner.is_writable(),
            };
            const bool is_hint =
                one.wanted == interest::none && !owner.peer && !one.is_muted && on_.closes_early();
            if (one.is_watched && (ready.readable || ready.writable || is_hint)) {
                all[one.key] = ready;
            }
        }
    }
    return all;
}

void model_run::remember(const sockeye::event& told) {
    for (auto& owner : connections_) {
        for (auto& one : owner.handles) {
            if (one.is_watched && one.key == told.key && one.wanted == interest::none) {
                one.is_muted = true;
            }
        }
    }
}

void model_run::look() {
    if (manners_ == manners::bad) {
        // The ghost of a closed descriptor may take a place in this batch, but in no later one.
        const auto all = expected();
        for (const auto& event : on_.look()) {
            REQUIRE(all.contains(event.key));
            remember(event);
        }
    }
    const auto room = below(4) == 0 ? 1 + below(5) : 256;
    const auto told = on_.look(room);
    compare(told, room);
    for (const auto& event : told) {
        remember(event);
    }
}

/// A batch that is full, as counted by a kernel that counts both directions, may leave some out.
void model_run::compare(const std::vector<sockeye::event>& told, std::size_t room) {
    const auto all = expected();
    const bool may_be_full = room < 2 * all.size();
    const auto least = may_be_full ? (std::min(room, all.size()) + 1) / 2 : all.size();
    REQUIRE(told.size() >= least);
    REQUIRE(told.size() <= std::min(room, all.size()));
    expectation seen;
    for (const auto& event : told) {
        const directions is = {event.readable, event.writable};
        const auto place = all.find(event.key);
        const bool is_expected =
            place != all.end() && seen.try_emplace(event.key, is).second &&
            (may_be_full ? is.are_some_of(place->second) : is == place->second);
        if (!is_expected) {
            FAIL("key " << event.key << " readable " << event.readable << " writable "
                        << event.writable);
        }
    }
}

void model_run::step() {
    if (connections_.empty() || below(20) == 0) {
        open();
        return;
    }
    using move = void (model_run::*)();
    constexpr move moves[] = {
        &model_run::watch,          &model_run::watch,        &model_run::change,
        &model_run::change,         &model_run::unwatch,      &model_run::duplicate,
        &model_run::close_handle,   &model_run::write_to_us,  &model_run::write_to_us,
        &model_run::read_from_peer, &model_run::read_from_us, &model_run::fill_towards_peer,
        &model_run::look,           &model_run::look,         &model_run::look,
    };
    // The ends of the peer are rarer, or hardly anything else would live.
    if (below(60) == 0) {
        close_peer();
    } else if (below(60) == 0) {
        end_peer();
    } else {
        (this->*moves[below(std::size(moves))])();
    }
}

void agrees_with_the_model(subject& on, manners of_user) {
    std::uint64_t seed = 20'240'229;
    if (const char* asked = std::getenv("SOCKEYE_TEST_SEED")) {
        seed = std::strtoull(asked, nullptr, 10);
    }
    CAPTURE(seed);
    model_run run(on, of_user, seed);
    const int last = on.under().room() < 64 ? steps_with_few_descriptors : steps;
    for (int number = 0; number < last; ++number) {
        CAPTURE(number);
        run.step();
    }
}

} // namespace

TEST_CASE("backend: [58] 100 000 random steps agree with a model of what must be ready") {
    on_every_backend({58}, [](subject& on) { agrees_with_the_model(on, manners::good); });
}

TEST_CASE("backend: [58] so do 100 000 that close descriptors before they are removed") {
    on_every_backend({16, 17, 18, 58},
                     [](subject& on) { agrees_with_the_model(on, manners::bad); });
}
