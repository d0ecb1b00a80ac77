#pragma once

#include <sockeye/datagram.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace sockeye {

class loop;

/// The rules of a reply_policy that can be chosen.
struct reply_options {
    /// Ports above 1023 that are never answered: NFS, SSDP, WS-Discovery, mDNS, memcached, which
    /// were used to flood others.
    std::vector<std::uint16_t> refused_ports = {2049, 1900, 3702, 5353, 11211};
    /// The socket has to do with IPv4 and IPv6: mapped addresses are judged as what they stand for.
    bool dual_stack = false;

    // What holds for public addresses only: neither loopback nor Unix.
    std::uint32_t replies_per_second = 1000;
    /// To one /24 of IPv4 or /64 of IPv6.
    std::uint32_t replies_per_source = 10;
    /// Sources that are remembered, at most; beyond it new ones take the place of others by chance.
    std::size_t sources_max = 65536;
    /// Who sends back what we sent it last, more often than so many times a second, is a service
    /// that answers answers: it hears nothing more for quiet_time.
    std::uint32_t repeats_per_second = 100;
    duration quiet_time = std::chrono::seconds(60);
    /// Keys the hash of addresses, so that nobody can choose his neighbours in the table. Without
    /// one it is drawn by chance.
    std::optional<std::uint64_t> secret = {};
};

/// What a reply_policy says of one answer.
enum class reply_verdict : std::uint8_t {
    allowed,
    refused_port,    ///< of a small service or an amplifier, or our own
    refused_address, ///< nobody's, everybody's, or not where it says it is
    too_long,        ///< longer than its request, to a public address
    rate_limited,    ///< too many answers, to this source or to all
    looping,         ///< the sender answers our answers
};
inline constexpr std::size_t reply_verdicts = 6;

/// Which datagrams get an answer.
///
/// A sender's address is whatever the sender wrote: an answer can be made to go to somebody who
/// never asked, or to a second service that answers it in turn, for ever. Ports and addresses that
/// can only be forged or misused are refused everywhere; where a socket is bound to a public
/// address, an answer is no longer than its request, the rates of answers are bounded, and loops
/// are broken. Memory: about 5 MiB for each policy that judges public addresses, from the first on.
/// Threads: one at a time. See: RFC 862 and its kin, CERT CA-1996-01.
class reply_policy {
public:
    explicit reply_policy(reply_options options = {});
    /// The same with the chance of that loop: in a simulation each seed has its own.
    /// Errors: throws std::system_error where there is none.
    explicit reply_policy(loop& owner, reply_options options = {});
    reply_policy(reply_policy&&) noexcept;
    reply_policy& operator=(reply_policy&&) noexcept;
    ~reply_policy();

    /// Never answer what comes from this port: we listen on it ourselves.
    void add_own_port(std::uint16_t port) { own_ports_.push_back(port); }
    /// Never answer this address: it is an interface's broadcast address.
    void add_broadcast(const endpoint& address) { broadcasts_.push_back(address); }

    /// Whether `reply` may be sent in answer to `in`, which came to a socket bound to `bound`.
    ///
    /// Counts what it says. What is allowed counts as sent: ask once for each answer, and send it
    /// then. Its address of ours (datagram::local) makes the judgement of forged senders sharper.
    [[nodiscard]] reply_verdict judge(const datagram& in, const endpoint& bound, bytes reply,
                                      time_point now);

    /// How often each was said.
    [[nodiscard]] std::uint64_t count(reply_verdict of) const noexcept {
        return counts_[static_cast<std::size_t>(of)];
    }
    /// How often anything but `allowed` was said.
    [[nodiscard]] std::uint64_t refused() const noexcept;

private:
    struct tables;

    [[nodiscard]] reply_verdict judge_address(const endpoint& sender, const endpoint& local) const;
    [[nodiscard]] reply_verdict judge_public(const datagram& in, bytes reply, time_point now);
    [[nodiscard]] bool allows_port(std::uint16_t port) const noexcept;
    [[nodiscard]] bool allows_ip4(std::uint32_t address) const noexcept;

    reply_options options_;
    std::vector<std::uint16_t> own_ports_;
    std::vector<endpoint> broadcasts_;
    std::array<std::uint64_t, reply_verdicts> counts_ = {};
    std::unique_ptr<tables> tables_;
};

} // namespace sockeye
