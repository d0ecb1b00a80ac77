#pragma once

#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>

namespace sockeye {

/// How one direction between two simulated hosts carries what is sent. Probabilities are from 0
/// to 1.
struct link_options {
    duration latency = std::chrono::microseconds(100);
    duration jitter = duration::zero(); ///< added to the latency, evenly from 0 to this
    double loss = 0;      ///< of datagrams; a piece of a stream comes later, as if sent again
    double duplicate = 0; ///< of datagrams
    double reorder = 0;   ///< of datagrams: they are overtaken
    std::uint64_t bits_per_second = 0; ///< 0: as fast as can be
    std::size_t mtu = 1500;            ///< streams travel in pieces of this size
};

/// What a simulated system call does wrong, each with a probability from 0 to 1 for one call.
struct fault_options {
    double short_receive = 0;    ///< brings less than there is
    double short_send = 0;       ///< takes less than there is room for
    double would_block = 0;      ///< receive, send or accept is not ready after all
    double spurious_event = 0;   ///< a wait tells of something that is not ready
    double withheld_event = 0;   ///< a wait keeps something ready for the next one
    double interrupted_wait = 0; ///< a wait ends early with nothing, as by a signal
    double no_descriptors = 0;   ///< socket or accept finds the table of descriptors full
    double aborted_accept = 0;   ///< the connection died in the queue
    double no_buffers = 0;       ///< a send finds the system out of memory
    double reset = 0;            ///< a connection is reset by the network, at a send or receive
    double name_failure = 0;     ///< a look-up ends with temporary_failure
    double name_silence = 0;     ///< a look-up never ends by itself
};

/// How often each fault was injected.
struct fault_counters {
    std::uint64_t short_receives = 0;
    std::uint64_t short_sends = 0;
    std::uint64_t would_blocks = 0;
    std::uint64_t spurious_events = 0;
    std::uint64_t withheld_events = 0;
    std::uint64_t interrupted_waits = 0;
    std::uint64_t no_descriptors = 0;
    std::uint64_t aborted_accepts = 0;
    std::uint64_t no_buffers = 0;
    std::uint64_t resets = 0;
    std::uint64_t lost = 0; ///< datagrams; of streams, pieces that came late
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;
    std::uint64_t name_failures = 0;
    std::uint64_t name_silences = 0;

    [[nodiscard]] std::uint64_t total() const noexcept {
        return short_receives + short_sends + would_blocks + spurious_events + withheld_events +
               interrupted_waits + no_descriptors + aborted_accepts + no_buffers + resets + lost +
               duplicated + reordered + name_failures + name_silences;
    }
};

} // namespace sockeye
