#pragma once

#include "support/ground.hpp"
#include "support/socket_program.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// What a call of a socket program came to. Ports and descriptors have names in it, not numbers.
struct outcome {
    std::string text;
    std::vector<sockeye::event> events; ///< of a wait, in the order of the sockets
    bool is_stuffed = false;            ///< more was sent to a socket than fits there
    std::uint64_t repeats = 0; ///< sockets, as bits, that are watched by edges and shut for writing

    bool operator==(const outcome& other) const;
};

[[nodiscard]] std::string to_string(const outcome& one);

/// Runs socket programs on one ground. All it makes is gone with it.
class program_arm {
public:
    /// Programs on one machine that run with other `seed`s have other addresses.
    program_arm(ground& on, sockeye::datagram_batch& batch, std::uint64_t seed);
    program_arm(const program_arm&) = delete;
    program_arm& operator=(const program_arm&) = delete;
    ~program_arm();

    outcome perform(const step& one);

private:
    struct member {
        sockeye::owned_fd fd;
        sockeye::transport kind = sockeye::transport::tcp;
        unsigned born = 0;   ///< names the stream that it sends
        unsigned source = 0; ///< whose stream it receives, once it did
        std::size_t received = 0;
        bool is_shut = false;
        sockeye::interest wanted = sockeye::interest::none;
    };

    std::string call(const step& one, member& it);
    std::string make(const step& one);
    std::string accept(const step& one, member& it);
    std::string connect(const step& one, member& it);
    std::string send(const step& one, member& it);
    std::string send_to(const step& one, member& it);
    std::string fill(member& it);
    std::string receive(std::size_t amount, member& it);
    std::string receive_datagrams(member& it);
    std::string drain(member& it);
    std::string watch(const step& one, member& it);
    void wait(outcome& result);

    [[nodiscard]] bool is_stuffed() const;
    [[nodiscard]] member& at(int index) { return members_[static_cast<std::size_t>(index)]; }
    [[nodiscard]] sockeye::endpoint find(const step& one, sockeye::transport kind);
    [[nodiscard]] sockeye::endpoint path(std::string_view name, sockeye::transport kind);
    [[nodiscard]] sockeye::endpoint closed(sockeye::transport kind);
    [[nodiscard]] std::string describe(const sockeye::endpoint& name);
    [[nodiscard]] std::string describe(const sockeye::result<sockeye::endpoint>& name);
    [[nodiscard]] sockeye::bytes said_by(const member& it, std::size_t amount);
    [[nodiscard]] std::string heard(member& it, sockeye::bytes what);

    ground& on_;
    sockeye::kernel& system_;
    sockeye::datagram_batch& batch_;
    std::unique_ptr<sockeye::backend> backend_;
    std::string address_;
    std::array<member, program_sockets> members_;
    std::vector<sockeye::owned_fd> held_;
    std::map<sockeye::transport, sockeye::endpoint> closed_;
    std::map<std::string, std::string> names_;
    std::map<unsigned, std::size_t> sent_; ///< by whose it is
    std::map<unsigned, std::size_t> heard_;
    unsigned born_ = 0;
    bool is_stuffed_ = false;
    bool is_unsettled_ = false; ///< no wait since it was stuffed
    std::vector<std::byte> bytes_;
};

} // namespace support
