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

/// The groups of the specification that are held up to the tests. Widen it group by group.
struct group {
    char name;
    int first;
    int last;
};
constexpr group groups[] = {{'A', 1, 60}};

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

void print_counts() {
    std::cout << "\nconformance rows    passed  failed  not applicable\n";
    for (const auto& backend : book().backends) {
        auto not_applicable = static_cast<int>(book().exempted.size());
        int passed = 0;
        int failed = 0;
        for (const auto& [key, found] : book().findings) {
            if (key.second == backend) {
                passed += found.is == outcome::passed ? 1 : 0;
                failed += found.is == outcome::failed ? 1 : 0;
                not_applicable += found.is == outcome::not_applicable ? 1 : 0;
            }
        }
        std::cout << "  " << std::left << std::setw(16) << backend << std::right << std::setw(8)
                  << passed << std::setw(8) << failed << std::setw(16) << not_applicable << '\n';
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

void print_missing() {
    for (const auto& [name, first, last] : groups) {
        for (int number = first; number <= last; ++number) {
            std::vector<std::string> missing;
            for (const auto& backend : book().backends) {
                if (find(number, backend) == nullptr && !book().exempted.contains(number)) {
                    missing.push_back(backend);
                }
            }
            if (!missing.empty()) {
                const bool is_all = missing.size() == book().backends.size();
                std::cout << "  row " << number << " of group " << name << " is not tested ("
                          << (is_all ? "all" : joined(missing)) << ")\n";
            }
        }
    }
}

void print_book() {
    if (book().backends.empty()) {
        return;
    }
    print_counts();
    print_reasons();
    if (book().is_complete) {
        print_missing();
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
