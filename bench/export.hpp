#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace sockeye::bench {

/// The forms that a run can be written in: `.html, .svg, .csv, .md, .hgrm or .json`.
[[nodiscard]] std::string export_endings();

/// Whether the end of a file's name says in which form a run is to be written there.
[[nodiscard]] bool is_export_name(std::string_view path);

/// Writes a run, the JSON that `bench` makes of it, to a file in the form that its name ends in;
/// whole or not at all.
///
/// Returns the names of the files: of `.hgrm` there is one for each backend in each test, `x.hgrm`
/// becomes `x-latency-epoll.hgrm`, unless the run has one alone. Throws cli::command_error with
/// exit_failed where a file cannot be written, and with exit_usage where the run does not hold
/// what that form shows. Requires: is_export_name(path).
std::vector<std::string> export_run(const std::string& json_text, const std::string& path);

/// The same for a run that is parsed already; `document` is what `json_text` says.
std::vector<std::string> export_run(const std::string& json_text, const nlohmann::json& document,
                                    const std::string& path);

} // namespace sockeye::bench
