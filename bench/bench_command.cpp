#include "bench/bench_command.hpp"

#include "bench/calibration.hpp"
#include "bench/control_client.hpp"
#include "bench/document.hpp"
#include "bench/export.hpp"
#include "bench/options.hpp"
#include "bench/run.hpp"
#include "bench/server.hpp"
#include "bench/table.hpp"
#include "bench/thread_search.hpp"
#include "cli/host.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <random>
#include <set>

#include <fmt/chrono.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

/// How long the machine is watched before anything is measured on it.
constexpr duration look_around = std::chrono::milliseconds(300);
/// A name of a file is shown whole: somebody will copy it.
constexpr std::size_t saved_name_max = 4096;

/// The width of the terminal as the shell tells it.
std::size_t columns() {
    constexpr std::size_t least = 80;
    const char* text = std::getenv("COLUMNS");
    std::size_t width = 0;
    if (text != nullptr) {
        const std::string_view digits = text;
        std::from_chars(digits.data(), digits.data() + digits.size(), width);
    }
    return std::max(width, least);
}

progress::form progress_form(const cli::common_options& common) {
    if (common.is_quiet) {
        return progress::form::none;
    }
    const char* terminal = std::getenv("TERM");
    const bool is_dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
    return cli::is_terminal(STDERR_FILENO) && !is_dumb ? progress::form::terminal
                                                       : progress::form::lines;
}

/// One line on the standard error, dropped where nobody reads it.
void talk(const std::string& text) {
    cli::write_talk(text, std::chrono::seconds(1));
}

/// Prints the result; false where nobody could take it.
bool print_result(const std::string& text) {
    const auto error = cli::write_output(text);
    if (error) {
        talk(fmt::format("sockeye bench: standard output: {}\n", error.message()));
    }
    return !error;
}

/// Writes the document wherever it was asked for; false where a file could not be written.
bool save_all(const options& asked, const report& made) {
    const auto document = to_json(made);
    bool is_saved = true;
    if (asked.is_json) {
        is_saved = print_result(document);
    }
    std::vector<std::string> paths = asked.outputs;
    if (paths.empty() && !asked.is_unsaved && !asked.is_json && !made.passes.empty()) {
        paths.push_back(fmt::format("sockeye-{}.json", made.id));
    }
    for (const auto& path : paths) {
        try {
            for (const auto& name : export_run(document, path)) {
                asked.is_json || cli::write_output(
                                     fmt::format("saved  {}\n", cli::escape(name, saved_name_max)));
            }
        } catch (const cli::command_error& error) {
            talk(fmt::format("sockeye bench: {}; use --no-save or -o FILE\n", error.what()));
            is_saved = false;
        }
    }
    return is_saved;
}

/// Says why the run ended early, and gives the exit code of the run.
int conclude(const plan& whole, const run_record& record) {
    if (!record.failure.empty()) {
        talk(fmt::format("sockeye bench: {}\n", record.failure));
        return cli::exit_failed;
    }
    if (record.interrupt != 0) {
        const std::size_t rounds = record.passes.empty() ? 0 : record.passes.back().rounds();
        const std::size_t passes = std::max<std::size_t>(record.passes.size(), 1);
        talk(fmt::format("sockeye bench: interrupted after {} of {} rounds of test {} of {}\n",
                         rounds, whole.rounds.to_string(), passes, whole.passes.size()));
        return 128 + record.interrupt;
    }
    return cli::exit_done;
}

/// The machine, and the libraries of the peers. Nothing of this process is pinned yet.
circumstances look_at(const options& asked, const plan& whole) {
    circumstances around;
    around.facts = read_machine();
    if (asked.has_host_name) {
        if (auto name = cli::host_name()) {
            around.facts.host_name = std::move(name).value();
        }
    }
    const std::string program = host::program_path();
    std::set<std::string_view> told;
    for (const auto& test : whole.passes) {
        for (const auto& each : test.lanes) {
            if (each.program != nullptr && told.insert(each.program->name).second) {
                if (auto version = version_of(*each.program, program)) {
                    around.libraries.emplace_back(each.program->name, std::move(*version));
                }
            }
        }
    }
    return around;
}

/// The client's own ceiling matters where answers over streams are counted.
std::optional<calibration> measure_ceiling(const plan& whole) {
    host::place({whole.client_cpus, false});
    return calibrate(ring(whole.seed));
}

/// Says which limits were crossed, and gives the exit code of that.
int judge_gates(const options& asked, const report& made) {
    bool is_crossed = false;
    for (const auto& each : made.gates) {
        talk(fmt::format("sockeye bench: {}\n", to_string(each)));
        is_crossed = is_crossed || each.is_crossed || each.lane.empty();
    }
    if (is_crossed) {
        return cli::exit_limit_crossed;
    }
    if (asked.is_strict && made.grade.grade == 'C') {
        talk("sockeye bench: the result is not to be trusted: see what is marked GRAVE\n");
        return cli::exit_untrusted;
    }
    return cli::exit_done;
}

/// Throws where a file could not be written after all has been measured.
void check_outputs(const options& asked) {
    namespace fs = std::filesystem;
    for (const auto& path : asked.outputs) {
        std::error_code ignored;
        const auto folder = fs::path(path).parent_path();
        const std::string place = folder.empty() ? "." : folder.string();
        std::string why;
        if (fs::is_directory(path, ignored)) {
            why = "is a directory";
        } else if (!fs::is_directory(place, ignored)) {
            why = "there is no such directory";
        } else if (::access(place.c_str(), W_OK) != 0) {
            why = "its directory cannot be written to";
        }
        if (!why.empty()) {
            throw cli::command_error(cli::exit_failed,
                                     fmt::format("{}: {}", cli::escape(path, saved_name_max), why));
        }
    }
}

