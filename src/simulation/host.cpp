#include "simulation/host.hpp"

#include "kernel/signal_hub.hpp"
#include "simulation/failure.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace sockeye::simulated {
namespace {

/// As every process begins: input, output and errors are open.
constexpr int first_descriptor = 3;

endpoint address_of(std::string text, unsigned index) {
    text.replace(text.find('#'), 1, std::to_string(index + 1));
    return *endpoint::parse(text);
}

} // namespace

host::host(network& world, std::string_view name, unsigned index)
    : world_(world), name_(name), index_(index), address_(address_of("tcp://10.0.0.#:0", index)),
      address6_(address_of("tcp://[fd00::#]:0", index)), table_(first_descriptor),
      next_port_(static_cast<unsigned>(world.random.below(65536))) {}

host::~host() = default;

// Descriptors.

result<owned_fd> host::open(entry made) {
    if (open_ + first_descriptor >= descriptors_max) {
        return failure(EMFILE);
    }
    int fd = static_cast<int>(table_.size());
    if (free_.empty()) {
        table_.emplace_back();
    } else {
        fd = free_.top(); // the lowest one, as POSIX has it
        free_.pop();
    }
    made.serial = ++opened_;
    table_[static_cast<std::size_t>(fd)] = made;
    ++open_;
    return owned_fd(*this, fd);
}

host::entry* host::entry_of(int fd) noexcept {
    return const_cast<entry*>(std::as_const(*this).entry_of(fd));
}

const host::entry* host::entry_of(int fd) const noexcept {
    if (fd < 0 || static_cast<std::size_t>(fd) >= table_.size()) {
        return nullptr;
    }
    const auto& found = table_[static_cast<std::size_t>(fd)];
    return found.what == holds::nothing ? nullptr : &found;
}

simulated::socket* host::socket_of(int fd) noexcept {
    const auto* found = entry_of(fd);
    return found != nullptr && found->what == holds::socket ? world_.find(found->id) : nullptr;
}

std::error_code host::why_not_socket(int fd) const noexcept {
    return failure(entry_of(fd) == nullptr ? EBADF : ENOTSOCK);
}

bool host::is_pollable(int fd) const noexcept {
    return entry_of(fd)->what != holds::reserve;
}

result<owned_fd> host::socket(transport kind, int family) {
    if (kind == transport::icmp) {
        return noted<owned_fd>("socket", -1, failure(EOPNOTSUPP)); // nobody here answers echos
    }
    if (world_.strikes(world_.faults.no_descriptors, world_.injected.no_descriptors)) {
        return noted<owned_fd>("socket", -1, failure(EMFILE));
    }
    auto& made = world_.make_socket(*this, kind, family);
    auto fd = open({.what = holds::socket, .id = made.id});
    if (!fd) {
        world_.destroy(made.id);
    }
    return noted("socket", -1, std::move(fd));
}

result<std::uint64_t> host::random_bits() {
    return noted<std::uint64_t>("random_bits", -1, world_.random.next());
}

result<owned_fd> host::reserve() {
    return noted("reserve", -1, open({.what = holds::reserve}));
}

void host::close(int fd) noexcept {
    auto* const found = entry_of(fd);
    note("close", fd, found == nullptr ? -EBADF : 0);
    if (found == nullptr) {
        return;
    }
    const auto was = std::exchange(*found, {});
    free_.push(fd);
    --open_;
    if (was.what == holds::socket) {
        if (auto* const it = world_.find(was.id)) {
            close_socket(*it);
        }
    }
}

void host::crash() noexcept {
    is_up_ = false;
    table_.resize(first_descriptor);
    free_ = {};
    open_ = 0;
    ports_.clear();
    // Socket files stay behind, as on a disk; nobody answers there.
    signals_.clear();
    world_.destroy_all_of(*this);
}

// The record.

void host::note(std::string_view call, int fd, std::int64_t outcome) {
    world_.check_thread();
    progress_ += outcome >= 0 ? 1 : 0;
    world_.history.note({name_, call, fd, outcome, world_.now()});
}

std::error_code host::noted(std::string_view call, int fd, std::error_code outcome) {
    note(call, fd, -outcome.value());
    return outcome;
}

// Clock, wake-ups and signals.

std::error_code host::pending_error(int fd) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("pending_error", fd, why_not_socket(fd));
    }
    return noted("pending_error", fd, std::exchange(it->pending, {}));
}

