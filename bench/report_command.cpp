#include "bench/report_command.hpp"

#include "bench/export.hpp"
#include "bench/run_document.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace sockeye::bench {
namespace {

/// A name of a file is shown whole: somebody will copy it.
constexpr std::size_t path_shown_max = 4096;

/// Refuses what has no form, and what would write over the run itself.
void check_output(const std::string& run, const std::string& path) {
    if (!is_export_name(path)) {
        cli::refuse_value("--output", path, "must end in " + export_endings());
    }
    std::error_code ignored;
    if (path == run || std::filesystem::equivalent(run, path, ignored)) {
        cli::refuse_value("--output", path, "is the run itself; choose another name");
    }
}

/// RUN's name, for a page: `run.json` gives `run.html`.
std::string page_name(const std::string& run) {
    const bool is_json = run.size() > 5 && run.ends_with(".json");
    return (is_json ? run.substr(0, run.size() - 5) : run) + ".html";
}

void write_reports(const std::string& run, std::vector<std::string> paths,
                   const cli::common_options& common) {
    if (paths.empty()) {
        if (run.ends_with(".html")) {
            throw cli::command_error(
                cli::exit_usage,
                fmt::format("{} is a page already; -o FILE names another form", cli::escape(run)));
        }
        paths.push_back(page_name(run));
    }
    for (const auto& path : paths) {
        check_output(run, path);
    }
    const auto document = read_run_document(run);
    for (const auto& path : paths) {
        for (const auto& name : export_run(document.text, document.value, path)) {
            if (!common.is_quiet) {
                cli::print(fmt::format("saved  {}\n", cli::escape(name, path_shown_max)));
            }
        }
    }
}

} // namespace

void add_report_command(CLI::App& root, cli::common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("report", "a saved run as a page, a picture or tables");
    command->footer("  sockeye report run.json                    a page: run.html\n"
                    "  sockeye report run.json -o charts.svg -o rounds.csv\n"
                    "  sockeye report run.json -o tables.md       to paste into an issue");
    auto* run = command->add_option("RUN", "a run that bench saved, or a page made of it");
    run->required();
    auto* outputs =
        command
            ->add_option("-o,--output", "write there, in the form that the name ends in: .html "
                                        ".svg .csv .md .hgrm .json; may be repeated")
            ->type_name("FILE")
            ->expected(1, CLI::detail::expected_max_vector_size)
            ->allow_extra_args(false);
    cli::add_common_options(*command, common);
    command->callback([=, &common, &exit_code] {
        write_reports(run->results().front(), outputs->results(), common);
        exit_code = cli::exit_done;
    });
}

} // namespace sockeye::bench
