#include "bench/client/driver.hpp"

#include "bench/machine/host.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration connect_timeout = 10s;
/// How long one wait may take, so that Ctrl-C is heard.
constexpr duration patience = 50ms;
constexpr duration tick = 10ms;

loop_options options_of_client() {
    loop_options options;
    options.backend = best_backend();
    options.queued_bytes_max = std::numeric_limits<std::size_t>::max() / 2;
    return options;
}

} // namespace

driver::driver(const plan& whole, const load& what, const ring& content, std::size_t index)
    : has_sources_(!what.sources.empty()),
      spins_(whole.how_paced == pace::spin && what.is_open_loop()), loop_(options_of_client()),
      client_(make_client({loop_, what.share_of(index), content, counted_, whole.timeout,
                           whole.seed + index, what.first_of(index)})) {
    if (what.is_open_loop() && !spins_) {
        alarm_.emplace(loop_);
    }
}

void driver::connect(const endpoint& server) {
    client_->open(server, connect_timeout);
    const time_point deadline = clock::now() + connect_timeout;
    time_point now = clock::now();
    do {
        turn(now, deadline);
        now = clock::now();
    } while (!is_over() && !client_->is_open() && !client_->has_failed() && now < deadline);
    if (!is_over() && (!client_->is_open() || client_->has_failed())) {
        const auto& errors = counted_.errors;
        fail(fmt::format("cannot connect to {}{}: {}", server.to_string(),
                         has_sources_ ? " from the addresses of --source" : "",
                         errors.empty() ? "timed out" : errors.begin()->first));
    }
}

void driver::start(time_point begin) {
    if (!is_over()) {
        counted_.over_time.begin(begin);
        client_->start(begin);
    }
}

void driver::run_until(time_point end, std::optional<std::uint64_t> messages) {
    const std::uint64_t most = messages.value_or(std::numeric_limits<std::uint64_t>::max());
    time_point now = clock::now();
    while (!is_over() && now < end && counted_.messages < most && client_->alive() > 0 &&
           !is_spent()) {
        turn(now, end);
        now = clock::now();
        if (on_tick_ && now >= next_tick_) {
            next_tick_ = now + tick;
            on_tick_(now);
        }
    }
}

void driver::drain(time_point end, duration limit) {
    client_->stop_sending(end);
    time_point now = clock::now();
    const time_point deadline = now + limit;
    while (!is_over() && now < deadline && client_->on_way() > 0 && client_->alive() > 0) {
        turn(now, deadline);
        now = clock::now();
    }
}

void driver::close() {
    client_->close();
    turn(clock::now(), clock::now());
}

void driver::turn(time_point now, time_point limit) {
    if (host::interrupt() != 0) {
        is_interrupted_ = true;
        return;
    }
    const time_point due = client_->work(now);
    time_point until = std::min({limit, due, now + patience});
    if (spins_ || until <= now) {
        until = now;
    } else if (alarm_ && alarm_->is_exact() && due < limit) {
        alarm_->set(until);
        until = now + patience; // the alarm ends the wait, more exactly than a timeout could
    }
    if (const auto turned = loop_.run_once(until - now); !turned) {
        fail("the client's loop failed: " + turned.error().message());
    }
}

void driver::fail(std::string why) {
    if (failure_.empty()) {
        failure_ = std::move(why);
    }
}

} // namespace sockeye::bench
