#include "bench/doctor.hpp"

#include "cli/text.hpp"
#include "cli/values.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace sockeye::bench {
namespace {

constexpr duration watched = std::chrono::seconds(1);
constexpr std::size_t value_column = 24;
constexpr std::size_t meaning_column = 46;

/// In the order in which they are shown; a heading has no key.
constexpr fact_words word_rows[] = {
    {"", "Processor", ""},
    {"cpu", "model", ""},
    {"cpu_flags", "flags", "what the CPU can do"},
    {"cpus_online", "CPUs online", "threads that run at the same time"},
    {"cpus_allowed", "CPUs allowed", "those this process may use"},
    {"sockets", "sockets", ""},
    {"cores", "cores", "a thread more on one adds little"},
    {"smt", "hyper-threading", "threads of a core slow each other"},
    {"smt_siblings", "threads of a core", "never server and client on one line"},
    {"caches", "caches", "of CPU 0"},
    {"numa_nodes", "memory nodes", "with more than one, place matters"},
    {"governor", "frequency governor", "performance keeps the frequency high"},
    {"scaling_driver", "frequency driver", "what sets the frequency"},
    {"turbo", "turbo", "faster while cool: rounds differ"},
    {"cpuidle_driver", "idle driver", "decides what waking up a CPU costs"},
    {"isolated_cpus", "isolated CPUs", "left alone by the scheduler"},
    {"nohz_full_cpus", "CPUs without tick", "run one task without interruption"},
    {"", "System", ""},
    {"kernel", "kernel", ""},
    {"preemption", "preemption", "how soon the kernel gives way"},
    {"kernel_command_line", "booted with", ""},
    {"virtual", "virtual machine", "neighbours may take time away"},
    {"hypervisor", "hypervisor", ""},
    {"product", "product", ""},
    {"clocksource", "clock source", "tsc: reading the time is cheap"},
    {"mitigations", "mitigations", "make system calls dearer"},
    {"vulnerabilities", "vulnerabilities", "of the CPU, and what is done about them"},
    {"hostname", "host name", ""},
    {"", "Memory and limits", ""},
    {"mem_bytes", "memory", ""},
    {"huge_pages", "huge pages", "set aside"},
    {"transparent_huge_pages", "transparent ones", "when the kernel takes them"},
    {"cgroup_cpu_max", "CPU limit", "of the control group: time, and per what"},
    {"cgroup_memory_max", "memory limit", "of the control group"},
    {"nofile", "descriptors", "most of a process (ulimit -Hn)"},
    {"nofile_soft", "descriptors now", "until it asks for more (ulimit -n)"},
    {"nr_open", "descriptors, root", "what root may raise the limit to"},
    {"", "Network", ""},
    {"tcp_congestion", "TCP congestion", "paces TCP, on loopback too"},
    {"tcp_rmem", "TCP read buffers", "least, default, most"},
    {"tcp_wmem", "TCP write buffers", "least, default, most"},
    {"somaxconn", "listen backlog", "connections that wait, at most"},
    {"ip_local_port_range", "client ports", "bound connections from one address"},
    {"mtu", "MTU of loopback", "bytes of a packet"},
    {"io_uring_disabled", "io_uring disabled", "0: no; 2: for everybody"},
    {"perf_event_paranoid", "perf restriction", "2: own program, user space only"},
    {"", "Just now", ""},
    {"load_average", "load", "tasks, over 1, 5 and 15 minutes"},
    {"running_tasks", "running tasks", "beside this one"},
    {"psi_cpu_avg10", "CPU pressure", "% of 10 s in which a task waited"},
};

/// Shown only where more was asked for.
bool is_long(std::string_view key) {
    return key == "cpu_flags" || key == "mitigations";
}

struct value_writer {
    std::string_view key;

