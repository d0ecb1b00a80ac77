#pragma once

#include "cli/service_host.hpp"
#include "cli/service_state.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/datagram_socket.hpp>
#include <sockeye/timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sockeye::cli {

/// What is not the same for every service of datagrams: the judgement of answers and their way
/// out, at once or --delay later.
class answer_batch {
public:
    /// Bytes held back at the same time, with what each answer costs; more are not answered.
    static constexpr std::size_t held_back_max = std::size_t{16} << 20;

    explicit answer_batch(service_state& state) : state_(state) {}
    answer_batch(const answer_batch&) = delete;
    answer_batch& operator=(const answer_batch&) = delete;

    /// Before the first datagram of a batch.
    void begin(datagram_socket& socket);
    /// False where there can be no answer, because it did not come whole; logs what came.
    [[nodiscard]] bool hear(const datagram& in);
    /// `reply` stays where it is until send().
    void answer(const datagram& in, bytes reply);
    void send();
    /// Room for the reply to the datagram of that number, which is kept for the next batch.
    std::string& room(std::size_t index);

private:
    struct held_back {
        time_point due;
        std::string data;
        endpoint peer;
        std::optional<endpoint> local;

        [[nodiscard]] std::size_t cost() const { return data.size() + sizeof(held_back); }
    };

    void send_now(std::span<const datagram> replies);
    void hold_back(const datagram& reply, time_point due);
    void wait();
    void send_due();

    service_state& state_;
    datagram_socket* socket_ = nullptr;
    endpoint bound_;
    std::vector<datagram> replies_;
    std::deque<std::string> rooms_;
    std::deque<held_back> later_;
    std::size_t later_cost_ = 0;
    std::optional<timer> timer_;
};

/// Answers the datagrams of one socket by a Rule: made with the options, called with a request and
/// room for a reply, it gives the reply, which may be a part of either; or none.
template <typename Rule>
class answering {
public:
    answering(service_state& state, const service_options& options)
        : rule_(options), batch_(state) {}

    void on_datagrams(datagram_socket& socket, std::span<const datagram> in) {
        batch_.begin(socket);
        for (std::size_t i = 0; i < in.size(); ++i) {
            if (batch_.hear(in[i])) {
                const std::optional<bytes> reply = rule_(in[i].data, batch_.room(i));
                if (reply) {
                    batch_.answer(in[i], *reply);
                }
            }
        }
        batch_.send();
    }

private:
    Rule rule_;
    answer_batch batch_;
};

/// Serves datagrams by a Rule. Errors: as sockeye::serve.
/// Lifetime: `options` and `state` outlive the host.
template <typename Rule>
result<endpoint> serve_answers(service_host& host, const endpoint& local,
                               const service_options& options, service_state& state) {
    auto where = host.serve_datagrams<answering<Rule>>(local, options.datagram, std::ref(state),
                                                       std::cref(options));
    if (where && !where->is_local()) {
        state.add_own_port(where->port());
    }
    return where;
}

/// The services that have both: by its connection or by its datagrams.
template <typename Dialogue, typename Rule>
result<endpoint> serve_both(service_host& host, const endpoint& local,
                            const service_options& options, service_state& state) {
    return local.is_stream() ? serve_dialogues<Dialogue>(host, local, options, state)
                             : serve_answers<Rule>(host, local, options, state);
}

} // namespace sockeye::cli
