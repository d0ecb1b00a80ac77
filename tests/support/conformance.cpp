#include "support/conformance.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <map>
#include <utility>

#include <doctest/doctest.h>

namespace support {
namespace {

/// The groups of the specification; of a complete one, rows that nobody tests are listed.
struct group {
    std::string_view name;
    int first;
    int last;
    bool is_complete = false;

    [[nodiscard]] bool holds(int number) const noexcept {
        return first <= number && number <= last;
    }
};
constexpr group groups[] = {
    {"A backends", 1, 60, true},      {"B loop", 61, 78},         {"C TCP", 79, 150, true},
    {"D UDP", 151, 177, true},        {"E Unix", 178, 199, true}, {"F timers", 200, 216},
    {"G signals", 217, 227},          {"H wake-ups", 228, 239},   {"I shutdown", 240, 247, true},
    {"J exhaustion", 248, 258, true}, {"K fork", 259, 264},       {"L names", 265, 274},
    {"M coroutines", 275, 289},
};

enum class outcome { not_applicable, passed, failed };

struct finding {
    outcome is = outcome::not_applicable;
    std::string reason;
};

/// All that was noted while the tests ran.
struct ledger {
    std::vector<std::string> backends; ///< in the order in which they came up
    std::map<std::pair<int, std::string>, finding> findings;
    std::map<int, std::string> exempted;
    int failures = 0;
    bool is_complete = false; ///< no test case was left out of this run
};

ledger& book() {
    static ledger instance;
    return instance;
}

void note(int number, const std::string& backend, const finding& fresh) {
    auto& known = book().backends;
    if (std::ranges::find(known, backend) == known.end()) {
        known.push_back(backend);
    }
    const auto [place, is_new] = book().findings.try_emplace({number, backend}, fresh);
    if (!is_new && fresh.is > place->second.is) {
        place->second = fresh;
    }
}

const finding* find(int number, const std::string& backend) {
    const auto place = book().findings.find({number, backend});
    return place == book().findings.end() ? nullptr : &place->second;
}

std::string joined(const std::vector<std::string>& words) {
    std::string line;
    for (const auto& word : words) {
        line += (line.empty() ? "" : ", ") + word;
    }
    return line;
}

int count(const group& of, const std::string& backend, outcome wanted) {
    return static_cast<int>(std::ranges::count_if(book().findings, [&](const auto& noted) {
        const auto& [key, found] = noted;
        return of.holds(key.first) && key.second == backend && found.is == wanted;
    }));
}

int exempted_in(const group& of) {
    return static_cast<int>(std::ranges::count_if(
        book().exempted, [&](const auto& entry) { return of.holds(entry.first); }));
}

/// A line for each group that this program tests, a column for each backend.
void print_counts() {
    std::cout << "\nconformance rows passed ";
    for (const auto& backend : book().backends) {
        std::cout << std::setw(14) << backend;
    }
    std::cout << '\n';
    for (const auto& each : groups) {
        const bool is_tested = std::ranges::any_of(
            book().findings, [&](const auto& noted) { return each.holds(noted.first.first); });
        if (!is_tested) {
            continue;
        }
        std::cout << "  " << std::left << std::setw(22) << each.name << std::right;
        for (const auto& backend : book().backends) {
            const int apart = count(each, backend, outcome::not_applicable) + exempted_in(each);
            const auto passed = std::to_string(count(each, backend, outcome::passed));
            std::cout << std::setw(14)
                      << (apart == 0 ? passed : passed + " (" + std::to_string(apart) + " n/a)");
        }
        std::cout << '\n';
    }
}

/// One line for each row and reason, with the backends that share it.
void print_reasons() {
    std::map<std::pair<int, std::string>, std::vector<std::string>> shared;
    std::map<int, std::vector<std::string>> failed;
    for (const auto& [key, found] : book().findings) {
        if (found.is == outcome::not_applicable) {
            shared[{key.first, found.reason}].push_back(key.second);
        } else if (found.is == outcome::failed) {
            failed[key.first].push_back(key.second);
        }
    }
    for (const auto& [number, reason] : book().exempted) {
        shared[{number, reason}].push_back("all");
    }
    for (const auto& [key, backends] : shared) {
        std::cout << "  row " << key.first << " does not apply (" << joined(backends)
                  << "): " << key.second << '\n';
    }
    for (const auto& [number, backends] : failed) {
        std::cout << "  row " << number << " FAILED (" << joined(backends) << ")\n";
    }
}

/// Only where this program is the one that tests the group.
void print_missing(const group& of) {
    const auto& backends = book().backends;
    const bool is_here = std::ranges::any_of(backends, [&](const auto& backend) {
        return count(of, backend, outcome::passed) * 2 > of.last - of.first;
    });
    for (int number = of.first; is_here && number <= of.last; ++number) {
        std::vector<std::string> missing;
        for (const auto& backend : backends) {
            if (find(number, backend) == nullptr && !book().exempted.contains(number)) {
                missing.push_back(backend);
            }
        }
        if (!missing.empty()) {
            const bool is_all = missing.size() == backends.size();
            std::cout << "  row " << number << " is not tested ("
                      << (is_all ? "all" : joined(missing)) << ")\n";
        }
    }
}

void print_book() {
    if (book().backends.empty()) {
        return;
    }
    print_counts();
    print_reasons();
    for (const auto& each : groups) {
        if (each.is_complete && book().is_complete) {
            print_missing(each);
        }
    }
    std::cout.flush();
}

/// Hears of every failed assertion, and of the end of the run.
class recorder final : public doctest::IReporter {
public:
    explicit recorder(const doctest::ContextOptions&) {}

    void log_assert(const doctest::AssertData& told) override {
        const bool is_warning = (told.m_at & doctest::assertType::is_warn) != 0;
        book().failures += told.m_failed && !is_warning ? 1 : 0;
    }
    void log_message(const doctest::MessageData& told) override {
        book().failures += (told.m_severity & doctest::assertType::is_warn) == 0 ? 1 : 0;
    }
    void test_case_exception(const doctest::TestCaseException&) override { ++book().failures; }

    /// The table comes after the summary, which other reporters print later than this.
    void test_run_end(const doctest::TestRunStats& run) override {
        book().is_complete = run.numTestCasesPassingFilters == run.numTestCases;
        std::atexit(print_book);
    }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_case_start(const doctest::TestCaseData&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("conformance", 1, recorder);

} // namespace

rows::rows(std::initializer_list<int> numbers, std::string_view backend)
    : numbers_(numbers), backend_(backend), failures_before_(book().failures) {}

rows::~rows() {
    const bool has_failed = book().failures != failures_before_ || std::uncaught_exceptions() > 0;
    finding found = {outcome::passed, reason_};
    if (has_failed) {
        found.is = outcome::failed;
    } else if (!reason_.empty()) {
        found.is = outcome::not_applicable;
    }
    for (const int number : numbers_) {
        note(number, backend_, found);
    }
}

exemption::exemption(int number, std::string reason) {
    book().exempted.emplace(number, std::move(reason));
}

} // namespace support
