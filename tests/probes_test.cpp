#include <cstdio>
#include <set>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

// The static probes, as a tool finds them in the program that has the library in it.

namespace {

[[maybe_unused]] constexpr std::string_view probe_names[] = {
    "turn_begins",    "turn_ends",  "slow_handler", "accepted", "shed",
    "opened",         "closed",     "received",     "sent",     "datagrams_received",
    "datagrams_sent", "queue_full",
};

/// Of the notes of SystemTap in this program, those of our provider.
std::set<std::string> probes_here() {
    std::set<std::string> found;
    auto* const output = ::popen("readelf -n \"$(readlink /proc/$PPID/exe)\" 2>&1", "r");
    REQUIRE(output != nullptr);
    bool is_ours = false;
    char line[4096];
    while (std::fgets(line, sizeof line, output) != nullptr) {
        std::string text(line);
        text.erase(text.find_last_not_of(" \n") + 1);
        constexpr std::string_view name = "    Name: ";
        if (text.starts_with("    Provider: ")) {
            is_ours = text == "    Provider: sockeye";
        } else if (text.starts_with(name) && is_ours) {
            found.insert(text.substr(name.size()));
        }
    }
    ::pclose(output);
    return found;
}

} // namespace

TEST_CASE("probes: each is in the program where it was built with them, and else none") {
    const auto found = probes_here();
#if defined(SOCKEYE_HAVE_PROBES)
    for (const auto name : probe_names) {
        CAPTURE(name);
        CHECK(found.contains(std::string(name)));
    }
    CHECK(found.size() == std::size(probe_names));
#else
    CHECK(found.empty());
    MESSAGE("skipped: it was built without probes, for want of <sys/sdt.h> or by -Dprobes");
#endif
}
