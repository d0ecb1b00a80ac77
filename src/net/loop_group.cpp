#include <sockeye/loop_group.hpp>

#include "net/loop_group_core.hpp"

#include "kernel/threads.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <system_error>

// The threads of a group: how they begin, and how they end.

namespace sockeye {

loop_group_core::~loop_group_core() {
    stop();
    join_all();
}

std::error_code loop_group_core::start(loop_group_options options) {
    const auto cpus = usable_cpus();
    const auto count = options.threads != 0 ? options.threads : cpus.size();
    is_pinned = options.pin_cpus;
    for (std::size_t index = 0; index < count; ++index) {
        auto made = std::make_unique<group_member>();
        made->index = index;
        made->name = options.name + '/' + std::to_string(index);
        if (options.pin_cpus) {
            made->cpu = cpus[index % cpus.size()];
        }
        if (options.make_loop_options) {
            made->options = options.make_loop_options(index);
        }
        members.push_back(std::move(made));
    }
    const auto error = start_threads();
    if (error) {
        join_all();
    }
    return error;
}

std::error_code loop_group_core::start_threads() {
    const auto count = static_cast<std::ptrdiff_t>(members.size());
    are_up_ = std::make_unique<std::latch>(count);
    may_run_ = std::make_unique<std::latch>(1);
    std::error_code error;
    std::ptrdiff_t started = 0;
    try {
        for (; started < count; ++started) {
            auto& self = *members[static_cast<std::size_t>(started)];
            self.thread = std::thread([this, &self] { run(self); });
        }
    } catch (const std::system_error& refused) {
        error = refused.code();
        are_up_->count_down(count - started);
    }
    are_up_->wait();
    for (const auto& each : members) {
        error = error ? error : each->error;
    }
    is_refused_ = static_cast<bool>(error);
    may_run_->count_down();
    return error;
}

void loop_group_core::run(group_member& self) noexcept {
    name_thread(self.name.c_str());
    self.error = self.cpu ? pin_thread(*self.cpu) : std::error_code();
    auto made = self.error ? result<loop>(self.error) : loop::open(std::move(self.options));
    if (!made) {
        self.error = made.error();
        are_up_->count_down();
        return;
    }
    auto& owner = made.value();
    self.owner = &owner;
    self.hold = owner.hold();
    self.to = owner.remote();
    are_up_->count_down();
    may_run_->wait();
    if (!is_refused_) {
        turn(self);
    }
    self.hold.reset();
    for (auto* const each : self.servers) {
        server_core::give_up(each);
    }
    self.servers.clear();
    self.sockets.clear();
    self.did = owner.counters();
}

/// One that fails takes the others along: a part of a service would be missing.
void loop_group_core::turn(group_member& self) {
    try {
        self.error = self.owner->run();
    } catch (...) {
        self.problem = std::current_exception();
    }
    if (self.error || self.problem) {
        stop();
    }
}

void loop_group_core::stop() noexcept {
    is_ending = true;
    for (const auto& each : members) {
        if (each->to) {
            each->to->stop();
        }
    }
}

void loop_group_core::join_all() noexcept {
    for (const auto& each : members) {
        if (each->thread.joinable()) {
            each->thread.join();
        }
    }
}

bool loop_group_core::is_own_thread() const noexcept {
    return std::ranges::any_of(members, [](const auto& each) {
        return each->thread.get_id() == std::this_thread::get_id();
    });
}

/// First nobody accepts for others any more. What was handed over before that is under way to its
/// loop, and arrives there before the order to end, which takes the same way.
void loop_group_core::end(const group_ending& how) {
    is_ending = true;
    auto& first = *members.front();
    if (!first.to->post([this, &first, how] { stop_accepting(first, how); })) {
        stop();
    }
}

void loop_group_core::stop_accepting(group_member& first, const group_ending& how) {
    for (auto* const each : first.servers) {
        if (each->spread_by != nullptr) {
            each->stop_listening();
        }
    }
    for (const auto& each : members) {
        post_end(*each, how);
    }
}

/// One that cannot be told, because its mailbox is full, is stopped: nothing waits for ever.
void loop_group_core::post_end(group_member& to, const group_ending& how) {
    if (!to.to->post([&to, how] { end_here(to, how); })) {
        to.to->stop();
    }
}

void loop_group_core::end_here(group_member& self, const group_ending& how) {
    for (auto* const each : self.servers) {
        if (how.is_drain) {
            each->start_drain(how.deadline, {});
        } else {
            each->close();
        }
    }
    self.sockets.clear();
    self.hold.reset();
}

loop_group::loop_group(loop_group_options options) : loop_group(open(std::move(options)).value()) {}

loop_group::loop_group(std::unique_ptr<loop_group_core> core) noexcept : core_(std::move(core)) {}
loop_group::loop_group(loop_group&& other) noexcept = default;
loop_group& loop_group::operator=(loop_group&& other) noexcept = default;
loop_group::~loop_group() = default;

result<loop_group> loop_group::open(loop_group_options options) {
    auto core = std::make_unique<loop_group_core>();
    if (const auto error = core->start(std::move(options))) {
        return error;
    }
    return loop_group(std::move(core));
}

void loop_group::close() {
    core_->end({.is_drain = false});
}

void loop_group::drain(duration deadline) {
    core_->end({.is_drain = true, .deadline = deadline});
}

void loop_group::stop() noexcept {
    core_->stop();
}

std::error_code loop_group::join() {
    if (core_->is_own_thread()) {
        return make_error_code(errc::loop_running);
    }
    core_->join_all();
    std::error_code error;
    for (const auto& each : core_->members) {
        if (auto problem = std::exchange(each->problem, nullptr)) {
            std::rethrow_exception(problem);
        }
        error = error ? error : std::exchange(each->error, {});
    }
    return error;
}

std::size_t loop_group::size() const noexcept {
    return core_->members.size();
}

const loop_counters& loop_group::counters(std::size_t index) const noexcept {
    return core_->members[index]->did;
}

sockeye::remote loop_group::remote(std::size_t index) const {
    return *core_->members[index]->to;
}

std::size_t loop_group::connection_count(std::size_t index) const {
    const std::lock_guard lock(core_->guard);
    std::size_t count = 0;
    for (const auto& service : core_->services) {
        count += service->places[index]->open();
    }
    return count;
}

std::size_t loop_group::connection_count() const {
    std::size_t count = 0;
    for (std::size_t index = 0; index < size(); ++index) {
        count += connection_count(index);
    }
    return count;
}

} // namespace sockeye
