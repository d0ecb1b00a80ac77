#include "bench/doctor_command.hpp"

#include "bench/doctor.hpp"

#include <unistd.h>

namespace sockeye::bench {

void add_doctor_command(CLI::App& root, cli::common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("doctor", "is this machine fit to measure on?");
    command->footer("  sockeye doctor            what it is, and what would disturb a run\n"
                    "  sockeye doctor -q         only what is wrong\n"
                    "  sockeye doctor --json     for a program; exit code 4: not fit");
    auto* json = command->add_flag("--json")->description("print a JSON object");
    cli::add_common_options(*command, common);
    command->get_option("--quiet")->description("print only what is wrong");
    command->get_option("--verbose")->description("print the flags of the CPU too, and the like");
    command->callback([&common, json, &exit_code] {
        const auto made = examine();
        const page_style style = {cli::wants_color(common, STDOUT_FILENO), common.is_verbose,
                                  common.is_quiet};
        cli::print(json->count() > 0 ? diagnosis_json(made)
                                     : cli::shown_on(STDOUT_FILENO, diagnosis_text(made, style)));
        exit_code = made.is_fit() ? cli::exit_done : cli::exit_untrusted;
    });
}

} // namespace sockeye::bench
