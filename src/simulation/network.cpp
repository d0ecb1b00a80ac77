#include "simulation/network.hpp"

#include "simulation/host.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace sockeye::simulated {
namespace {

/// Names are the same in any case, and with a dot at the end.
std::string plain_name(std::string_view name) {
    name.remove_suffix(name.ends_with('.') ? 1 : 0);
    std::string plain(name);
    for (auto& c : plain) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return plain;
}

} // namespace

network::network(std::uint64_t seed)
    // Begins somewhere: a time of 0 would hide what takes 0 for "not set".
    : random(seed), now_(std::chrono::hours(1 + random.below(1000))),
      thread_(std::this_thread::get_id()) {}

network::~network() = default;

host& network::add_host(std::string_view name) {
    const auto index = static_cast<unsigned>(hosts_.size());
    return *hosts_.emplace_back(std::make_unique<host>(*this, name, index));
}

host* network::find_host(const endpoint& address, host& from) noexcept {
    if (address.is_loopback() || address.is_unspecified()) {
        return &from;
    }
    for (const auto& one : hosts_) {
        if (one->is_loopback_or_own(address)) {
            return one.get();
        }
    }
    return nullptr;
}

std::vector<endpoint> network::addresses_of(std::string_view name) const {
    const auto plain = plain_name(name);
    if (const auto found = names_.find(plain); found != names_.end()) {
        return found->second;
    }
    for (const auto& one : hosts_) {
        if (plain_name(one->name()) == plain) {
            // IPv4 comes before unique local IPv6 addresses. See: RFC 6724 section 2.1.
            return {one->address(AF_INET), one->address(AF_INET6)};
        }
    }
    return {};
}

void network::set_addresses(std::string_view name, std::vector<endpoint> addresses) {
    names_[plain_name(name)] = std::move(addresses);
}

path& network::between(const host& from, const host& to) {
    const auto [place, is_new] = paths_.try_emplace({from.index(), to.index()});
    if (is_new) {
        place->second.options = default_link;
        if (&from == &to) {
            place->second.options = {.latency = duration::zero(), .mtu = 65536};
        }
    }
    return place->second;
}

bool network::is_open(const host& one, const host& other) {
    return one.is_up() && other.is_up() && between(one, other).state == passage::open &&
           between(other, one).state == passage::open;
}

void network::set_passage(const host& from, const host& to, passage state) {
    auto& way = between(from, to);
    way.state = state;
    if (state == passage::open) {
        for (auto& act : std::exchange(way.held, {})) {
            after(duration::zero(), std::move(act));
        }
    }
}

std::optional<time_point> network::next_event() const noexcept {
    return plan_.empty() ? std::nullopt : std::optional(plan_.front().at);
}

void network::advance_to(time_point moment) {
    while (!plan_.empty() && plan_.front().at <= moment) {
        std::pop_heap(plan_.begin(), plan_.end());
        auto first = std::move(plan_.back());
        plan_.pop_back();
        now_ = std::max(now_, first.at);
        first.act();
    }
    now_ = std::max(now_, moment);
}

void network::after(duration delay, unique_function<void()> act) {
    plan_.push_back({now_ + delay, ++planned_so_far_, std::move(act)});
    std::push_heap(plan_.begin(), plan_.end());
}

time_point network::arrival(path& way, std::size_t size) {
    auto leaves = now_;
    if (way.options.bits_per_second != 0) {
        constexpr std::uint64_t overhead = 40; // of headers
        const auto bits = (size + overhead) * 8;
        const auto nanoseconds = bits * 1'000'000'000 / way.options.bits_per_second;
        leaves = std::max(leaves, way.free_at) + duration(static_cast<std::int64_t>(nanoseconds));
        way.free_at = leaves;
    }
    return leaves + way.options.latency + random.within(way.options.jitter);
}

void network::carry_late(const host& from, const host& to, std::size_t size, duration more,
                         unique_function<void()> act) {
    auto& way = between(from, to);
    if (way.state == passage::held) {
        way.held.push_back(std::move(act));
    } else if (way.state == passage::open) {
        const auto delay = arrival(way, size) - now_ + more;
        if (delay == duration::zero()) {
            act();
        } else {
            after(delay, std::move(act));
        }
    }
}

void network::carry_datagram(const host& from, const host& to, std::size_t size,
                             unique_function<void()> act) {
    const auto& options = between(from, to).options;
    if (strikes(options.loss, injected.lost)) {
        return;
    }
    const bool is_overtaken = strikes(options.reorder, injected.reordered);
    const auto more =
        is_overtaken ? options.latency + random.within(options.latency * 4) : duration::zero();
    carry_late(from, to, size, more, std::move(act));
}

socket& network::make_socket(host& home, transport kind, int family) {
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(sockets_.size()));
        sockets_.emplace_back();
    }
    const auto at = free_.back();
    free_.pop_back();
    auto& made = *(sockets_[at] = std::make_unique<socket>());
    made.id = std::uint64_t{++sockets_made_} << 32 | at; // never 0, which names no socket
    made.home = &home;
    made.kind = kind;
    made.family = family;
    made.send_buffer = home.socket_buffer;
    made.receive_buffer = home.socket_buffer;
    return made;
}

void network::destroy(socket_id id) noexcept {
    const auto at = static_cast<std::uint32_t>(id);
    sockets_[at].reset();
    free_.push_back(at);
}

void network::destroy_all_of(const host& home) noexcept {
    for (const auto& one : sockets_) {
        if (one != nullptr && one->home == &home) {
            destroy(one->id);
        }
    }
}

network::stream_count network::streams() noexcept {
    stream_count count;
    for (const auto& one : sockets_) {
        if (one == nullptr || !one->is_stream() || one->is_closed || one->listener != 0 ||
            (one->state != phase::connected && one->state != phase::over)) {
            continue;
        }
        const auto* const other = find(one->other);
        ++count.open;
        count.leaked += other == nullptr ? 1 : 0;
    }
    return count;
}

void network::check_thread() const noexcept {
    if (std::this_thread::get_id() != thread_) {
        std::fputs("sockeye: a simulated network was used by a second thread. A simulation is one "
                   "thread, so that its seed decides all that happens: use more hosts instead.\n",
                   stderr);
        std::abort();
    }
}

} // namespace sockeye::simulated
