#pragma once

#include "cli/service_state.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// What a service says to one peer over a stream: at once, or --delay later, in order.
///
/// What is held back is bounded: above the high mark of the stream's limits its peer is not read.
class speaker {
public:
    speaker(stream& link, service_state& state);
    speaker(const speaker&) = delete;
    speaker& operator=(const speaker&) = delete;
    ~speaker();

    void say(bytes data);
    void say(std::string_view text) { say(as_bytes(text)); }
    /// Calls `handler` once, from the loop, when the system has taken all that was said; never
    /// where the connection is over.
    void when_said(unique_function<void()> handler);
    /// Ends the conversation behind what was said: what the peer still says is read and dropped,
    /// so that it is never reset for that.
    void finish();
    /// The peer has ended its side, and there is nothing more to answer.
    void end();

    [[nodiscard]] stream& link() noexcept { return link_; }
    [[nodiscard]] service_state& state() noexcept { return state_; }

private:
    class backlog;
    /// What follows something that was said.
    using sequel = unique_function<void(stream&)>;

    void then(sequel act);

    stream& link_;
    service_state& state_;
    std::unique_ptr<backlog> later_; ///< where there is a delay
};

} // namespace sockeye::cli
