#include "cli/service_host.hpp"

#include "cli/common.hpp"

#include <memory>

namespace sockeye::cli {
namespace {

traffic traffic_of(const loop_counters& did) {
    return {.accepted = did.accepted,
            .open = did.opened - did.closed,
            .datagrams = did.datagrams_read,
            .bytes_in = did.bytes_read,
            .bytes_out = did.bytes_written,
            .errors = did.accept_errors + did.shed + did.datagrams_dropped,
            .refused = did.refused,
            .unsent_bytes = did.queued_bytes,
            .waits = did.waits,
            .events = did.events,
            .reads = did.reads,
            .writes = did.writes,
            .registrations = did.registrations,
            .would_blocks = did.would_blocks};
}

/// What collect() waits for.
struct collection {
    std::size_t left;
    traffic sum;
    unique_function<void(const traffic&)> then;

    void take(const traffic& part) {
        sum += part;
        if (--left == 0) {
            then(sum);
        }
    }
};

} // namespace

traffic& traffic::operator+=(const traffic& other) noexcept {
    accepted += other.accepted;
    open += other.open;
    datagrams += other.datagrams;
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    errors += other.errors;
    refused += other.refused;
    unsent_bytes += other.unsent_bytes;
    waits += other.waits;
    events += other.events;
    reads += other.reads;
    writes += other.writes;
    registrations += other.registrations;
    would_blocks += other.would_blocks;
    return *this;
}

/// What the options of a thread's loop hold, so that it dies with that loop: the program's own loop
/// hears of that, and of exceptions that left a handler.
class service_host::thread_watcher {
public:
    explicit thread_watcher(service_host& host) : host_(&host), to_(host.own_.remote()) {}
    thread_watcher(thread_watcher&& other) noexcept
        : host_(std::exchange(other.host_, nullptr)), to_(std::move(other.to_)) {}
    thread_watcher& operator=(thread_watcher&&) = delete;
    ~thread_watcher() {
        if (host_ != nullptr) {
            to_.post([host = host_] { host->lose_thread(nullptr); });
        }
    }

    void operator()(const std::exception_ptr& problem) const {
        to_.post([host = host_, problem] { host->lose_thread(problem); });
    }

private:
    service_host* host_;
    remote to_;
};

service_host::service_host(loop& own, options how)
    : own_(own), reuse_port_(how.reuse_port), on_threads_gone_(std::move(how.on_threads_gone)) {
    if (how.threads < 2) {
        return;
    }
    loop_group_options wanted;
    wanted.threads = how.threads;
    wanted.make_loop_options = [&](std::size_t) {
        loop_options each;
        each.backend = how.backend;
        each.queued_bytes_max = how.queued_bytes_max;
        each.on_exception = thread_watcher(*this);
        return each;
    };
    threads_left_ = how.threads;
    auto made = loop_group::open(std::move(wanted));
    if (!made) {
        throw command_error(exit_failed, fmt::format("cannot have {} threads with a loop each: {}",
                                                     how.threads, made.error().message()));
    }
    group_ = std::move(made).value();
}

void service_host::lose_thread(const std::exception_ptr& problem) {
    if (problem != nullptr) {
        problem_ = problem;
        group_->stop();
    } else if (--threads_left_ == 0 && on_threads_gone_) {
        on_threads_gone_();
    }
}

service_host::~service_host() {
    if (group_) {
        group_->stop();
    }
}

void service_host::close() {
    for (auto& each : servers_) {
        each.close();
    }
    for (auto& each : sockets_) {
        each.pause();
    }
    if (group_) {
        group_->close();
    }
}

std::error_code service_host::finish() {
    if (!group_) {
        return {};
    }
    group_->stop();
    const auto error = group_->join();
    if (problem_ != nullptr) {
        std::rethrow_exception(std::exchange(problem_, nullptr));
    }
    return error;
}

std::size_t service_host::connection_count() const {
    std::size_t count = group_ ? group_->connection_count() : 0;
    for (const auto& each : servers_) {
        count += each.connection_count();
    }
    return count;
}

void service_host::collect(unique_function<void(const traffic&)> then) {
    const std::size_t threads = group_ ? group_->size() : 0;
    auto asked = std::make_shared<collection>(
        collection{.left = threads + 1, .sum = {}, .then = std::move(then)});
    for (std::size_t index = 0; index < threads; ++index) {
        const bool is_asked =
            group_->remote(index).post([asked, home = own_.remote()](loop& there) mutable {
                const auto part = traffic_of(there.counters());
                home.post([asked = std::move(asked), part] { asked->take(part); });
            });
        if (!is_asked) {
            asked->take({});
        }
    }
    asked->take(traffic_of(own_.counters()));
}

traffic service_host::total() const {
    auto sum = traffic_of(own_.counters());
    for (std::size_t index = 0; group_ && index < group_->size(); ++index) {
        sum += traffic_of(group_->counters(index));
    }
    return sum;
}

result<endpoint> service_host::keep(result<server> made) {
    if (!made) {
        return made.error();
    }
    servers_.push_back(std::move(made).value());
    return servers_.back().local_endpoint();
}

result<endpoint> service_host::keep(result<datagram_socket> made) {
    if (!made) {
        return made.error();
    }
    sockets_.push_back(std::move(made).value());
    return sockets_.back().local_endpoint();
}

} // namespace sockeye::cli
