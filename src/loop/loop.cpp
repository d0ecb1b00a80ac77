#include <sockeye/loop.hpp>

#include "base/memory.hpp"
#include "loop/loop_core.hpp"

#include <cassert>
#include <new>
#include <utility>

namespace sockeye {
namespace {

loop_core& used(const std::unique_ptr<loop_core>& core) noexcept {
    assert(core || misuse("a loop", "is used after it was moved from"));
    assert(may_use(*core, "a loop"));
    return *core;
}

} // namespace

loop_core& core_of(loop& owner) noexcept {
    return used(loop_access::owned(owner));
}

loop::loop(loop_options options) : loop(open(std::move(options)).value()) {}

loop::loop(std::unique_ptr<loop_core> core) noexcept : core_(std::move(core)) {
    core_->belongs_to(*this);
}

loop::loop(loop&& other) noexcept : core_(std::move(other.core_)) {
    if (core_) {
        core_->belongs_to(*this);
    }
}

loop::~loop() = default;

result<loop> loop::open(loop_options options) {
    auto core = without_throwing([&] { return loop_core::open(std::move(options)); });
    if (!core) {
        return core.error();
    }
    return loop(std::move(core.value()));
}

std::error_code loop::run() {
    return used(core_).run();
}

result<std::size_t> loop::run_once(std::optional<duration> timeout) {
    return used(core_).run_once(timeout);
}

void loop::stop() noexcept {
    used(core_).stop();
}

remote loop::remote() const {
    return sockeye::remote(core_->box());
}

hold_guard loop::hold() {
    return hold_guard(used(core_));
}

time_point loop::now() const noexcept {
    return used(core_).io().now();
}

backend_kind loop::backend() const noexcept {
    return core_->kind();
}

const loop_counters& loop::counters() const noexcept {
    return used(core_).io().counters();
}

std::string loop::dump() const {
    return used(core_).dump();
}

int loop::native_handle() const noexcept {
    return core_->io().source().native_handle();
}

std::optional<time_point> loop::next_deadline() const noexcept {
    return used(core_).next_deadline();
}

hold_guard::hold_guard(loop_core& core) noexcept : core_(&core) {
    core.add_guard();
}

hold_guard::~hold_guard() {
    if (core_ != nullptr) {
        assert(may_use(*core_, "a hold_guard"));
        core_->drop_guard();
    }
}

bool remote::post(unique_function<void(loop&)> task) const {
    auto with_loop = [box = box_.get(), task = std::move(task)]() mutable {
        task(box->core->handle());
    };
    try {
        return post(unique_function<void()>(std::move(with_loop)));
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool remote::stop() const noexcept {
    const std::lock_guard lock(box_->guard);
    if (box_->is_open) {
        box_->wants_stop = true;
        if (!box_->is_pending.exchange(true, std::memory_order_acq_rel)) {
            box_->system->wake(box_->write_end);
        }
    }
    return box_->is_open;
}

bool remote::post(unique_function<void()> task) const {
    const std::lock_guard lock(box_->guard);
    if (!box_->is_open || box_->tasks.size() >= box_->tasks_max) {
        return false;
    }
    try {
        box_->tasks.push_back(std::move(task));
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (!box_->is_pending.exchange(true, std::memory_order_acq_rel)) {
        box_->system->wake(box_->write_end);
    }
    return true;
}

} // namespace sockeye
