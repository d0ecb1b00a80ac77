#pragma once

#include "bench/machine/host.hpp"
#include "bench/machine/system_files.hpp"

#include <vector>

namespace sockeye::bench {

/// Where one CPU is. Cores and caches are named by the lowest CPU that shares them.
struct cpu_place {
    unsigned cpu = 0;
    unsigned core = 0;
    unsigned socket = 0;
    unsigned node = 0;       ///< of memory
    unsigned last_cache = 0; ///< the one before memory
};

/// How the CPUs of a machine lie to each other. Empty where the system does not tell: then each
/// is taken for a core of its own.
struct topology {
    std::vector<cpu_place> cpus; ///< those online, by number

    [[nodiscard]] const cpu_place* find(unsigned cpu) const noexcept;
    /// One CPU, or two threads of one core.
    [[nodiscard]] bool share_core(unsigned one, unsigned other) const noexcept;
    [[nodiscard]] std::size_t count_cores() const;
    [[nodiscard]] std::size_t count_sockets() const;
};

[[nodiscard]] topology read_topology(const system_files& files = {});

/// What server and client run on; an empty list: wherever the system likes.
struct cpu_choice {
    host::cpu_list server;
    host::cpu_list client;
};

/// Fills those lists of `given` that are empty with one CPU each of those allowed.
///
/// Best first: two cores; neither of them the first CPU, which serves most interrupts, nor on its
/// core; the same memory; the same cache; the lowest numbers. Nothing is chosen where nothing is
/// allowed.
[[nodiscard]] cpu_choice choose_cpus(const host::cpu_list& allowed, const topology& known,
                                     const cpu_choice& given = {});

/// Adds CPUs to those of the client until they are `count`, as far as the server leaves any.
///
/// Best first: not on a core of the server; not on one that the client has; not on the core of the
/// first CPU; the memory, then the cache, of the client's first CPU; the lowest numbers.
void add_client_cpus(const host::cpu_list& allowed, const topology& known, std::size_t count,
                     cpu_choice& chosen);

} // namespace sockeye::bench
