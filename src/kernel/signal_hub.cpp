#include "kernel/signal_hub.hpp"

#include "kernel/kernel.hpp"

#include <array>
#include <cerrno>
#include <mutex>
#include <thread>

#include <csignal>

namespace sockeye {
namespace {

/// `pending` is null while the place is free. The handler reads these without a lock.
struct listener_place {
    std::atomic<std::atomic<std::uint64_t>*> pending = nullptr;
    std::atomic<int> signal = 0;
    std::atomic<int> write_end = -1;
};

constexpr int signals_max = 64; // one bit each in `pending`, the first for signal 1

std::array<listener_place, 256> places;
std::atomic<int> handlers_running = 0;
std::mutex guard; // of what follows, and of changes to `places`
std::array<int, signals_max + 1> listeners_of = {};
std::array<struct sigaction, signals_max + 1> former = {};

void handle(int signal) {
    const int saved = errno;
    handlers_running.fetch_add(1);
    for (auto& place : places) {
        auto* const pending = place.pending.load();
        if (pending != nullptr && place.signal.load() == signal) {
            pending->fetch_or(signal_bit(signal));
            system_kernel().wake(place.write_end.load());
        }
    }
    handlers_running.fetch_sub(1);
    errno = saved;
}

std::error_code install(int signal) {
    struct sigaction action = {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(signal, &action, &former[static_cast<std::size_t>(signal)]) != 0) {
        return {errno, std::system_category()};
    }
    return {};
}

} // namespace

std::error_code add_signal_listener(int signal, std::atomic<std::uint64_t>& pending,
                                    int write_end) {
    if (signal <= 0 || signal > signals_max) {
        return make_error_code(std::errc::invalid_argument);
    }
    const std::lock_guard lock(guard);
    for (auto& place : places) {
        if (place.pending.load() != nullptr) {
            continue;
        }
        place.signal = signal;
        place.write_end = write_end;
        place.pending = &pending;
        // Installed last, so that no signal is caught before there is somebody to hear of it.
        auto& count = listeners_of[static_cast<std::size_t>(signal)];
        if (count == 0) {
            if (const auto error = install(signal)) {
                place.pending = nullptr;
                return error;
            }
        }
        ++count;
        return {};
    }
    return make_error_code(std::errc::resource_unavailable_try_again);
}

void remove_signal_listener(int signal, std::atomic<std::uint64_t>& pending) noexcept {
    const std::lock_guard lock(guard);
    for (auto& place : places) {
        if (place.pending.load() != &pending || place.signal.load() != signal) {
            continue;
        }
        place.pending = nullptr;
        if (--listeners_of[static_cast<std::size_t>(signal)] == 0) {
            ::sigaction(signal, &former[static_cast<std::size_t>(signal)], nullptr);
        }
        // A handler on another thread may have read the place just before.
        while (handlers_running.load() != 0) {
            std::this_thread::yield();
        }
        return;
    }
}

} // namespace sockeye
