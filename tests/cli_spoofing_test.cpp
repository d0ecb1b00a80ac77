#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <string>

// Needs root, or namespaces for users: see unshare(1).

TEST_CASE("serve: who forges its sender gets no answer from any small service" *
          doctest::skip(!support::is_installed("unshare") || !support::is_installed("python3"))) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        const auto ended = support::run({"unshare", "-r", "-n", "python3",
                                         SOCKEYE_TEST_SUPPORT "/spoofed_senders.py",
                                         support::program_path(), backend});
        if (ended.status == 77 || support::contains(ended.talk, "unshare failed")) {
            MESSAGE("not tested: " << ended.output << ended.talk);
            return;
        }
        CAPTURE(ended.output);
        CHECK(ended.status == 0);
        CHECK(ended.talk.empty());
        CHECK(support::contains(ended.output, ", 0 errors, "));
    }
}
