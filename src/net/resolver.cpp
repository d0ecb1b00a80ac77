#include <sockeye/resolver.hpp>

#include "base/memory.hpp"
#include "net/look_up.hpp"
#include "net/look_up_queue.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cassert>
#include <memory>
#include <string_view>

namespace sockeye {
namespace {

using endpoints = std::vector<endpoint>;

/// A look-up as its loop sees it.
struct look_up_state {
    loop_core& core;
    look_up_handler handler;
    std::shared_ptr<look_up_job> job; ///< null once there is an answer, and where none is needed
    timer_id timer = 0;               ///< the deadline; in a simulation maybe the answer
    result<endpoints> answer;
};

/// What the slot holds.
using look_up_owner = std::unique_ptr<look_up_state>;

look_up_state& state_of(slot& place) noexcept {
    return *place.as<look_up_owner>();
}

/// The loop's side is through with what the threads may still have.
void let_go(look_up_state& state) noexcept {
    if (state.timer != 0) {
        state.core.timers().cancel(std::exchange(state.timer, 0));
    }
    if (const auto job = std::exchange(state.job, nullptr)) {
        look_up_queue::leave(*job);
    }
}

void destroy_look_up(slot& place) noexcept {
    auto& state = state_of(place);
    auto& core = state.core;
    let_go(state);
    std::destroy_at(&place.as<look_up_owner>());
    core.io().release(place);
    core.drop_life();
}

/// The handler may do whatever it wants: nothing of the look-up is left when it runs.
void tell(slot& place) {
    auto& state = state_of(place);
    auto& core = state.core;
    auto handler = std::move(state.handler);
    auto answer = std::move(state.answer);
    destroy_look_up(place);
    core.call([&] { handler(std::move(answer)); });
}

constexpr slot_operations look_up_operations = {
    .ready = {}, .resume = {}, .flush = {}, .finish = tell, .destroy = destroy_look_up};

void finish(slot& place, result<endpoints> answer) noexcept {
    auto& state = state_of(place);
    let_go(state);
    state.answer = std::move(answer);
    state.core.io().queue_finish(place);
}

/// Sets the port, which the system was not asked for.
result<endpoints> with_port(result<endpoints> found, std::uint16_t port) {
    if (found) {
        for (auto& one : *found) {
            one.set_port(port);
        }
    }
    return found;
}

void on_answer(look_up_job& job) {
    if (auto* const place = job.core->io().find(job.key)) {
        finish(*place, with_port(std::move(*job.answer), job.port));
    }
}

void on_deadline(void* core, std::uint64_t key) {
    auto* const place = static_cast<loop_core*>(core)->io().find(key);
    assert(place != nullptr);
    state_of(*place).timer = 0;
    finish(*place, std::errc::timed_out);
}

/// The system knows the answer by now, without blocking.
void on_ready(void* core, std::uint64_t key) {
    auto* const place = static_cast<loop_core*>(core)->io().find(key);
    assert(place != nullptr);
    auto& state = state_of(*place);
    state.timer = 0;
    const auto& job = *state.job;
    finish(*place,
           with_port(without_throwing([&] { return job.system.resolve(job.wanted); }), job.port));
}

std::error_code begin(slot& place, duration deadline) {
    auto& state = state_of(place);
    auto& core = state.core;
    const bool is_limited = deadline > duration::zero();
    const auto ready_in = core.system().time_to_resolve();
    if (ready_in && (!is_limited || *ready_in < deadline)) {
        state.timer = core.start_timer(*ready_in, {on_ready, &core, key_of(place)});
        return {};
    }
    if (is_limited) {
        state.timer = core.start_timer(deadline, {on_deadline, &core, key_of(place)});
    }
    return ready_in ? std::error_code()
                    : look_up_queue::of_process(core.system().fork_count()).enter(state.job);
}

/// See: RFC 6761 section 6.3.
bool is_this_machine(std::string_view name) noexcept {
    constexpr std::string_view ending = "localhost";
    name.remove_suffix(name.ends_with('.') ? 1 : 0);
    if (name.size() < ending.size()) {
        return false;
    }
    const auto rest = name.substr(0, name.size() - ending.size());
    const auto is_same = [](char a, char b) { return a == b || a == b - 'a' + 'A'; };
    return (rest.empty() || rest.ends_with('.')) &&
           std::ranges::equal(name.substr(rest.size()), ending, is_same);
}

int number_of(ip_family family) noexcept {
    return family == ip_family::any ? AF_UNSPEC : family == ip_family::ipv4 ? AF_INET : AF_INET6;
}

endpoints loopback(const host_name& host) {
    endpoints both;
    for (const auto* const text : {":0", "[::1]:0"}) {
        const auto one = endpoint::parse(text).value();
        both.push_back(endpoint::from_system(host.kind, one.data(), one.size()));
    }
    return std::move(*with_port(std::move(both), host.port));
}

/// What needs no look-up.
result<endpoints> known_answer(const endpoint_argument& where, int family) {
    if (!where.get() && where.host() == nullptr) {
        return where.get().error();
    }
    auto found = where.host() == nullptr ? endpoints{*where.get()} : loopback(*where.host());
    std::erase_if(found, [&](const endpoint& one) {
        return family != AF_UNSPEC && one.family() != family && !one.is_local();
    });
    if (found.empty()) {
        return errc::host_without_address;
    }
    return found;
}

std::shared_ptr<look_up_job> make_job(loop_core& core, const host_name& host, int family) {
    auto job = std::make_shared<look_up_job>(
        core.system(), host_query{host.name, host.kind, family}, core.handle().remote());
    job->on_answer = on_answer;
    job->core = &core;
    job->port = host.port;
    return job;
}

} // namespace

slot_key start_look_up(loop_core& core, const endpoint_argument& host,
                       const look_up_options& options, look_up_handler handler) {
    const auto family = number_of(options.family);
    std::shared_ptr<look_up_job> job;
    result<endpoints> answer(endpoints{});
    if (host.host() == nullptr || is_this_machine(host.host()->name)) {
        answer = known_answer(host, family);
    } else {
        job = make_job(core, *host.host(), family);
    }
    const bool is_known = job == nullptr;
    look_up_owner state(
        new look_up_state{core, std::move(handler), std::move(job), timer_id{}, std::move(answer)});
    auto& place = core.io().allocate(look_up_operations);
    place.emplace<look_up_owner>(std::move(state));
    core.add_life();
    if (is_known) {
        core.io().queue_finish(place);
        return key_of(place);
    }
    state_of(place).job->key = key_of(place);
    if (const auto error = without_throwing([&] { return begin(place, options.deadline); })) {
        finish(place, error);
    }
    return key_of(place);
}

void drop_look_up(loop_core& core, slot_key key) noexcept {
    if (auto* const place = core.io().find(key)) {
        destroy_look_up(*place);
    }
}

look_up resolve(sockeye::loop& owner, const endpoint_argument& host, const look_up_options& options,
                look_up_handler handler) {
    assert(handler);
    auto& core = core_of(owner);
    return {core, start_look_up(core, host, options, std::move(handler))};
}

look_up& look_up::operator=(look_up&& other) noexcept {
    if (this != &other) {
        const look_up old(std::move(*this));
        core_ = std::exchange(other.core_, nullptr);
        key_ = std::exchange(other.key_, 0);
    }
    return *this;
}

look_up::~look_up() {
    if (core_ != nullptr) {
        assert(may_use(*core_, "a look_up"));
        drop_look_up(*core_, key_);
    }
}

void look_up::cancel() noexcept {
    assert(core_ == nullptr || may_use(*core_, "a look_up"));
    auto* const place = core_ == nullptr ? nullptr : core_->io().find(key_);
    if (place != nullptr) {
        finish(*place, std::errc::operation_canceled);
    }
}

bool look_up::is_pending() const noexcept {
    assert(core_ == nullptr || may_use(*core_, "a look_up"));
    return core_ != nullptr && core_->io().find(key_) != nullptr;
}

} // namespace sockeye
