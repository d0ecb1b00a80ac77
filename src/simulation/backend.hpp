#pragma once

#include "kernel/backend.hpp"
#include "kernel/watch_table.hpp"
#include "simulation/host.hpp"

#include <cstdint>
#include <vector>

namespace sockeye::simulated {

/// The multiplexer of a simulated host. With `features` it can be made as poor as select.
class backend final : public sockeye::backend {
public:
    backend(host& of, backend_features features) : host_(of), features_(features) {}

    std::error_code add(int fd, interest wanted, std::uint64_t key) override;
    std::error_code modify(int fd, interest wanted, std::uint64_t key) override;
    std::error_code remove(int fd) override;
    /// Lets virtual time pass where nothing is ready and nobody drives the host.
    /// Errors: resource_deadlock_would_occur where nothing can ever happen.
    result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) override;

    /// Whether a wait would bring anything.
    [[nodiscard]] bool is_ready() noexcept;

private:
    /// What is known of a watched descriptor.
    struct memory {
        std::uint64_t serial = 0; ///< of what it stood for when it was watched
        bool is_new = true;       ///< whatever is ready is news
        news_count told;
    };

    [[nodiscard]] memory& memory_of(int fd) { return memories_[static_cast<std::size_t>(fd)]; }
    void note_news(int fd);
    void note_told(int fd) noexcept;
    [[nodiscard]] bool was_woken(int fd, const watched& entry) noexcept;
    [[nodiscard]] bool is_news(int fd, const watched& entry, event& told) noexcept;
    std::size_t collect(std::span<event> ready);
    void tell(int fd, watched& entry, const event& told, std::span<event> ready,
              std::size_t& filled);
    void lie(std::span<event> ready, std::size_t& filled);
    void count_wake_up();

    host& host_;
    backend_features features_;
    watch_table table_;
    std::vector<memory> memories_;
    int first_ = 0; ///< where the next round begins, so that a short `ready` starves nobody
    std::uint64_t progress_ = 0; ///< of the host, at the last wait that brought anything
    unsigned vain_wake_ups_ = 0;
};

/// The row of the table that a loop over a simulated host is made with.
[[nodiscard]] const backend_entry& simulated_entry() noexcept;

} // namespace sockeye::simulated
