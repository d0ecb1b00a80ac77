#pragma once

#include "bench/histogram.hpp"

#include <sockeye/bytes.hpp>

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
struct tally {
    std::uint64_t messages = 0; ///< answered, and right where answers are verified
    std::uint64_t bytes = 0;    ///< of these answers
    histogram service;          ///< from the write to the last byte of the answer

    std::uint64_t wrong = 0;                     ///< answers with other bytes than were sent
    std::uint64_t lost = 0;                      ///< datagrams that were not answered in time
    std::uint64_t late = 0;                      ///< answers after that
    std::uint64_t duplicate = 0;                 ///< answers to what had been answered
    std::uint64_t unfinished = 0;                ///< on their way when the round ended
    std::map<std::string, std::uint64_t> errors; ///< connections that failed, by what was said
    std::optional<mismatch> first_mismatch;

    void note_wrong(mismatch what) {
        ++wrong;
        if (!first_mismatch) {
            first_mismatch = std::move(what);
        }
    }

    /// Begins the window: what was answered until now is warm-up. Faults are kept.
    void begin_window() noexcept {
        messages = 0;
        bytes = 0;
        service.clear();
    }
};

} // namespace sockeye::bench
