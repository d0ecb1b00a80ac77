#include "support/conformance.hpp"

#include <cstdlib>
#include <exception>
#include <fstream>
#include <map>
#include <utility>

#include <doctest/doctest.h>

namespace support {
namespace {

/// The weightier one stays where a row is tested more than once.
enum class verdict { not_applicable, passed, failed };

constexpr std::string_view name_of(verdict which) {
    constexpr std::string_view names[] = {"inapplicable", "passed", "failed"};
    return names[static_cast<std::size_t>(which)];
}

struct finding {
    verdict is = verdict::not_applicable;
    std::string reason;
};

/// All that was noted while the tests ran.
struct ledger {
    std::map<std::pair<int, std::string>, finding> findings;
    std::map<int, std::string> exempted;
    int failures = 0;
};

ledger& book() {
    static ledger instance;
    return instance;
}

void note(int number, const std::string& backend, const finding& fresh) {
    const auto [place, is_new] = book().findings.try_emplace({number, backend}, fresh);
    if (!is_new && fresh.is > place->second.is) {
        place->second = fresh;
    }
}

/// Appends a line for each finding: what, row, backend and reason, separated by tabs.
void write_book() {
    const char* path = std::getenv("SOCKEYE_CONFORMANCE");
    if (path == nullptr) {
        return;
    }
    std::ofstream file(path, std::ios::app);
    for (const auto& [key, found] : book().findings) {
        file << name_of(found.is) << '\t' << key.first << '\t' << key.second << '\t'
             << (found.is == verdict::not_applicable ? found.reason : "") << '\n';
    }
    for (const auto& [number, reason] : book().exempted) {
        file << "inapplicable\t" << number << "\tall\t" << reason << '\n';
    }
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

    /// Written at the very end, which a child that was forked for its test never comes to.
    void test_run_end(const doctest::TestRunStats&) override { std::atexit(write_book); }

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

rows::rows(std::vector<int> numbers, std::string_view backend)
    : numbers_(std::move(numbers)), backend_(backend), failures_before_(book().failures) {}

rows::~rows() {
    const bool has_failed = book().failures != failures_before_ || std::uncaught_exceptions() > 0;
    finding found = {verdict::passed, reason_};
    if (has_failed) {
        found.is = verdict::failed;
    } else if (!reason_.empty()) {
        found.is = verdict::not_applicable;
    }
    for (const int number : numbers_) {
        note(number, backend_, found);
    }
}

exemption::exemption(std::initializer_list<int> numbers, const std::string& reason) {
    for (const int number : numbers) {
        book().exempted.emplace(number, reason);
    }
}

} // namespace support
