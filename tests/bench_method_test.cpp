#include "bench/judge/checks.hpp"
#include "bench/saved_run.hpp"
#include "cli/method.hpp"
#include "support/program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace bench = sockeye::bench;
namespace cli = sockeye::cli;

namespace {

using flag_set = std::set<std::string>;

/// What follows `add(` or `flag(` as a word in the sources that judge a result: the flags.
flag_set flags_in_code() {
    const std::regex raised(R"re(\badd\(\s*"([a-z-]+)",)re");
    flag_set found;
    const std::string folder = SOCKEYE_SOURCE_ROOT "/bench/judge";
    for (const auto& each : std::filesystem::directory_iterator(folder)) {
        if (each.path().extension() != ".cpp") {
            continue;
        }
        std::ifstream file(each.path());
        const std::string text((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
        for (std::sregex_iterator at(text.begin(), text.end(), raised), end; at != end; ++at) {
            found.insert((*at)[1]);
        }
    }
    return found;
}

/// Those that single rounds can have.
flag_set flags_in_schema() {
    const auto schema = nlohmann::json::parse(bench::run_schema());
    const auto& round =
        schema["properties"]["results"]["items"]["properties"]["rounds"]["items"]["properties"];
    return round["flags"]["items"]["enum"].get<flag_set>();
}

} // namespace

TEST_CASE("method: the page explains every flag that a result can have, and no other") {
    flag_set known = flags_in_code();
    CHECK(known.size() > 12);
    known.merge(flags_in_schema());
    flag_set explained;
    for (const auto& flag : bench::flag_meanings()) {
        CAPTURE(flag.id);
        CHECK(explained.insert(std::string(flag.id)).second);
        CHECK(flag.meaning.ends_with('.'));
        CHECK_FALSE(flag.remedy.empty());
        CHECK(cli::method_text().find("\n  " + std::string(flag.id)) != std::string::npos);
        CHECK(cli::method_manual().find("\n.It \"\\&") != std::string::npos);
    }
    CHECK(explained == known);
}

TEST_CASE("method: the text keeps to 80 columns, and help and manual print the page") {
    const auto text = cli::method_text();
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = text.find('\n', begin);
        CHECK_MESSAGE(end - begin <= 80, text.substr(begin, end - begin));
        begin = end + 1;
    }
    for (const auto* part :
         {"DEFINITIONS", "OPEN AND CLOSED LOOP", "ROUNDS AND ORDER", "STATISTICS", "VERDICTS",
          "CPU TIME", "PLACEMENT", "TRUST", "LIMITS"}) {
        CHECK(text.find("\n" + std::string(part) + "\n") != std::string::npos);
        CHECK(cli::method_manual().find("\n.Sh " + std::string(part) + "\n") != std::string::npos);
    }
    CHECK(support::run_program({"help", "method"}).output == text);
    CHECK(support::run_program({"manual", "method"}).output == cli::method_manual());
    CHECK(support::run_program({"manual", "bench"}).output.find("\n.Xr sockeye-method 7\n") !=
          std::string::npos);
}

TEST_CASE("method: mandoc finds nothing to warn of" *
          doctest::skip(!support::is_installed("mandoc"))) {
    const support::scratch_directory directory;
    const auto path = directory.file("sockeye-method.7");
    std::ofstream(path) << cli::method_manual();
    const auto linted = support::run({"mandoc", "-Tlint", "-W", "warning", path});
    CHECK(linted.output == "");
    CHECK(linted.status == 0);
}
