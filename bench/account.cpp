#include "bench/account.hpp"

#include <array>
#include <charconv>

namespace sockeye::bench {
namespace {

struct field {
    std::string_view name;
    std::uint64_t account::*member;
};

constexpr std::array<field, 10> fields = {{
    {"cpu_ns", &account::cpu_ns},
    {"user_ns", &account::user_ns},
    {"system_ns", &account::system_ns},
    {"waits", &account::waits},
    {"events", &account::events},
    {"reads", &account::reads},
    {"writes", &account::writes},
    {"registrations", &account::registrations},
    {"accepts", &account::accepts},
    {"would_blocks", &account::would_blocks},
}};

struct optional_field {
    std::string_view name;
    std::optional<std::uint64_t> system_counts::*member;
};

constexpr std::array<optional_field, 6> optional_fields = {{
    {"voluntary_switches", &system_counts::voluntary_switches},
    {"involuntary_switches", &system_counts::involuntary_switches},
    {"minor_faults", &system_counts::minor_faults},
    {"major_faults", &system_counts::major_faults},
    {"instructions", &system_counts::instructions},
    {"cycles", &system_counts::cycles},
}};

/// Reads `name=number` into its field; false where it is not of that form.
bool parse_field(std::string_view word, account& target) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
        return false;
    }
    const auto digits = word.substr(equals + 1);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
        return false;
    }
    for (const auto& known : fields) {
        if (known.name == word.substr(0, equals)) {
            target.*known.member = value;
        }
    }
    for (const auto& known : optional_fields) {
        if (known.name == word.substr(0, equals)) {
            target.counts.*known.member = value;
        }
    }
    return true;
}

} // namespace

system_counts difference(const system_counts& after, const system_counts& before) noexcept {
    system_counts result;
    for (const auto& each : optional_fields) {
        const auto& last = after.*each.member;
        const auto& first = before.*each.member;
        if (last && first && *last >= *first) {
            result.*each.member = *last - *first;
        }
    }
    return result;
}

system_counts sum(const system_counts& one, const system_counts& other) noexcept {
    system_counts result;
    for (const auto& each : optional_fields) {
        if (one.*each.member && other.*each.member) {
            result.*each.member = *(one.*each.member) + *(other.*each.member);
        }
    }
    return result;
}

account make_account(const process_times& used, const loop_counters& counters) {
    account made;
    made.cpu_ns = used.cpu_ns;
    made.user_ns = used.user_ns;
    made.system_ns = used.system_ns;
    made.waits = counters.waits;
    made.events = counters.events;
    made.reads = counters.reads;
    made.writes = counters.writes;
    made.registrations = counters.registrations;
    made.accepts = counters.accepted;
    made.would_blocks = counters.would_blocks;
    made.counts = used.counts;
    return made;
}

account difference(const account& after, const account& before) noexcept {
    account result;
    for (const auto& each : fields) {
        result.*each.member = after.*each.member - before.*each.member;
    }
    result.counts = difference(after.counts, before.counts);
    return result;
}

std::string format_account(const account& value) {
    std::string line = "stats";
    for (const auto& each : fields) {
        line.append(" ").append(each.name).append("=");
        line.append(std::to_string(value.*each.member));
    }
    for (const auto& each : optional_fields) {
        if (const auto& count = value.counts.*each.member) {
            line.append(" ").append(each.name).append("=").append(std::to_string(*count));
        }
    }
    return line;
}

std::optional<account> parse_account(std::string_view line) {
    constexpr std::string_view head = "stats";
    if (!line.starts_with(head)) {
        return std::nullopt;
    }
    line.remove_prefix(head.size());
    account read;
    while (!line.empty()) {
        if (line.front() != ' ') {
            return std::nullopt;
        }
        line.remove_prefix(1);
        const auto word = line.substr(0, line.find(' '));
        if (!parse_field(word, read)) {
            return std::nullopt;
        }
        line.remove_prefix(word.size());
    }
    return read;
}

} // namespace sockeye::bench
