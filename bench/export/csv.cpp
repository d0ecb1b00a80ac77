#include "bench/export/documents.hpp"

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// A column, and where its value stands in a result or in a round.
struct csv_column {
    const char* title;
    const char* path;
};

constexpr csv_column of_result[] = {{"test", "/test"},
                                    {"placement", "/placement"},
                                    {"backend", "/backend"},
                                    {"transport", "/transport"},
                                    {"loop", "/loop"},
                                    {"connections", "/connections"},
                                    {"idle", "/idle"},
                                    {"pipeline", "/pipeline"},
                                    {"size_least_bytes", "/size_bytes/0"},
                                    {"size_most_bytes", "/size_bytes/1"},
                                    {"offered_per_s", "/offered_per_s"}};

constexpr csv_column of_round[] = {{"round", "/round"},
                                   {"slot", "/slot"},
                                   {"is_replaced", "/is_replaced"},
                                   {"is_repeat", "/is_repeat"},
                                   {"seconds", "/seconds"},
                                   {"messages", "/messages"},
                                   {"bytes", "/bytes"},
                                   {"offered", "/offered"},
                                   {"answered", "/answered"},
                                   {"overloaded", "/overloaded"},
                                   {"service_p50_ns", "/service_ns/p50"},
                                   {"service_p90_ns", "/service_ns/p90"},
                                   {"service_p99_ns", "/service_ns/p99"},
                                   {"service_p999_ns", "/service_ns/p999"},
                                   {"service_max_ns", "/service_ns/max"},
                                   {"response_p50_ns", "/response_ns/p50"},
                                   {"response_p90_ns", "/response_ns/p90"},
                                   {"response_p99_ns", "/response_ns/p99"},
                                   {"response_p999_ns", "/response_ns/p999"},
                                   {"response_max_ns", "/response_ns/max"},
                                   {"send_lag_p50_ns", "/send_lag_ns/p50"},
                                   {"send_lag_p99_ns", "/send_lag_ns/p99"},
                                   {"send_lag_max_ns", "/send_lag_ns/max"},
                                   {"server_cpu_ns_per_message", "/server/cpu_ns_per_message"},
                                   {"server_cpu_ns", "/server/cpu_ns"},
                                   {"server_user_ns", "/server/user_ns"},
                                   {"server_system_ns", "/server/system_ns"},
                                   {"server_run_delay_ns", "/server/run_delay_ns"},
                                   {"server_waits", "/server/syscalls/wait"},
                                   {"server_reads", "/server/syscalls/read"},
                                   {"server_writes", "/server/syscalls/write"},
                                   {"server_events", "/server/events"},
                                   {"server_rss_bytes", "/server/rss_bytes"},
                                   {"client_cpu_ns_per_message", "/client/cpu_ns_per_message"},
                                   {"client_busy", "/client/busy"},
                                   {"client_run_delay_ns", "/client/run_delay_ns"},
                                   {"host_busy", "/host/busy"},
                                   {"host_steal", "/host/steal"},
                                   {"host_softirq", "/host/softirq"},
                                   {"unfinished", "/unfinished"},
                                   {"lost", "/lost"},
                                   {"late", "/late"},
                                   {"duplicate", "/duplicate"},
                                   {"reordered", "/reordered"},
                                   {"wrong", "/wrong"}};

std::string quoted_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
        return text;
    }
    std::string made = "\"";
    for (const char c : text) {
        made += c == '"' ? std::string("\"\"") : std::string(1, c);
    }
    return made + "\"";
}

/// As the JSON has it; empty where it has nothing.
std::string csv_field(const json& from, const char* path) {
    const json::json_pointer place(path);
    if (!from.contains(place)) {
        return "";
    }
    const auto& value = from[place];
    return quoted_field(value.is_string() ? value.get<std::string>() : value.dump());
}

std::string errors_field(const json& round) {
    std::uint64_t sum = 0;
    for (const auto& [name, count] : round["errors"].items()) {
        sum += count.get<std::uint64_t>();
    }
    return std::to_string(sum);
}

std::string flags_field(const json& round) {
    std::string text;
    for (const auto& flag : round.value("flags", json::array())) {
        text += (text.empty() ? "" : " ") + flag.get<std::string>();
    }
    return quoted_field(text);
}

} // namespace

std::string csv_document(const run_view& run) {
    std::string text;
    for (const auto& column : of_result) {
        text += std::string(column.title) + ",";
    }
    for (const auto& column : of_round) {
        text += std::string(column.title) + ",";
    }
    text += "errors,flags\r\n";
    for (const auto& pass : run.passes) {
        for (const auto& lane : pass.lanes) {
            std::string head;
            for (const auto& column : of_result) {
                head += csv_field(*lane.result, column.path) + ",";
            }
            for (const auto& round : lane.rounds()) {
                text += head;
                for (const auto& column : of_round) {
                    text += csv_field(round, column.path) + ",";
                }
                text += errors_field(round) + "," + flags_field(round) + "\r\n";
            }
        }
    }
    return text;
}

} // namespace sockeye::bench::exporting
