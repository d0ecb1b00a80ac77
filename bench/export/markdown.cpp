#include "bench/export/documents.hpp"
#include "bench/export/markup.hpp"
#include "bench/export/number_table.hpp"

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// `text` as plain words of one line: nothing in it is a mark, a tag, a link or a mention.
std::string plain_words(std::string_view text, std::size_t length_max = 200) {
    std::string made;
    for (const char c : short_name(text, length_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            made += ' ';
        } else if (c == '<') {
            made += "&lt;";
        } else if (c == '&') {
            made += "&amp;";
        } else if (c == '@') {
            made += "&#64;";
        } else if (std::string_view("\\`*_[]|#~!").find(c) != std::string_view::npos) {
            made += std::string("\\") + c;
        } else {
            made += c;
        }
    }
    return made;
}

std::string markdown_table(const number_table& table) {
    std::string text = "| |";
    std::string rule = "\n|---|";
    for (const auto& each : table.columns) {
        text += " " + plain_words(each, 40) + " |";
        rule += "---:|";
    }
    text += rule + "\n";
    for (const auto& row : table.rows) {
        text += "| " + plain_words(row.title) + " |";
        for (const auto& cell : row.cells) {
            text += " " + plain_words(cell.value) +
                    (cell.bounds.empty() ? "" : " " + plain_words(cell.bounds)) + " |";
        }
        text += "\n";
    }
    return text;
}

} // namespace

std::string markdown_document(const run_view& run) {
    const auto& document = run.document;
    const auto& machine = document["machine"];
    const auto cpu = machine.contains("cpu") ? machine["cpu"].get<std::string>() + ", " : "";
    auto text = fmt::format("### sockeye bench, run {}\n\n", plain_words(run.text("id"), 20));
    if (const auto label = run.text("label"); !label.empty()) {
        text += plain_words(label) + "\n\n";
    }
    text += fmt::format("{}, {}{} CPUs, {}, sockeye {} ({}, {} {}). Trust {}.\n\n",
                        plain_words(run.text("started")), plain_words(cpu),
                        machine["cpus_online"].dump(),
                        plain_words(machine["kernel"].get<std::string>()),
                        plain_words(document["tool"]["version"].get<std::string>()),
                        plain_words(document["tool"]["build"].get<std::string>()),
                        plain_words(document["tool"]["compiler"].get<std::string>()),
                        plain_words(document["tool"]["flags"].get<std::string>()),
                        document["trust"]["grade"].get<std::string>());
    for (const auto& each : sentences(run)) {
        text += "- " + plain_words(each, 1000) + "\n";
    }
    for (const auto& pass : run.passes) {
        text += fmt::format("\n#### {}\n\n{}\n\n{}", plain_words(pass.title(), 60),
                            plain_words(pass.load()), markdown_table(numbers_of(pass)));
    }
    text += "\nTrust " + document["trust"]["grade"].get<std::string>() + "\n\n";
    for (const auto& flag : document["trust"]["flags"]) {
        text += fmt::format("- {}: {}\n", plain_words(flag["id"].get<std::string>(), 40),
                            plain_words(flag["text"].get<std::string>(), 400));
    }
    return text;
}

} // namespace sockeye::bench::exporting
