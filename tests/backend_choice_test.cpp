#include "kernel/backend.hpp"
#include "support/backends.hpp"

#include <sockeye/error.hpp>

#include <cstdlib>
#include <optional>
#include <string>

#include <doctest/doctest.h>

// Which backend a name, the environment or nobody asks for.

using sockeye::backend_kind;
using sockeye::errc;
using support::on_every_backend;
using support::subject;

namespace {

/// Sets SOCKEYE_BACKEND as long as it lives; no value unsets it.
class environment {
public:
    explicit environment(const char* value) {
        if (const char* before = std::getenv(name)) {
            before_ = before;
        }
        set(value);
    }
    environment(const environment&) = delete;
    environment& operator=(const environment&) = delete;
    ~environment() { set(before_ ? before_->c_str() : nullptr); }

private:
    static constexpr const char* name = "SOCKEYE_BACKEND";

    static void set(const char* value) {
        if (value == nullptr) {
            ::unsetenv(name);
        } else {
            ::setenv(name, value, 1);
        }
    }

    std::optional<std::string> before_;
};

} // namespace

TEST_CASE("backend: [60] each is chosen by its name, in the environment too") {
    on_every_backend(
        {60},
        [](subject& on) {
            const auto& entry = on.entry();
            CHECK(sockeye::parse_backend(entry.name).value() == entry.kind);
            CHECK(to_string(entry.kind) == entry.name);
            {
                const environment none(nullptr);
                CHECK(sockeye::choose_backend(entry.kind).value() == &entry);
            }
            const environment named(std::string(entry.name).c_str());
            CHECK(sockeye::choose_backend(backend_kind::automatic).value() == &entry);
            CHECK(sockeye::choose_backend(entry.kind).value() == &entry);
        },
        support::needs_real_system{"it is chosen by a test alone, never by its name"});
}

TEST_CASE("backend: [60] an unknown name is an error, and an argument outweighs the environment") {
    CHECK(sockeye::parse_backend("epol").error() == errc::backend_unknown);
    CHECK(sockeye::parse_backend("").error() == errc::backend_unknown);
    CHECK(sockeye::parse_backend("auto").value() == backend_kind::automatic);
    {
        const environment unknown("nonsense");
        CHECK(sockeye::choose_backend(backend_kind::automatic).error() == errc::backend_unknown);
        CHECK(sockeye::choose_backend(backend_kind::select).value()->kind == backend_kind::select);
    }
    for (const char* open : {"", "auto"}) {
        const environment undecided(open);
        const auto chosen = sockeye::choose_backend(backend_kind::automatic);
        REQUIRE(chosen);
        CHECK((*chosen)->make().has_value());
    }
}

TEST_CASE("backend: [60] the list names every backend with its features or the reason against it") {
    const auto listed = sockeye::backends();
    REQUIRE(listed.size() == sockeye::backend_table().size());
    for (std::size_t i = 0; i < listed.size(); ++i) {
        const auto& entry = sockeye::backend_table()[i];
        CAPTURE(std::string(entry.name));
        CHECK(listed[i].kind == entry.kind);
        CHECK(listed[i].name == entry.name);
        CHECK_FALSE(listed[i].reason.empty());
        CHECK(listed[i].features.edge == entry.features.edge);
        CHECK(listed[i].features.early_close == entry.features.early_close);
        CHECK(listed[i].is_usable == (entry.make != nullptr && entry.make().has_value()));
        if (entry.make == nullptr) {
            CHECK(sockeye::choose_backend(entry.kind).error() == errc::backend_unavailable);
        }
    }
}
