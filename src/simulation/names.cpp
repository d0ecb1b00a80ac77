#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <netinet/in.h>
#include <sys/un.h>

// Who is where: the names of hosts, ports, addresses, and the names of Unix sockets.

namespace sockeye::simulated {
namespace {

constexpr unsigned first_ephemeral = 32768;
constexpr unsigned ephemeral_ports = 28232;

/// The bytes of the address, without the port.
std::string_view place_of(const endpoint& of) noexcept {
    const auto* const raw = reinterpret_cast<const char*>(of.data());
    if (of.family() == AF_INET) {
        return {raw + offsetof(sockaddr_in, sin_addr), sizeof(in_addr)};
    }
    return {raw + offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr)};
}

bool is_same_place(const endpoint& a, const endpoint& b) noexcept {
    return a.family() == b.family() && place_of(a) == place_of(b);
}

endpoint with_port(const endpoint& from, transport kind, std::uint16_t port) noexcept {
    auto made = endpoint::from_system(kind, from.data(), from.size());
    made.set_port(port);
    return made;
}

endpoint mapped(const endpoint& of) {
    sockaddr_in6 made = {};
    made.sin6_family = AF_INET6;
    made.sin6_addr.s6_addr[10] = made.sin6_addr.s6_addr[11] = 0xff;
    std::memcpy(&made.sin6_addr.s6_addr[12], place_of(of).data(), sizeof(in_addr));
    auto found =
        endpoint::from_system(of.kind(), reinterpret_cast<const sockaddr*>(&made), sizeof made);
    found.set_port(of.port());
    return found;
}

/// What names a Unix socket: its path, or a NUL, its kind and its abstract name, for each kind of
/// sockets has names of its own. Empty where there is none.
std::string key_of(transport kind, const endpoint& local) {
    constexpr auto offset = offsetof(sockaddr_un, sun_path);
    if (!local.path().empty() || local.size() <= offset) {
        return std::string(local.path());
    }
    const auto* const raw = reinterpret_cast<const char*>(local.data());
    std::string key(raw + offset, local.size() - offset);
    return key.insert(1, 1, static_cast<char>('0' + static_cast<int>(kind)));
}

endpoint abstract_name(transport kind, std::string_view name) {
    sockaddr_un made = {};
    made.sun_family = AF_UNIX;
    std::memcpy(made.sun_path + 1, name.data(), name.size());
    const auto size = offsetof(sockaddr_un, sun_path) + 1 + name.size();
    return endpoint::from_system(kind, reinterpret_cast<const sockaddr*>(&made),
                                 static_cast<socklen_t>(size));
}

std::string numbered(std::uint64_t number) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text(5, '0');
    for (auto at = text.rbegin(); at != text.rend(); ++at, number /= 16) {
        *at = digits[number % 16];
    }
    return text;
}

} // namespace

endpoint unmapped(const endpoint& of) {
    const auto place = of.family() == AF_INET6 ? place_of(of) : std::string_view();
    if (!place.starts_with(std::string_view("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12))) {
        return of;
    }
    sockaddr_in made = {};
    made.sin_family = AF_INET;
    std::memcpy(&made.sin_addr, place.data() + 12, sizeof made.sin_addr);
    auto found =
        endpoint::from_system(of.kind(), reinterpret_cast<const sockaddr*>(&made), sizeof made);
    found.set_port(of.port());
    return found;
}

bool host::is_loopback_or_own(const endpoint& address) const noexcept {
    return address.is_loopback() || is_same_place(address, address_) ||
           is_same_place(address, address6_);
}

/// A look-up asks a name server that is as far as everybody else.
std::optional<duration> host::time_to_resolve() {
    if (world_.strikes(world_.faults.name_silence, world_.injected.name_silences)) {
        return duration::max();
    }
    const auto& way = world_.default_link;
    return 2 * way.latency + world_.random.within(way.jitter) + world_.random.within(way.jitter);
}

result<std::vector<endpoint>> host::resolve(const host_query& wanted) {
    const auto answer = [&]() -> result<std::vector<endpoint>> {
        if (world_.strikes(world_.faults.name_failure, world_.injected.name_failures)) {
            return errc::temporary_failure;
        }
        std::vector<endpoint> found;
        const auto all = world_.addresses_of(wanted.name);
        for (const auto& one : all) {
            if (wanted.family == AF_UNSPEC || wanted.family == one.family()) {
                found.push_back(with_port(one, wanted.kind, 0));
            }
        }
        if (found.empty()) {
            return all.empty() ? errc::host_not_found : errc::host_without_address;
        }
        return found;
    };
    return noted("resolve", -1, answer());
}

std::error_code host::bind(int fd, const endpoint& local) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("bind", fd, why_not_socket(fd));
    }
    if (it->is_local()) {
        return noted("bind", fd,
                     local.family() == AF_UNIX ? bind_to_name(*it, local) : failure(EINVAL));
    }
    auto error = why_no_address(*it, local);
    if (!error) {
        error = bind_to_port(*it, local);
    }
    if (!error) {
        it->has_own_port = local.port() != 0;
        it->has_own_address = !local.is_unspecified();
    } else if (error == std::errc::address_in_use && it->local.is_known()) {
        forget_address(*it); // that of the last connection
    }
    return noted("bind", fd, error);
}

