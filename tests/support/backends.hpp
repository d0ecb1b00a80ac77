#pragma once

#include "kernel/backend.hpp"
#include "support/ground.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace support {

inline constexpr auto both = sockeye::interest::readable | sockeye::interest::writable;

/// One backend under test, and the ground that made it.
class subject {
public:
    subject(ground& under, rows& covered);

    sockeye::backend* operator->() const noexcept { return made_.get(); }
    [[nodiscard]] sockeye::backend& operator*() const noexcept { return *made_; }
    [[nodiscard]] const sockeye::backend_entry& entry() const noexcept { return under_.entry(); }
    [[nodiscard]] bool offers_edge() const noexcept { return entry().features.edge; }
    [[nodiscard]] bool closes_early() const noexcept { return entry().features.early_close; }

    /// Makes the descriptors that it understands.
    [[nodiscard]] sockeye::kernel& system() const noexcept { return under_.system(); }
    [[nodiscard]] ground& under() const noexcept { return under_; }
    /// Connected stream sockets; `first` gets the lowest number that is free.
    [[nodiscard]] stream_pair pair() { return pairs_.make(); }
    [[nodiscard]] stream_pair tcp_pair();

    /// What is ready now, at most `room` of it.
    [[nodiscard]] std::vector<sockeye::event> look(std::size_t room = 256);
    /// What the first wait gives that does not give nothing.
    [[nodiscard]] std::vector<sockeye::event> await();
    /// Whether a wait of 20 ms gives nothing and lasts that long.
    [[nodiscard]] bool is_silent();

    /// Destroys the backend, and its registrations with it.
    void destroy() noexcept { made_.reset(); }

    void does_not_apply(std::string reason) { covered_.do_not_apply(std::move(reason)); }

private:
    [[nodiscard]] std::vector<sockeye::event> wait(std::size_t room, sockeye::duration timeout);

    ground& under_;
    rows& covered_;
    pair_source pairs_;
    std::unique_ptr<sockeye::backend> made_;
};

/// Runs `body` with a fresh backend of every ground. See: on_every_ground.
void on_every_backend(std::initializer_list<int> numbers, const std::function<void(subject&)>& body,
                      const std::optional<needs_real_system>& need = {});

/// Keys of events, in rising order; a failed CHECK shows them.
struct keys : std::vector<std::uint64_t> {
    using vector::vector;
    friend std::ostream& operator<<(std::ostream& out, const keys& shown);
};

[[nodiscard]] keys keys_of(const std::vector<sockeye::event>& events);

} // namespace support
