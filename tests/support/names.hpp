#pragma once

#include "support/kernels.hpp"
#include "support/network.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A kernel whose names a test chooses. Where the one below answers in virtual time this one does
/// too; else its look-ups are calls on threads, which can be made to hang.
class naming_kernel final : public forwarding_kernel {
public:
    template <typename T>
    using result = sockeye::result<T>;

    using forwarding_kernel::forwarding_kernel;
    /// Waits until no call hangs in it any more.
    ~naming_kernel() override;

    /// What a look-up of `name` finds: at least one endpoint.
    void name(const std::string& name, std::vector<sockeye::endpoint> addresses);
    /// All look-ups fail with that.
    void fail_with(std::error_code error);
    /// Look-ups hang until release(); not where time is virtual.
    void hang();
    void release();
    /// The system has no thread for that many calls.
    void refuse_threads(std::size_t count) noexcept { refused_threads_ = count; }

    /// Look-ups that hang now. Threads: any, as the next four.
    [[nodiscard]] std::size_t hanging() const noexcept { return hanging_; }
    [[nodiscard]] std::size_t look_ups() const noexcept { return look_ups_; }
    [[nodiscard]] std::size_t threads() const noexcept { return threads_; }
    [[nodiscard]] std::size_t threads_started() const noexcept { return threads_started_; }
    /// The most look-ups that were being made at the same time.
    [[nodiscard]] std::size_t look_ups_most() const noexcept { return look_ups_most_; }

    result<std::vector<sockeye::endpoint>> resolve(const sockeye::host_query& wanted) override;
    std::error_code start_thread(sockeye::unique_function<void()> work) override;

private:
    std::mutex guard_; // of the next four
    std::condition_variable changed_;
    std::map<std::string, std::vector<sockeye::endpoint>> names_;
    std::error_code failure_;
    bool hangs_ = false;

    std::atomic<std::size_t> hanging_ = 0;
    std::atomic<std::size_t> look_ups_ = 0;
    std::atomic<std::size_t> threads_ = 0;
    std::atomic<std::size_t> threads_started_ = 0;
    std::atomic<std::size_t> being_made_ = 0;
    std::atomic<std::size_t> look_ups_most_ = 0;
    std::atomic<std::size_t> refused_threads_ = 0;
};

/// Runs `body` with a network and its names, on every ground.
template <typename Body>
void with_names(std::initializer_list<int> numbers, Body&& body) {
    on_every_altered_network<naming_kernel>(numbers, {"tcp://127.0.0.1:0"},
                                            std::forward<Body>(body));
}

} // namespace support