    std::string operator()(const std::string& text) const { return cli::escape(text, 1000); }
    std::string operator()(std::uint64_t number) const {
        const bool is_size = key == "mem_bytes" || key == "cgroup_memory_max";
        return is_size ? cli::format_size(number) : std::to_string(number);
    }
    std::string operator()(double number) const { return fmt::format("{:.1f}", number); }
    std::string operator()(bool is_so) const { return is_so ? "yes" : "no"; }
    std::string operator()(const std::vector<std::string>& lines) const {
        std::string text;
        for (const auto& line : lines) {
            text += (text.empty() ? "" : "\n") + cli::escape(line, 400);
        }
        return text.empty() ? "none" : text;
    }
    std::string operator()(const host::cpu_list& cpus) const {
        return cpus.empty() ? "unknown" : fmt::format("{}", fmt::join(cpus, ","));
    }
};

/// The name, the value, and beside or below it the meaning.
std::string fact_text(const fact_words& row, const machine_fact& fact) {
    const auto value = std::visit(value_writer{fact.key}, fact.value);
    auto text = fmt::format("  {:<{}}", row.label, value_column - 2);
    const bool is_short =
        value.size() + 2 <= meaning_column - value_column && value.find('\n') == std::string::npos;
    if (row.meaning.empty()) {
        return text + cli::wrapped(value, value_column);
    }
    if (is_short) {
        text += fmt::format("{:<{}}", value, meaning_column - value_column);
        return text + cli::wrapped(row.meaning, meaning_column);
    }
    text += cli::wrapped(value, value_column);
    return text + std::string(value_column, ' ') +
           cli::wrapped(fmt::format("({})", row.meaning), value_column);
}

std::string facts_text(const machine& known, bool is_verbose) {
    const auto facts = all_facts(known);
    std::string text;
    for (const auto& row : word_rows) {
        if (row.key.empty()) {
            text += fmt::format("{}{}\n", text.empty() ? "" : "\n", row.label);
            continue;
        }
        const auto fact = std::ranges::find(facts, row.key, &machine_fact::key);
        if (fact != facts.end() && (is_verbose || !is_long(row.key))) {
            text += fact_text(row, *fact);
        }
    }
    return text;
}

struct level_words {
    const char* shown;
    const char* stored;
    int color;
};

level_words level_of(fitness found) {
    switch (found) {
    case fitness::good:
        return {"ok", "ok", 32};
    case fitness::unknown:
        return {"?", "unknown", 0};
    case fitness::note:
        return {"note", "note", 33};
    case fitness::grave:
        break;
    }
    return {"GRAVE", "grave", 31};
}

std::string check_text(const check& each, bool has_color) {
    constexpr std::size_t text_column = 22;
    const auto words = level_of(each.found);
    auto level = fmt::format("{:<6}", words.shown);
    if (has_color && words.color != 0) {
        level = fmt::format("\x1b[{}m{}\x1b[0m", words.color, level);
    }
    auto text = fmt::format("  {}{:<14}", level, each.id) + cli::wrapped(each.text, text_column);
    if (!each.remedy.empty()) {
        text +=
            std::string(text_column, ' ') + "mend: " + cli::wrapped(each.remedy, text_column + 6);
    }
    return text;
}

std::size_t count_checks(const diagnosis& made, fitness found) {
    return static_cast<std::size_t>(std::ranges::count(made.checks, found, &check::found));
}

std::string conclusion(const diagnosis& made) {
    const auto notes = count_checks(made, fitness::note);
    if (!made.is_fit()) {
        return cli::wrapped("NOT FIT: with what is marked GRAVE a run gives no verdicts (grade C)",
                            0);
    }
    if (notes > 0) {
        return cli::wrapped(
            fmt::format("fit, with {}: a run here has at best grade B ('sockeye help "
                        "method' says what the notes mean)",
                        cli::counted(notes, "note")),
            0);
    }
    return "fit: a run here can have grade A\n";
}

} // namespace

const fact_words* find_fact_words(std::string_view key) noexcept {
    const auto row = std::ranges::find(word_rows, key, &fact_words::key);
    return key.empty() || row == std::end(word_rows) ? nullptr : &*row;
}

bool diagnosis::is_fit() const noexcept {
    return count_checks(*this, fitness::grave) == 0;
}

diagnosis examine() {
    diagnosis made;
    made.facts = read_machine();
    made.build = read_build();
    made.checks = check_machine(made.facts, made.build);
    const auto around = check_surroundings(watch_surroundings(watched));
    made.checks.insert(made.checks.end(), around.begin(), around.end());
    return made;
}

std::string diagnosis_text(const diagnosis& made, const page_style& style) {
    std::string text;
    if (!style.is_quiet) {
        const auto& build = made.build;
        text +=
            fmt::format("sockeye {} ({}, {} {}){}\n\n", build.version, build.type, build.compiler,
                        build.flags, build.revision.empty() ? "" : " " + build.revision);
        text += facts_text(made.facts, style.is_verbose);
        text += "\nChecks\n";
    }
    for (const auto& each : made.checks) {
        if (!style.is_quiet || each.found >= fitness::note) {
            text += check_text(each, style.has_color);
        }
    }
    return text + (style.is_quiet ? "" : "\n") + conclusion(made);
}

std::string diagnosis_json(const diagnosis& made) {
    nlohmann::ordered_json checks = nlohmann::ordered_json::array();
    for (const auto& each : made.checks) {
        nlohmann::ordered_json one = {
            {"id", each.id}, {"found", level_of(each.found).stored}, {"text", each.text}};
        if (!each.remedy.empty()) {
            one["remedy"] = each.remedy;
        }
        if (each.value) {
            one["value"] = *each.value;
        }
        checks.push_back(std::move(one));
    }
    nlohmann::ordered_json facts;
    for (const auto& fact : all_facts(made.facts)) {
        std::visit([&](const auto& value) { facts[std::string(fact.key)] = value; }, fact.value);
    }
    const nlohmann::ordered_json document = {{"schema", "sockeye.doctor/1"},
                                             {"fit", made.is_fit()},
                                             {"machine", std::move(facts)},
                                             {"checks", std::move(checks)}};
    return document.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

} // namespace sockeye::bench
