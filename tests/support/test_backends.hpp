#pragma once

#include "kernel/backend.hpp"
#include "support/test_kernel.hpp"

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace support {

/// A backend around another one, which remembers who is watched. Tests derive from it.
class wrapped_backend : public sockeye::backend {
public:
    explicit wrapped_backend(std::unique_ptr<sockeye::backend> inner) : inner_(std::move(inner)) {}

    std::error_code add(int fd, sockeye::interest wanted, std::uint64_t key) override;
    std::error_code modify(int fd, sockeye::interest wanted, std::uint64_t key) override;
    std::error_code remove(int fd) override;
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override;
    [[nodiscard]] int native_handle() const noexcept override { return inner_->native_handle(); }

protected:
    struct member {
        std::uint64_t key = 0;
        sockeye::interest wanted = sockeye::interest::none;
        std::uint64_t arrived = 0; ///< bytes, when its readiness was told
        bool is_read_told = false;
        bool is_write_told = false;
        bool is_end_told = false;
    };

    std::unique_ptr<sockeye::backend> inner_;
    std::map<int, member> members_;
};

/// Where the stopped clock of a test_kernel says how long a wait may last, the wait does not last
/// but moves that clock. Remembers the time-outs.
class clocked_backend final : public wrapped_backend {
public:
    clocked_backend(std::unique_ptr<sockeye::backend> inner, test_kernel& clock)
        : wrapped_backend(std::move(inner)), clock_(clock) {}

    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override;

    std::vector<std::optional<sockeye::duration>> timeouts;

private:
    test_kernel& clock_;
};

/// Says of descriptors that are not ready that they are, in about one of `odds` waits each.
class lying_backend final : public wrapped_backend {
public:
    lying_backend(std::unique_ptr<sockeye::backend> inner, std::uint64_t seed, unsigned odds)
        : wrapped_backend(std::move(inner)), random_(seed), odds_(odds) {}

    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override;

    std::size_t lies = 0;

private:
    std::mt19937_64 random_;
    unsigned odds_;
};

/// Tells each change of a stream once: bytes that arrived, the end, and room after a send that
/// came short. What was told and not acted upon is not told again.
class once_backend final : public wrapped_backend {
public:
    once_backend(std::unique_ptr<sockeye::backend> inner, test_kernel& system)
        : wrapped_backend(std::move(inner)), system_(system) {}

    std::error_code modify(int fd, sockeye::interest wanted, std::uint64_t key) override;
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override;

    std::size_t kept_quiet = 0; ///< what a level-triggered backend would have told again

private:
    bool is_news(int fd, member& of, sockeye::event& told);
    std::size_t keep_news(std::span<sockeye::event> told);

    test_kernel& system_;
};

/// Asks a backend that offers it for edges, behind the back of a loop that counts on levels.
class edge_backend final : public wrapped_backend {
public:
    using wrapped_backend::wrapped_backend;

    std::error_code add(int fd, sockeye::interest wanted, std::uint64_t key) override;
    std::error_code modify(int fd, sockeye::interest wanted, std::uint64_t key) override;
};

} // namespace support
