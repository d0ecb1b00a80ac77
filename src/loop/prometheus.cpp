#include <sockeye/prometheus.hpp>

#include <sockeye/loop.hpp>

#include <array>
#include <cstdio>
#include <string_view>

namespace sockeye {
namespace {

struct count_row {
    std::string_view name;
    std::string_view help;
    std::uint64_t loop_counters::*value;
};

constexpr count_row rows[] = {
    {"turns", "Turns of the loop.", &loop_counters::turns},
    {"waits", "Calls of the backend that wait.", &loop_counters::waits},
    {"events", "Events that the waits brought.", &loop_counters::events},
    {"stale_events", "Events whose object was gone.", &loop_counters::stale_events},
    {"registrations", "Calls that changed what is watched.", &loop_counters::registrations},
    {"reads", "Receive calls.", &loop_counters::reads},
    {"writes", "Send calls.", &loop_counters::writes},
    {"would_blocks", "Receive and send calls that had to wait.", &loop_counters::would_blocks},
    {"read_bytes", "Bytes received.", &loop_counters::bytes_read},
    {"written_bytes", "Bytes sent.", &loop_counters::bytes_written},
    {"datagrams_read", "Datagrams received.", &loop_counters::datagrams_read},
    {"datagrams_written", "Datagrams sent.", &loop_counters::datagrams_written},
    {"datagrams_dropped", "Datagrams not sent.", &loop_counters::datagrams_dropped},
    {"datagram_errors", "Errors that the network reported of peers.",
     &loop_counters::datagram_errors},
    {"accepted", "Connections accepted.", &loop_counters::accepted},
    {"accept_errors", "Accept calls that failed.", &loop_counters::accept_errors},
    {"shed", "Connections closed at once for want of descriptors.", &loop_counters::shed},
    {"refused", "Connections closed at once because their source had its share.",
     &loop_counters::refused},
    {"opened", "Connections that came up, both ways.", &loop_counters::opened},
    {"closed", "Connections that ended.", &loop_counters::closed},
    {"posts", "Posted tasks that ran.", &loop_counters::posts},
    {"timers_fired", "Timers that fired.", &loop_counters::timers_fired},
};

void add_head(std::string& text, std::string_view name, std::string_view help,
              std::string_view type) {
    for (const auto part : {std::string_view("# HELP "), name, std::string_view(" "), help,
                            std::string_view("\n# TYPE "), name, std::string_view(" "), type,
                            std::string_view("\n")}) {
        text += part;
    }
}

void add_value(std::string& text, std::string_view name, std::string_view value) {
    text += name;
    text += ' ';
    text += value;
    text += '\n';
}

std::string number_of_seconds(duration length) {
    std::array<char, 40> text;
    const auto size = std::snprintf(text.data(), text.size(), "%.9g",
                                    std::chrono::duration<double>(length).count());
    return {text.data(), static_cast<std::size_t>(size)};
}

void add_histogram(std::string& text, const std::string& name, std::string_view help,
                   const lag_histogram& of) {
    add_head(text, name, help, "histogram");
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < lag_histogram::bucket_count; ++bucket) {
        below += of.count(bucket);
        const bool is_last = bucket + 1 == lag_histogram::bucket_count;
        const auto limit = is_last ? "+Inf" : number_of_seconds(lag_histogram::limit(bucket));
        add_value(text, name + "_bucket{le=\"" + limit + "\"}", std::to_string(below));
    }
    add_value(text, name + "_sum", number_of_seconds(of.sum()));
    add_value(text, name + "_count", std::to_string(below));
}

} // namespace

std::string prometheus(const loop& of) {
    const auto& counters = of.counters();
    std::string text;
    for (const auto& row : rows) {
        const auto name = "sockeye_" + std::string(row.name) + "_total";
        add_head(text, name, row.help, "counter");
        add_value(text, name, std::to_string(counters.*row.value));
    }
    add_head(text, "sockeye_queued_bytes", "Bytes in all send queues now.", "gauge");
    add_value(text, "sockeye_queued_bytes", std::to_string(counters.queued_bytes));
    add_head(text, "sockeye_longest_handler_seconds", "The longest that a handler took.", "gauge");
    add_value(text, "sockeye_longest_handler_seconds", number_of_seconds(counters.longest_handler));
    add_histogram(text, "sockeye_timer_lag_seconds", "How long after their deadlines timers fired.",
                  counters.timer_lag);
    add_histogram(text, "sockeye_turn_seconds", "How long the handlers of a turn took together.",
                  counters.turn_time);
    return text;
}

} // namespace sockeye