/// Limits on tests that are not measured could never be crossed.
void check_limits(const options& asked, const plan& whole) {
    for (const auto& each : asked.gates) {
        const bool is_known = each.test.empty() ||
                              std::any_of(whole.passes.begin(), whole.passes.end(),
                                          [&](const pass& test) { return test.test == each.test; });
        if (!is_known) {
            cli::refuse_value("--fail-if", each.text, "names a test that is not run");
        }
    }
}

/// Everything that may be refused is, before anything is started.
plan make_whole_plan(const options& asked) {
    plan made = make_plan(asked.wanted);
    check_outputs(asked);
    check_limits(asked, made);
    if (made.control) {
        try_control_port(*made.control);
    }
    host::watch_interrupts();
    if (!asked.wanted.has_auto_threads) {
        return made;
    }
    const auto allowed = host::allowed_cpus();
    const std::size_t cpus = allowed.empty() ? host::online_cpus() : allowed.size();
    const std::size_t connections = made.passes.front().what.connections;
    return plan_with_threads(asked.wanted, threads_max(asked.wanted, cpus, connections));
}

int measure(const options& asked, const cli::common_options& common) {
    const plan whole = make_whole_plan(asked);
    circumstances around = look_at(asked, whole);
    const std::string id = fmt::format("{:04x}", std::random_device()() & 0xffff);
    const std::string started =
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    const run_record nothing;
    report head = make_report(whole, nothing, around);
    head.id = id;
    head.started = started;
    if (!common.is_quiet) {
        asked.is_json ? talk(header_text(head)) : void(cli::write_output(header_text(head)));
    }
    around.before = watch_surroundings(look_around);
    const activity at_start = read_activity();
    progress shown(asked.shown.value_or(progress_form(common)), whole.estimate());
    around.ceiling = measure_ceiling(whole);
    const run_record record = run_plan(whole, shown);
    around.throttled = between(at_start, read_activity()).throttled;
    report made = make_report(whole, record, around);
    made.id = id;
    made.started = started;
    made.label = asked.label;
    made.gates = check_gates(asked.gates, made.passes);
    made.command = host::command_line();
    bool is_printed = true;
    if (!asked.is_json) {
        const table_style style = {columns(), common.is_verbose,
                                   cli::wants_color(common, STDOUT_FILENO)};
        is_printed = print_result(cli::shown_on(STDOUT_FILENO, result_text(made, style)));
    }
    const int code = conclude(whole, record);
    const bool is_saved = save_all(asked, made);
    if (code != cli::exit_done || !is_saved || !is_printed) {
        return code != cli::exit_done ? code : int(cli::exit_failed);
    }
    return judge_gates(asked, made);
}

/// Here, what keeps it from beginning ends it like what happens in the run.
int measure_or_end(const options& asked, const cli::common_options& common) {
    try {
        return measure(asked, common);
    } catch (const interrupted&) {
        return 128 + host::interrupt();
    } catch (const round_failed& failed) {
        throw cli::command_error(cli::exit_failed, failed.what());
    }
}

/// What the hidden command is told.
struct server_request {
    std::string backend;
    std::string carrier;
    std::string how = "echo";
    std::uint64_t seed = 1;
    duration burn = {};
};

void add_server_command(CLI::App& root, int& exit_code) {
    auto asked = std::make_shared<server_request>();
    auto* command =
        root.add_subcommand(std::string(server_command), "a server under test; bench starts it");
    command->group("");
    command->add_option("--backend", asked->backend, "what it waits with")->required();
    command->add_option("--transport", asked->carrier, "what it serves on")->required();
    command->add_option("--mode", asked->how, "what it does");
    command->add_option("--seed", asked->seed, "of what it sends");
    cli::add_value(*command, "--burn", asked->burn, "TIME", "CPU time wasted for each read",
                   [](std::string_view text) { return cli::parse_time(text); });
    command->callback([asked, &exit_code] {
        run_server({parse_backend(asked->backend).value(), parse_transport(asked->carrier),
                    parse_mode(asked->how), asked->seed, asked->burn});
        exit_code = cli::exit_done;
    });
}

} // namespace

void add_bench_command(CLI::App& root, cli::common_options& common, int& exit_code) {
    auto asked = std::make_shared<options>();
    auto* command = root.add_subcommand("bench", "measure echo over every event backend");
    command->footer(
        "  sockeye bench                      four tests, every backend and a control\n"
        "  sockeye bench --quick              the same in less than a minute\n"
        "  sockeye bench --one-core --peers   CPU per message, beside other libraries\n"
        "  sockeye bench -c 500 -s 4KiB -d 3  one test of your own\n"
        "  sockeye bench -r 50k/s -d 5s       an open loop: response times at a rate\n"
        "  sockeye bench tcp://10.0.0.2:7     a server that runs already\n"
        "  sockeye bench :7007 --control :7001   one that tells its CPU time: serve --control");
    add_options(*command, *asked);
    cli::add_common_options(*command, common);
    command->callback([asked, &common, &exit_code] {
        static_cast<void>(cli::chosen_backend(common)); // a bad SOCKEYE_BACKEND is never silent
        finish_options(*asked);
        exit_code = measure_or_end(*asked, common);
    });
    add_server_command(root, exit_code);
}

} // namespace sockeye::bench
