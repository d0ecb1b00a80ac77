#include "cli/commands.hpp"
#include "cli/host.hpp"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

namespace sockeye::cli {
namespace {

/// The usable ones first; within both halves best first, as the library has them.
std::vector<backend_info> ordered_backends() {
    const auto all = backends();
    std::vector<backend_info> ordered(all.begin(), all.end());
    std::stable_partition(ordered.begin(), ordered.end(),
                          [](const backend_info& entry) { return entry.is_usable; });
    return ordered;
}

/// What a loop takes that was not told otherwise: SOCKEYE_BACKEND, or the best.
backend_kind default_backend(const std::vector<backend_info>& ordered) {
    const auto named = chosen_backend({});
    return named == backend_kind::automatic ? ordered.front().kind : named;
}

std::string notes_of(const backend_info& entry) {
    const bool is_bounded_by_process =
        entry.kind == backend_kind::epoll || entry.kind == backend_kind::kqueue;
    if (!entry.is_usable || !is_bounded_by_process) {
        return std::string(entry.reason);
    }
    return fmt::format("{} (limit here: {})", entry.reason, read_descriptor_limits().soft);
}

std::string as_table(const std::vector<backend_info>& ordered) {
    const auto chosen = default_backend(ordered);
    std::string page = "  BACKEND   USABLE  NOTES\n";
    bool has_default = false;
    for (const auto& entry : ordered) {
        const bool is_default = entry.is_usable && entry.kind == chosen;
        has_default = has_default || is_default;
        page += fmt::format("{} {:<9} {:<7} {}\n", is_default ? '*' : ' ', entry.name,
                            entry.is_usable ? "yes" : "no", notes_of(entry));
    }
    if (!has_default) {
        return page + fmt::format("SOCKEYE_BACKEND names {}, which is not usable here\n",
                                  to_string(chosen));
    }
    return page + "* default here; choose with --backend NAME or SOCKEYE_BACKEND\n";
}

std::string as_json(const std::vector<backend_info>& ordered) {
    const auto chosen = default_backend(ordered);
    auto list = nlohmann::ordered_json::array();
    for (const auto& entry : ordered) {
        nlohmann::ordered_json features = {{"edge", entry.features.edge},
                                           {"early_close", entry.features.early_close}};
        list.push_back({{"name", entry.name},
                        {"usable", entry.is_usable},
                        {"default", entry.is_usable && entry.kind == chosen},
                        {"notes", notes_of(entry)},
                        {"features", std::move(features)}});
    }
    return list.dump(2) + "\n";
}

std::string as_names(const std::vector<backend_info>& ordered) {
    std::string page;
    for (const auto& entry : ordered) {
        page += entry.is_usable ? fmt::format("{}\n", entry.name) : "";
    }
    return page;
}

} // namespace

void add_backends_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("backends", "show what this build and kernel can use");
    command->footer("  sockeye backends\n"
                    "  for b in $(sockeye backends -q); do sockeye serve echo :0 -b $b & done");
    add_common_options(*command, common);
    auto* json = command->add_flag("--json")->description("print a JSON array");
    command->get_option("--quiet")->description("print the names of the usable ones only");
    json->excludes("--quiet");
    command->callback([&common, json, &exit_code] {
        const auto ordered = ordered_backends();
        if (json->count() > 0) {
            print(as_json(ordered));
        } else {
            print(common.is_quiet ? as_names(ordered) : as_table(ordered));
        }
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
