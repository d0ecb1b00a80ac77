#pragma once

#include <sockeye/endpoint.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// An echo server without sockeye to compare with: programs of the folder bench/peers.
///
/// They lie beside the sockeye program or where the build leaves them; which of them were built
/// depends on the libraries that were found.
struct peer {
    std::string_view name;             ///< of its lane
    std::string_view package;          ///< Debian's, with its library; empty: it needs none
    std::string_view stream_program;   ///< for TCP and Unix sockets; empty: it serves none
    std::string_view datagram_program; ///< likewise
    std::string_view extra_word;       ///< behind the name of the transport

    [[nodiscard]] bool serves(transport carrier) const noexcept {
        return !program_for(carrier).empty();
    }
    [[nodiscard]] std::string_view program_for(transport carrier) const noexcept;
    /// Whether all of its programs are there for `program`, the path of sockeye's.
    [[nodiscard]] bool is_built(const std::string& program) const;
    /// How to start it. Nothing where it is not built, or does not serve that.
    [[nodiscard]] std::optional<std::vector<std::string>> command(transport carrier,
                                                                  const std::string& program) const;
};

/// The version of the library that a peer is built on, as its program tells it. Nothing where it
/// has none, or was not built.
[[nodiscard]] std::optional<std::string> version_of(const peer& what, const std::string& program);

/// All that there can be: the libraries, then what is written by hand.
[[nodiscard]] std::span<const peer> all_peers() noexcept;

} // namespace sockeye::bench
