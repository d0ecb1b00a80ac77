#include "bench/compare_command.hpp"

#include "bench/judge/compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include <unistd.h>

namespace sockeye::bench {
namespace {

/// `throughput<0.95`: fails where a test is surely that far from where it was.
struct ratio_limit {
    std::string test;
    char relation = '<';
    double value = 0;
    std::string text;
};

ratio_limit parse_limit(const std::string& text) {
    const auto place = text.find_first_of("<>");
    const auto refuse = [&text](std::string_view why) {
        cli::refuse_value("--fail-if", text, why);
    };
    if (place == std::string::npos || place == 0) {
        refuse("use for example 'throughput<0.95' or 'latency>1.1'");
    }
    ratio_limit found = {
        .test = text.substr(0, place), .relation = text[place], .value = 0, .text = text};
    const auto number = text.substr(place + 1);
    char* end = nullptr;
    found.value = std::strtod(number.c_str(), &end);
    const bool is_plain =
        !number.empty() && number.find_first_not_of("0123456789.") == std::string::npos;
    if (!is_plain || *end != '\0' || !(found.value > 0) || !std::isfinite(found.value)) {
        refuse("the limit must be a number above 0, such as 0.95");
    }
    return found;
}

/// A file, or `FILE:LANE` where there is no file of that whole name.
compared_side read_side(const std::string& text) {
    const auto colon = text.rfind(':');
    const bool has_lane = colon != std::string::npos && colon > 0 && colon + 1 < text.size() &&
                          text.find('/', colon) == std::string::npos;
    if (!has_lane) {
        return {read_run(text), std::nullopt};
    }
    compared_side side = {read_run(text.substr(0, colon)), text.substr(colon + 1)};
    const bool is_there = std::ranges::any_of(
        side.run.passes, [&](const saved_pass& pass) { return pass.find(*side.lane) != nullptr; });
    if (!is_there) {
        std::vector<std::string_view> names;
        for (const auto& pass : side.run.passes) {
            for (const auto& lane : pass.lanes) {
                if (std::ranges::find(names, lane.name) == names.end()) {
                    names.push_back(lane.name);
                }
            }
        }
        throw cli::command_error(
            cli::exit_usage, fmt::format("{} has no lane '{}'; there is {}",
                                         cli::escape(side.run.path), cli::escape(*side.lane),
                                         cli::escape(fmt::format("{}", fmt::join(names, ", ")))));
    }
    return side;
}

/// The first row that is surely beyond the limit; null where none is.
const comparison_row* find_crossed(const comparison_report& made, const ratio_limit& allowed) {
    bool is_known = false;
    for (const auto& row : made.rows) {
        if (row.test != allowed.test || !row.times_better.bounds) {
            continue;
        }
        is_known = true;
        const auto& bounds = *row.times_better.bounds;
        if (allowed.relation == '<' ? bounds.hi < allowed.value : bounds.lo > allowed.value) {
            return &row;
        }
    }
    if (!is_known) {
        cli::refuse_value("--fail-if", allowed.text, "no test of that name has an interval here");
    }
    return nullptr;
}

int check_limits(const comparison_report& made, const std::vector<ratio_limit>& limits) {
    int code = cli::exit_done;
    for (const auto& each : limits) {
        if (const auto* row = find_crossed(made, each)) {
            cli::print(fmt::format("limit    {} crossed by {}\n", each.text, row->name));
            code = cli::exit_limit_crossed;
        }
    }
    return code;
}

} // namespace

void add_compare_command(CLI::App& root, cli::common_options& common, int& exit_code) {
    auto* command =
        root.add_subcommand("compare", "two saved runs, or two lanes of one, with statistics");
    command->footer("  sockeye compare old.json new.json\n"
                    "  sockeye compare run.json:poll run.json:epoll\n"
                    "  sockeye compare old.json new.json --fail-if 'throughput<0.95'");
    auto* before = command->add_option("A", "a saved run, or FILE:LANE")->required();
    auto* after = command->add_option("B", "what it is compared with: above 1, B is better");
    after->required();
    auto* limits = command
                       ->add_option("--fail-if", "exit 3 where a test is surely beyond that, "
                                                 "such as 'throughput<0.95'; may be repeated")
                       ->type_name("EXPR")
                       ->expected(1, CLI::detail::expected_max_vector_size);
    auto* force = command->add_flag("--force")->description(
        "compare also where sizes, counts or transports differ");
    cli::add_common_options(*command, common);
    command->callback([=, &exit_code] {
        std::vector<ratio_limit> allowed;
        std::ranges::transform(limits->results(), std::back_inserter(allowed), parse_limit);
        const auto old_side = read_side(before->results().front());
        const auto new_side = read_side(after->results().front());
        const auto made = compare_runs(old_side, new_side, force->count() > 0);
        cli::print(cli::shown_on(STDOUT_FILENO, comparison_text(made, old_side, new_side)));
        exit_code = check_limits(made, allowed);
    });
}

} // namespace sockeye::bench