/// Keeps only the port of the name.
void host::forget_address(sock& it) {
    const auto port = it.local.port();
    it.local = name_for_user({}, it.kind, it.family);
    it.local.set_port(port);
}

std::error_code host::bind_to_name(sock& it, const endpoint& local) {
    auto named = endpoint::from_system(it.kind, local.data(), local.size());
    const bool is_offered = key_of(it.kind, named).empty();
    if (it.local.is_known()) {
        // Asking for any name is content with the one there is; a file is made before it is seen
        // that there is one already.
        return is_offered ? std::error_code()
                          : failure(files_.contains(named.path()) ? EADDRINUSE : EINVAL);
    }
    while (key_of(it.kind, named).empty()) {
        const auto offered = abstract_name(it.kind, numbered(++names_given_));
        if (!files_.contains(key_of(it.kind, offered))) {
            named = offered;
        }
    }
    const auto [place, is_new] = files_.try_emplace(key_of(it.kind, named));
    if (!is_new) {
        return failure(EADDRINUSE);
    }
    place->second = {it.id, ++names_given_};
    it.local = named;
    it.is_bound = true;
    if (auto* const other = world_.find(it.other); other != nullptr && other->other == it.id) {
        other->peer = named; // who is connected already sees the name too
    }
    return {};
}

bool host::is_taken(const sock& it, const endpoint& local) noexcept {
    const auto& there = bound(it.kind, local.port());
    return std::ranges::any_of(there, [&](socket_id id) {
        const auto* const other = world_.find(id);
        const bool overlaps = other != nullptr && other->family == it.family &&
                              (other->local.is_unspecified() || local.is_unspecified() ||
                               is_same_place(other->local, local));
        const bool may_share =
            other != nullptr &&
            ((other->reuse_port && it.reuse_port) ||
             (other->reuse_address && it.reuse_address && other->state != phase::listening));
        return overlaps && !may_share && id != it.id;
    });
}

std::error_code host::bind_to_port(sock& it, const endpoint& local) {
    if (!local.is_unspecified() && !is_loopback_or_own(unmapped(local))) {
        return failure(EADDRNOTAVAIL);
    }
    const bool is_in_use = it.state != phase::fresh && it.state != phase::over;
    if (it.is_bound || is_in_use) {
        return failure(EINVAL);
    }
    const auto port = local.port() != 0 ? local.port() : free_port(it);
    const auto wanted = with_port(local, it.kind, port);
    if (port == 0 || is_taken(it, wanted)) {
        return failure(EADDRINUSE);
    }
    it.local = wanted;
    it.is_bound = true;
    bound(it.kind, port).push_back(it.id);
    return {};
}

/// 0 where none is left.
std::uint16_t host::free_port(const sock& it) noexcept {
    for (unsigned tries = 0; tries < ephemeral_ports; ++tries) {
        next_port_ = (next_port_ + 1) % ephemeral_ports;
        const auto port = static_cast<std::uint16_t>(first_ephemeral + next_port_);
        if (bound(it.kind, port).empty()) {
            return port;
        }
    }
    return 0;
}

/// The address that leads to `target`, with the port of `it`.
endpoint host::source_towards(const endpoint& target, const sock& it) const {
    const auto real = unmapped(target);
    const bool is_near = real.is_loopback() || real.is_unspecified();
    auto own = address(it.family);
    if (real.family() != it.family) {
        own = mapped(is_near ? real : address(AF_INET));
    } else if (is_near) {
        own = *endpoint::parse(it.family == AF_INET ? "tcp://127.0.0.1:0" : "tcp://[::1]:0");
    } else if (is_loopback_or_own(target)) {
        own = target;
    }
    return with_port(own, it.kind, it.is_bound ? it.local.port() : std::uint16_t{0});
}

/// For who connects without a name: the address that leads there, and a free port.
std::error_code host::bind_anywhere(sock& it, const endpoint& towards) {
    const auto own = source_towards(towards, it);
    if (it.is_bound && it.local.is_unspecified()) {
        it.local = own;
    }
    if (it.is_bound) {
        return {};
    }
    const auto error = bind_to_port(it, own);
    return error == std::errc::address_in_use ? failure(EADDRNOTAVAIL) : error;
}

void host::unbind(sock& it) noexcept {
    if (!it.is_bound) {
        return;
    }
    it.is_bound = false;
    if (it.is_local()) {
        // A file stays where it is; an abstract name goes with its socket.
        const auto found = files_.find(key_of(it.kind, it.local));
        if (found != files_.end() && found->second.id == it.id && it.local.path().empty()) {
            files_.erase(found);
        }
        return;
    }
    const auto key = static_cast<std::uint32_t>(it.kind) << 16 | it.local.port();
    if (const auto found = ports_.find(key); found != ports_.end()) {
        std::erase(found->second, it.id);
        if (found->second.empty()) {
            ports_.erase(found);
        }
    }
}