result<transport> host::transport_of(int fd) {
    const auto* const it = socket_of(fd);
    return it == nullptr ? result<transport>(why_not_socket(fd)) : it->kind;
}

result<file_facts> host::describe(int fd) {
    if (const auto error = why_not_socket(fd); socket_of(fd) == nullptr) {
        return error;
    }
    return file_facts{.is_socket = true};
}

std::error_code host::prepare(int fd) {
    return entry_of(fd) == nullptr ? failure(EBADF) : std::error_code();
}

time_point host::now() {
    world_.check_thread();
    return world_.now() + clock_offset;
}

result<duration> host::read_clock(clock_kind which) {
    const auto shown = now().time_since_epoch();
    return which == clock_kind::wall ? shown + wall_clock_offset : shown;
}

time_point host::network_time(time_point local) const noexcept {
    return local - clock_offset;
}

result<wake_channel> host::make_wake_channel() {
    auto reader = open({.what = holds::wake});
    if (!reader) {
        return reader.error();
    }
    wake_channel channel;
    channel.reader = std::move(reader.value());
    return channel;
}

void host::wake(int write_end) noexcept {
    world_.check_thread();
    if (auto* const found = entry_of(write_end); found != nullptr && found->what == holds::wake) {
        found->is_signalled = true;
        ++found->news.readable;
    }
}

void host::drain(int reader) noexcept {
    if (auto* const found = entry_of(reader); found != nullptr && found->what == holds::wake) {
        found->is_signalled = false;
    }
}

std::error_code host::add_signal(int signal, std::atomic<std::uint64_t>& pending, int write_end) {
    if (signal <= 0 || signal > 64 || signal == SIGKILL || signal == SIGSTOP) {
        return failure(EINVAL);
    }
    constexpr std::size_t listeners_max = 256; // as in signal_hub.cpp
    if (signals_.size() >= listeners_max) {
        return failure(EAGAIN);
    }
    signals_.push_back({signal, &pending, write_end});
    return {};
}

void host::remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept {
    const auto found = std::ranges::find_if(signals_, [&](const signal_listener& one) {
        return one.signal == signal && one.pending == &pending;
    });
    if (found != signals_.end()) {
        signals_.erase(found);
    }
}

bool host::raise(int signal) {
    bool is_heard = false;
    for (const auto& one : signals_) {
        if (one.signal == signal) {
            one.pending->fetch_or(signal_bit(signal));
            wake(one.write_end);
            is_heard = true;
        }
    }
    return is_heard;
}

// What a multiplexer sees.

look host::look_at(int fd) noexcept {
    const auto* const found = entry_of(fd);
    if (found == nullptr) {
        return {};
    }
    if (found->what == holds::wake) {
        return {.readable = found->is_signalled, .writable = true, .news = found->news};
    }
    const auto* const it = socket_of(fd);
    if (it == nullptr) {
        return {};
    }
    if (it->is_stream()) {
        return look_at_stream(*it);
    }
    return {.readable = !it->packets.empty(),
            .writable = has_room_for_packets(*it),
            .error = it->pending || !it->errors.empty(),
            .news = it->news};
}

/// Much of it: who is woken for a little room would be woken too often.
bool host::has_room(const sock& it) noexcept {
    if (it.is_local()) {
        return it.underway * 4 <= capacity_of(it);
    }
    return it.is_shut || room_of(it) * 3 >= capacity_of(it);
}

void host::await_room(int fd) noexcept {
    if (auto* const it = socket_of(fd); it != nullptr && it->is_stream() && !has_room(*it)) {
        it->wants_room = true;
    }
}

look host::look_at_stream(const sock& it) noexcept {
    look seen = {.error = static_cast<bool>(it.pending), .news = it.news};
    seen.read_closed = it.fin_arrived || it.state == phase::over;
    seen.readable = !it.inbox.empty() || seen.read_closed;
    switch (it.state) {
    case phase::fresh:
        seen.writable = seen.hangup = true;
        break;
    case phase::listening:
        seen.readable = !it.queue.empty();
        break;
    case phase::connecting:
        break;
    case phase::connected:
        seen.writable = has_room(it);
        seen.hangup = it.is_shut && it.fin_arrived;
        break;
    case phase::over:
        seen.writable = !it.is_local() || has_room(it);
        seen.hangup = true;
        break;
    }
    return seen;
}

} // namespace sockeye::simulated
