#include "cli/commands.hpp"

#include "bench/bench_command.hpp"
#include "bench/compare_command.hpp"
#include "bench/doctor_command.hpp"
#include "bench/report_command.hpp"

namespace sockeye::cli {

std::span<add_command* const> commands() {
    static constexpr add_command* table[] = {
        add_serve_command,         add_connect_command,       add_send_command,
        add_ping_command,          add_fetch_command,         add_hostname_command,
        add_backends_command,      bench::add_bench_command,  bench::add_compare_command,
        bench::add_report_command, bench::add_doctor_command, add_completion_command,
        add_help_command,          add_manual_command,
    };
    return table;
}

std::vector<const CLI::App*> shown_commands(const CLI::App& root) {
    return root.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

} // namespace sockeye::cli
