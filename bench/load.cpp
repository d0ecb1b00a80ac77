#include "bench/load.hpp"

namespace sockeye::bench {
namespace {

/// Where part `index` of `parts` begins, when `count` is dealt as evenly as can be.
std::size_t begin_of(std::size_t count, std::size_t index, std::size_t parts) noexcept {
    return count * index / parts;
}

std::size_t part_of(std::size_t count, std::size_t index, std::size_t parts) noexcept {
    return begin_of(count, index + 1, parts) - begin_of(count, index, parts);
}

} // namespace

load load::share_of(std::size_t index) const {
    load part = *this;
    part.connections = part_of(connections, index, threads);
    part.idle = part_of(idle, index, threads);
    part.rate_per_s = rate_per_s / static_cast<double>(threads);
    part.in_flight_max = part_of(in_flight_max, index, threads);
    part.threads = 1;
    return part;
}

std::size_t load::first_of(std::size_t index) const noexcept {
    return begin_of(connections, index, threads);
}

std::string_view name_of(mode how) noexcept {
    switch (how) {
    case mode::echo:
        return "echo";
    case mode::upload:
        return "upload";
    case mode::download:
        return "download";
    case mode::churn:
        return "churn";
    }
    return "";
}

std::string_view name_of(arrival law) noexcept {
    return law == arrival::poisson ? "poisson" : "constant";
}

std::string_view name_of(transport carrier) noexcept {
    switch (carrier) {
    case transport::tcp:
        return "tcp";
    case transport::udp:
        return "udp";
    case transport::unix_stream:
        return "unix";
    case transport::unix_datagram:
        return "unix-dgram";
    case transport::unix_seqpacket:
        return "unix-seqpacket";
    case transport::icmp:
    case transport::raw:
        break; // nothing here measures them
    }
    return "";
}

} // namespace sockeye::bench
