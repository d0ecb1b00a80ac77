#include "kernel/posix.hpp"

#include <sockeye/error.hpp>

#include <csignal>
#include <memory>
#include <thread>

#include <netdb.h>

// The names of hosts, and the threads that look them up.

namespace sockeye {
namespace {

/// The longest name that the DNS knows, and the dot behind it. See: RFC 1035 section 2.3.4.
constexpr std::size_t host_name_bytes_max = 254;

/// What getaddrinfo(3) said, by name. Some systems have two numbers for one meaning, or none.
std::error_code error_of_look_up(int said) noexcept {
    switch (said) {
    case EAI_NONAME:
        return make_error_code(errc::host_not_found);
    case EAI_AGAIN:
        return make_error_code(errc::temporary_failure);
    case EAI_FAMILY:
        return make_error_code(std::errc::address_family_not_supported);
    case EAI_MEMORY:
        return make_error_code(std::errc::not_enough_memory);
    case EAI_SYSTEM:
        return errno != 0 ? last_error() : make_error_code(errc::look_up_failed);
    default:
        return make_error_code(platform::means_no_address(said) ? errc::host_without_address
                                                                : errc::look_up_failed);
    }
}

std::error_code why_no_name(const std::string& name) noexcept {
    if (name.empty() || name.find('\0') != std::string::npos) {
        return make_error_code(errc::endpoint_host_invalid);
    }
    return name.size() > host_name_bytes_max ? make_error_code(errc::endpoint_name_too_long)
                                             : std::error_code();
}

std::vector<endpoint> endpoints_in(const addrinfo* list, transport kind) {
    std::vector<endpoint> found;
    for (; list != nullptr && found.size() < addresses_per_host; list = list->ai_next) {
        const auto one = endpoint::from_system(kind, list->ai_addr, list->ai_addrlen);
        if (one.is_known()) {
            found.push_back(one);
        }
    }
    return found;
}

} // namespace

/// AI_ADDRCONFIG is not asked for: it hides the loopback addresses of a machine without a network.
result<std::vector<endpoint>> posix_kernel::resolve(const host_query& wanted) {
    if (const auto error = why_no_name(wanted.name)) {
        return error;
    }
    addrinfo hints = {};
    hints.ai_family = wanted.family;
    hints.ai_socktype = wanted.kind == transport::udp ? SOCK_DGRAM : SOCK_STREAM;
    addrinfo* list = nullptr;
    errno = 0;
    if (const int said = ::getaddrinfo(wanted.name.c_str(), nullptr, &hints, &list)) {
        return error_of_look_up(said);
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, ::freeaddrinfo);
    auto found = endpoints_in(list, wanted.kind);
    if (found.empty()) {
        return errc::host_without_address;
    }
    return found;
}

/// A thread has the signal mask of the one that made it.
std::error_code posix_kernel::start_thread(unique_function<void()> work) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::error_code error;
    try {
        std::thread(std::move(work)).detach();
    } catch (const std::system_error& refused) {
        error = refused.code();
    } catch (const std::bad_alloc&) {
        error = make_error_code(std::errc::not_enough_memory);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error;
}

} // namespace sockeye
