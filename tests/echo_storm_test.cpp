#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

// SOCKEYE_STORM_ECHOES and SOCKEYE_STORM_CONNECTIONS make the storm as long as one likes: a million
// echoes over 500 connections are a good one.

using namespace std::chrono_literals;
using support::raw_peer;

namespace {

constexpr std::size_t size_max = std::size_t{1} << 20;

std::size_t number_from(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Every byte that is ever said: a message is a part of it that begins anywhere in the first half.
const std::string& source() {
    static const std::string bytes = support::pattern(2 * size_max);
    return bytes;
}

/// Sizes from 1 byte to 1 MiB, each order of magnitude as often as the others.
std::size_t random_size(std::mt19937_64& random) {
    const double exponent = std::uniform_real_distribution<>(0, 20)(random);
    return std::clamp<std::size_t>(static_cast<std::size_t>(std::exp2(exponent)), 1, size_max);
}

/// One client: says a message, hears it again, compares, and says the next one; by the ground's
/// calls alone. One connection of a hundred ends in a reset, one of ten with a half-close before
/// the answer is heard.
class storm_client {
public:
    storm_client(sockeye::kernel& system, const sockeye::endpoint& server, std::mt19937_64& random)
        : system_(system), random_(random), peer_(system, server), echoes_left_(1 + random() % 40) {
        begin();
    }

    /// Does what is possible now. False once the connection is over.
    bool pump() {
        if (!peer_.is_up()) {
            is_wrong_ = peer_.is_over();
            return !is_wrong_;
        }
        while (push() || pull()) {
            if (is_over_) {
                return false;
            }
        }
        return !is_over_;
    }

    /// Echoes heard since the last call.
    std::size_t take_echoes() { return std::exchange(echoes_, 0); }
    [[nodiscard]] bool was_wrong() const noexcept { return is_wrong_; }

private:
    void begin() {
        size_ = random_size(random_);
        from_ = random_() % size_max;
        said_ = 0;
        heard_ = 0;
        const bool is_last = --echoes_left_ == 0;
        is_reset_ = is_last && random_() % 100 == 0;
        is_half_closed_ = is_last && !is_reset_ && random_() % 10 == 0;
        is_last_ = is_last;
    }

    bool push() {
        if (said_ == size_) {
            return false;
        }
        const auto rest = std::string_view(source()).substr(from_ + said_, size_ - said_);
        const auto sent = system_.send(peer_.fd(), sockeye::as_bytes(rest));
        if (!sent) {
            is_wrong_ = is_wrong_ || sent.error() != std::errc::operation_would_block;
            return false;
        }
        said_ += *sent;
        if (is_reset_) {
            peer_.reset();
            is_over_ = true;
        } else if (said_ == size_ && is_half_closed_) {
            is_wrong_ = is_wrong_ || system_.shutdown_write(peer_.fd());
        }
        return true;
    }

    bool pull() {
        static std::array<std::byte, 256 * 1024> room;
        const auto got = system_.receive(peer_.fd(), room);
        if (!got) {
            is_over_ = is_wrong_ = is_wrong_ || got.error() != std::errc::operation_would_block;
            return false;
        }
        const auto count = *got;
        if (count == 0) {
            // Only the end that we asked for is right, and only behind the whole answer.
            is_wrong_ = is_wrong_ || heard_ != size_ || !is_half_closed_;
            is_over_ = true;
            return true;
        }
        if (heard_ + count > said_ ||
            std::memcmp(room.data(), source().data() + from_ + heard_, count) != 0) {
            is_wrong_ = is_over_ = true;
            return true;
        }
        heard_ += count;
        if (heard_ == size_) {
            ++echoes_;
            if (!is_last_) {
                begin();
            } else if (!is_half_closed_) {
                is_over_ = true;
            }
        }
        return true;
    }

    sockeye::kernel& system_;
    std::mt19937_64& random_;
    raw_peer peer_;
    std::size_t echoes_left_;
    std::size_t echoes_ = 0;
    std::size_t size_ = 0;
    std::size_t from_ = 0;
    std::size_t said_ = 0;
    std::size_t heard_ = 0;
    bool is_last_ = false;
    bool is_reset_ = false;
    bool is_half_closed_ = false;
    bool is_over_ = false;
    bool is_wrong_ = false;
};

struct tally {
    std::size_t echoes = 0;
    std::size_t wrong = 0;
    std::size_t connections = 0;
};

/// Lets the clients talk in their own time, one turn of the loop for each of theirs.
tally run_storm(support::network& on, const sockeye::endpoint& server, std::size_t echoes,
                std::size_t connections) {
    std::mt19937_64 random(echoes);
    std::vector<std::unique_ptr<storm_client>> clients(connections);
    tally found;
    auto last_progress = on.now();
    while (found.echoes < echoes) {
        const auto before = found.echoes;
        for (auto& client : clients) {
            if (!client) {
                client = std::make_unique<storm_client>(on.system(), server, random);
                ++found.connections;
            }
            const bool goes_on = client->pump();
            found.echoes += client->take_echoes();
            if (!goes_on) {
                found.wrong += client->was_wrong() ? 1 : 0;
                client.reset();
            }
        }
        // No wait while there is work; on a simulated ground time passes only where one waits.
        static_cast<void>(on.loop().run_once(found.echoes != before ? 0ms : 1ms).value());
        const auto now = on.now();
        if (found.echoes != before) {
            last_progress = now;
        } else if (now - last_progress > 30s) {
            FAIL_CHECK("no echo for 30 s");
            break;
        }
    }
    for (const auto& client : clients) {
        found.wrong += client && client->was_wrong() ? 1 : 0;
    }
    return found;
}

} // namespace

TEST_CASE("[150] echo storm: random sizes, resets and half-closes; every byte comes back") {
    const support::raised_descriptor_limit raised;
    const auto echoes = number_from("SOCKEYE_STORM_ECHOES", 5000);
    const auto connections = number_from("SOCKEYE_STORM_CONNECTIONS", 300);
    support::on_every_network({150}, {"tcp://127.0.0.1:0"}, [&](support::network& on) {
        auto server =
            sockeye::serve(on.loop(), on.local(), [](sockeye::stream& s, sockeye::bytes in) {
                s.write(in);
            }).value();
        const auto start = on.now();
        const auto found = run_storm(on, support::local_of(server), echoes, connections);
        const std::chrono::duration<double> took = on.now() - start;
        CHECK(found.echoes >= echoes);
        CHECK(found.wrong == 0);
        CHECK(on.until([&] { return server.connection_count() == 0; }));
        const auto& counters = on.loop().counters();
        CHECK(counters.queued_bytes == 0);
        CHECK(counters.accepted == found.connections);
        CHECK(counters.closed == found.connections);
        MESSAGE(on.entry().name, ": ", found.echoes, " echoes over ", connections, " of ",
                found.connections, " connections, ", counters.bytes_read >> 20, " MiB in ",
                took.count(), " s");
    });
}