simulated::socket* host::find_listener(const endpoint& target) {
    std::vector<sock*> exact;
    std::vector<sock*> any;
    for (const auto id : bound(transport::tcp, target.port())) {
        auto* const one = world_.find(id);
        if (one == nullptr || one->state != phase::listening || one->family != target.family()) {
            continue;
        }
        if (is_same_place(one->local, target)) {
            exact.push_back(one);
        } else if (one->local.is_unspecified()) {
            any.push_back(one);
        }
    }
    const auto& found = exact.empty() ? any : exact;
    return found.empty() ? nullptr
                         : found[found.size() == 1 ? 0 : world_.random.below(found.size())];
}

/// Whether who is connected to `peer` has to do with `other`: port 0 is every port.
bool host::is_heard(const endpoint& peer, const endpoint& other) noexcept {
    return peer.is_known() && is_same_place(peer, other) &&
           (peer.port() == 0 || peer.port() == other.port());
}

/// Of several that fit alike, those that share the port get each its peers; else the last one has
/// it all. See: SO_REUSEPORT in socket(7).
simulated::socket* host::find_receiver(const endpoint& target, const endpoint& from) {
    std::vector<sock*> best;
    int best_fit = 0;
    for (const auto id : bound(transport::udp, target.port())) {
        auto* const one = world_.find(id);
        if (one == nullptr || one->family != target.family() || one->is_closed ||
            (one->peer.is_known() && !is_heard(one->peer, from))) {
            continue;
        }
        const bool is_exact = is_same_place(one->local, target);
        const int fit = (one->peer.is_known() ? 2 : 0) + (is_exact ? 2 : 1);
        if ((is_exact || one->local.is_unspecified()) && fit >= best_fit) {
            if (fit > best_fit) {
                best.clear();
            }
            best.push_back(one);
            best_fit = fit;
        }
    }
    if (best.size() < 2) {
        return best.empty() ? nullptr : best.front();
    }
    return best.back()->reuse_port ? best[from.port() % best.size()] : best.back();
}

std::error_code host::find_local(const sock& it, const endpoint& target, sock*& found) {
    const auto place = files_.find(key_of(it.kind, target));
    found = place == files_.end() ? nullptr : world_.find(place->second.id);
    if (found == nullptr) {
        const bool is_missing = place == files_.end() && !target.path().empty();
        return failure(is_missing ? ENOENT : ECONNREFUSED);
    }
    return found->kind == it.kind ? std::error_code() : failure(EPROTOTYPE);
}

/// What is wrong with an address that `it` is to use.
std::error_code host::why_no_address(const sock& it, const endpoint& target) {
    if (it.is_local()) {
        const bool has_name = target.family() == AF_UNIX && !key_of(it.kind, target).empty();
        return has_name ? std::error_code() : failure(EINVAL);
    }
    constexpr std::size_t inet6_size_min = 24; // without the scope, as in RFC 2133
    const auto least = it.family == AF_INET ? sizeof(sockaddr_in) : inet6_size_min;
    if (target.size() < least) {
        return failure(EINVAL);
    }
    return target.family() == it.family ? std::error_code() : failure(EAFNOSUPPORT);
}

endpoint host::name_for_user(const endpoint& name, transport kind, int family) {
    if (name.is_known()) {
        return endpoint::from_system(kind, name.data(), name.size());
    }
    if (family == AF_UNIX) {
        const sockaddr unnamed = {.sa_family = AF_UNIX, .sa_data = {}};
        return endpoint::from_system(kind, &unnamed, sizeof unnamed.sa_family);
    }
    const auto any = *endpoint::parse(family == AF_INET ? "tcp://0.0.0.0:0" : "tcp://[::]:0");
    return endpoint::from_system(kind, any.data(), any.size());
}

result<endpoint> host::local_endpoint(int fd, transport kind) {
    const auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<endpoint>("local_endpoint", fd, why_not_socket(fd));
    }
    return name_for_user(it->local, kind, it->family);
}

result<endpoint> host::peer_endpoint(int fd, transport kind) {
    const auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<endpoint>("peer_endpoint", fd, why_not_socket(fd));
    }
    const bool is_linked =
        it->state == phase::connected || (it->is_local() && it->state == phase::over);
    const bool has_peer = it->is_local() ? it->peer.is_known() : it->peer.port() != 0;
    if (it->is_stream() ? !is_linked : !has_peer) {
        return failure(ENOTCONN);
    }
    return name_for_user(it->peer, kind, it->family);
}

result<file_identity> host::identify(std::string_view path) {
    const auto found = files_.find(path);
    if (found == files_.end()) {
        return failure(ENOENT);
    }
    return file_identity{.device = index_ + 1, .number = found->second.number};
}

std::error_code host::remove_file(std::string_view path) {
    const auto found = files_.find(path);
    if (found == files_.end()) {
        return noted("remove_file", -1, failure(ENOENT));
    }
    files_.erase(found);
    return noted("remove_file", -1, std::error_code());
}

} // namespace sockeye::simulated
