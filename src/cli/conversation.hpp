#pragma once

#include "cli/service_host.hpp"
#include "cli/service_state.hpp"
#include "cli/speaker.hpp"

#include <sockeye/session.hpp>
#include <sockeye/stream.hpp>

#include <functional>
#include <optional>
#include <string>

namespace sockeye::cli {

/// Why a connection ended, for the log.
[[nodiscard]] std::string ending_of(const close_info& info);

/// One connection of a service: a Dialogue, and around it what all services do alike.
///
/// A Dialogue is made with the speaker and the options, says on_data(bytes) and on_end().
template <typename Dialogue>
class conversation {
public:
    conversation(service_state& state, const service_options& options)
        : state_(state), options_(options) {}

    void on_open(stream& link) {
        voice_.emplace(link, state_);
        if (state_.log != nullptr) {
            const auto peer = link.peer_endpoint();
            peer_ = peer_name(peer ? &*peer : nullptr);
            state_.log->connected(link.loop().now(), peer_);
        }
        dialogue_.emplace(*voice_, options_);
    }
    void on_data(stream& link, bytes in) {
        if (state_.log != nullptr) {
            state_.log->received(link.loop().now(), peer_, in);
        }
        dialogue_->on_data(in);
    }
    void on_end(stream&) { dialogue_->on_end(); }
    void on_close(stream& link, const close_info& info) {
        if (state_.log != nullptr) {
            state_.log->closed(link.loop().now(), peer_, ending_of(info));
        }
        if (state_.on_served) {
            state_.on_served();
        }
    }

private:
    service_state& state_;
    const service_options& options_;
    std::string peer_; ///< for the log
    std::optional<speaker> voice_;
    std::optional<Dialogue> dialogue_;
};

/// Serves connections with a Dialogue each. Errors: as sockeye::serve.
/// Lifetime: `options` and `state` outlive the host.
template <typename Dialogue>
result<endpoint> serve_dialogues(service_host& host, const endpoint& local,
                                 const service_options& options, service_state& state) {
    return host.serve_streams<conversation<Dialogue>>(local, options.stream, std::ref(state),
                                                      std::cref(options));
}

} // namespace sockeye::cli
