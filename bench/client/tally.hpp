#pragma once

#include "bench/client/timeline.hpp"
#include "bench/histogram.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/time.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace sockeye::bench {

/// The first answer that was not what had been sent.
struct mismatch {
    std::uint64_t connection = 0;
    std::uint64_t offset = 0; ///< in the bytes of the connection; datagrams: of the datagram
    std::string expected;     ///< hex, at most eight bytes from there on
    std::string got;
};

/// Hex of at most eight bytes from `offset` on, in pairs.
[[nodiscard]] std::string hex_excerpt(bytes data, std::size_t offset);

/// What a client has counted.
///
/// Of an open loop a message belongs to the window it is due in, whenever its answer comes; of a
/// closed loop, to the one it is answered in.
struct tally {
    std::uint64_t messages = 0; ///< answered, and right where answers are verified
    std::uint64_t bytes = 0;    ///< of these answers
    std::uint64_t offered = 0;  ///< due in the window of an open loop
    histogram service; ///< from the call that hands it to the system to the last byte of its answer
    histogram response; ///< of an open loop: from the time it was due to that byte
    histogram send_lag; ///< of an open loop: from the time it was due to the first attempt
    timeline over_time;

    std::uint64_t wrong = 0;                     ///< answers with other bytes than were sent
    std::uint64_t lost = 0;                      ///< datagrams that were not answered in time
    std::uint64_t late = 0;                      ///< answers after that
    std::uint64_t duplicate = 0;                 ///< answers to what had been answered
    std::uint64_t reordered = 0;                 ///< answers after one to a later message
    std::uint64_t unfinished = 0;                ///< on their way when the round ended
    std::map<std::string, std::uint64_t> errors; ///< connections that failed, by what was said
    std::optional<mismatch> first_mismatch;
    bool has_overflowed = false;  ///< more were on their way than load::in_flight_max
    time_point window_start = {}; ///< see begin_window()

    void note_wrong(mismatch what) {
        ++wrong;
        if (!first_mismatch) {
            first_mismatch = std::move(what);
        }
    }

    /// A message of an open loop is sent, or waits behind others of its connection.
    void note_due(time_point due, time_point now) {
        if (due >= window_start) {
            ++offered;
            const auto lag = nanoseconds(now - due);
            send_lag.record(lag);
            over_time.note_send_lag(now, lag);
        }
    }

    /// The answer of a message that the system took at `taken`.
    void note_answer(time_point taken, time_point now) {
        ++messages;
        over_time.note_answers(now);
        service.record(nanoseconds(now - taken));
    }
    /// The same of an open loop.
    void note_answer(time_point due, time_point taken, time_point now) {
        ++messages;
        over_time.note_answers(now);
        if (due >= window_start) {
            service.record(nanoseconds(now - taken));
            response.record(nanoseconds(now - due));
        }
    }
    /// A message of an open loop that has no answer at the end counts with its age.
    void note_unfinished(time_point due, time_point now) {
        if (due >= window_start) {
            response.record(nanoseconds(now - due));
        }
    }

    /// Begins the window: what came before was warm-up. Faults are kept.
    void begin_window(time_point now) noexcept {
        messages = 0;
        bytes = 0;
        offered = 0;
        service.clear();
        response.clear();
        send_lag.clear();
        window_start = now;
    }

    /// For keeping: see histogram::shrink().
    void shrink() {
        service.shrink();
        response.shrink();
        send_lag.shrink();
    }

    /// Adds what another thread has counted.
    void merge(const tally& other);

    [[nodiscard]] static std::uint64_t nanoseconds(duration time) noexcept {
        return static_cast<std::uint64_t>(std::max<duration::rep>(time.count(), 0));
    }
};

} // namespace sockeye::bench
