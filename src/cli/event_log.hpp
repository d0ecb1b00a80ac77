#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// What -v shows on standard error: a line for each connection and message.
///
/// At most so many lines a second of each kind; how many were left out is said instead. Whatever
/// comes from a peer is escaped. Lines that nobody reads are dropped, never waited for.
/// Threads: any.
class event_log {
public:
    enum class kind : std::uint8_t { connection, message, refusal };

    explicit event_log(std::size_t lines_per_second_max)
        : lines_per_second_max_(lines_per_second_max) {}

    void connected(time_point now, std::string_view peer);
    void closed(time_point now, std::string_view peer, std::string_view why);
    void received(time_point now, std::string_view peer, bytes data);
    void refused(time_point now, std::string_view peer, std::string_view why);

    /// Says how many lines were left out since it was last said.
    void flush();

private:
    struct allowance {
        time_point began;
        std::size_t written = 0;
        std::size_t suppressed = 0;
    };

    void write(kind what, time_point now, std::string_view line);
    void tell_suppressed(kind what);

    std::size_t lines_per_second_max_;
    std::mutex guard_; // of what follows
    std::array<allowance, 3> allowances_ = {};
};

/// The name of a peer as the log has it: `127.0.0.1:52125`, a path, or `an unnamed socket`, also
/// for null.
[[nodiscard]] std::string peer_name(const endpoint* peer);

} // namespace sockeye::cli
