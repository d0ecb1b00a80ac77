#include "bench/export.hpp"

#include "bench/export/documents.hpp"
#include "cli/common.hpp"
#include "cli/part_file.hpp"

#include <array>
#include <filesystem>
#include <system_error>

namespace sockeye::bench {
namespace {

using exporting::named_text;
using exporting::run_view;

constexpr std::array<std::string_view, 6> export_forms = {".html", ".svg",  ".csv",
                                                          ".md",   ".hgrm", ".json"};

/// Empty where the name ends in none of them, or is nothing else.
std::string_view form_of(std::string_view path) {
    const auto slash = path.rfind('/');
    const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    for (const auto each : export_forms) {
        if (name.size() > each.size() && name.ends_with(each)) {
            return each;
        }
    }
    return {};
}

std::string document_of(std::string_view form, const run_view& run) {
    if (form == ".html") {
        return exporting::html_document(run);
    }
    if (form == ".svg") {
        return exporting::svg_document(run);
    }
    return form == ".csv" ? exporting::csv_document(run) : exporting::markdown_document(run);
}

std::vector<named_text> files_of(const std::string& json_text, const nlohmann::json& document,
                                 const std::string& path) {
    const auto form = form_of(path);
    if (form == ".json") {
        return {{path, json_text}};
    }
    const run_view run(document);
    if (form != ".hgrm") {
        return {{path, document_of(form, run)}};
    }
    auto files = exporting::hgrm_documents(run, path);
    if (files.empty()) {
        throw cli::command_error(
            cli::exit_usage, fmt::format("{}: the run holds no histograms; a report in HTML may "
                                         "have left them out, the saved JSON has them",
                                         cli::escape(path)));
    }
    return files;
}

/// Leaves nothing behind where that fails.
void write_whole(const named_text& made) {
    cli::part_file file(made.path, cli::part_file::existing::replace);
    file.open();
    const auto part = file.is_partial() ? file.place() : std::string();
    try {
        file.write(made.text);
        file.finish();
    } catch (const cli::command_error&) {
        std::error_code ignored;
        if (!part.empty()) {
            std::filesystem::remove(part, ignored);
        }
        throw;
    }
}

} // namespace

std::string export_endings() {
    return ".html, .svg, .csv, .md, .hgrm or .json";
}

bool is_export_name(std::string_view path) {
    return !form_of(path).empty();
}

std::vector<std::string> export_run(const std::string& json_text, const nlohmann::json& document,
                                    const std::string& path) {
    std::vector<std::string> names;
    for (const auto& each : files_of(json_text, document, path)) {
        write_whole(each);
        names.push_back(each.path);
    }
    return names;
}

std::vector<std::string> export_run(const std::string& json_text, const std::string& path) {
    return export_run(json_text, nlohmann::json::parse(json_text), path);
}

} // namespace sockeye::bench
