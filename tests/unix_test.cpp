#include "support/handlers.hpp"
#include "support/network.hpp"

#include <sockeye/error.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

using support::network;
using support::raw_peer;
using support::script;

// What is special about Unix sockets: their names.

using support::echo;

namespace {

/// Serves on `local`, and a raw client hears its own words again.
void check_echo(network& on, const sockeye::endpoint& local) {
    script told;
    auto server = sockeye::serve<support::hooked>(on.loop(), local, std::ref(told)).value();
    told.on_data = [](sockeye::stream& link, sockeye::bytes in) { link.write(in); };
    raw_peer peer(on.system(), support::local_of(server));
    peer.say("hello");
    CHECK(on.until([&] {
        peer.pump();
        return peer.heard() == "hello";
    }));
}

/// A path of that ground with exactly `size` bytes.
std::string path_of_size(network& on, std::size_t size) {
    auto path = on.path();
    REQUIRE(path.size() < size);
    return path + std::string(size - path.size(), 'x');
}

} // namespace

TEST_CASE(
    "[180] [183] unix: a path of 107 bytes is served and told as it is, a longer one refused") {
    support::on_every_network({180, 183}, {"unix:"}, [](network& on) {
        const auto longest = path_of_size(on, 107);
        script told;
        {
            auto server =
                sockeye::serve<support::hooked>(on.loop(), "unix:" + longest, std::ref(told))
                    .value();
            CHECK(support::local_of(server).path() == longest);
            CHECK(support::local_of(server).to_string() == "unix:" + longest);
            CHECK(on.has_file(longest));
        }
        check_echo(on, sockeye::endpoint::parse("unix:" + longest).value());
        CHECK_FALSE(on.has_file(longest));
        for (const std::size_t size : {108U, 109U, 300U}) {
            const auto refused = sockeye::serve<support::hooked>(
                on.loop(), "unix:" + path_of_size(on, size), std::ref(told));
            CHECK(refused.error() == sockeye::errc::endpoint_path_too_long);
            CHECK_FALSE(on.has_file(longest));
        }
    });
}

TEST_CASE("[181] unix: a name may hold a NUL only where it names no file") {
    support::on_every_network({181}, {"unix:"}, [](network& on) {
        script told;
        const auto cut =
            sockeye::serve<support::hooked>(on.loop(), on.local() + "\\x00behind", std::ref(told));
        CHECK(cut.error());
        CHECK_FALSE(on.has_file(on.path()));

        const auto abstract = sockeye::endpoint::parse("unix:@" + on.path() + "\\x00behind");
        REQUIRE(abstract);
        check_echo(on, *abstract);
        CHECK_FALSE(on.has_file(on.path()));
    });
}

TEST_CASE("[182] [183] unix: without a name a server gets one from the kernel, and tells it") {
    support::on_every_network({182, 183}, {"unix:@"}, [](network& on) {
        script told;
        auto first = support::serve_script(on, told);
        auto second = support::serve_script(on, told);
        const auto name = support::local_of(first);
        CHECK(name.is_known());
        CHECK(name.path().empty());
        CHECK(name.to_string().starts_with("unix:@"));
        CHECK(name.to_string().size() > std::string("unix:@").size());
        CHECK(name != support::local_of(second));
        CHECK(sockeye::endpoint::parse(name.to_string()).value() == name);
        raw_peer peer(on.system(), name);
        peer.say("by name");
        CHECK(on.until([&] {
            peer.pump();
            return told.data == "by name";
        }));
    });
}

TEST_CASE("[183] unix: a client has no name, and what it connected to has the server's") {
    support::on_every_network({183}, {"unix:"}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        script connected;
        auto client =
            sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(connected));
        REQUIRE(on.until([&] { return told.link != nullptr && connected.link != nullptr; }));
        CHECK(client.peer_endpoint().value().path() == on.path());
        CHECK(client.local_endpoint().value().path().empty());
        CHECK(told.link->local_endpoint().value().path() == on.path());
        CHECK(told.link->peer_endpoint().value().path().empty());
    });
}

namespace {

/// What a server that crashed leaves behind at on.path().
void leave_stale(network& on) {
    support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value()).reset();
    REQUIRE(on.has_file(on.path()));
}

std::ptrdiff_t files_beside(const std::string& path) {
    const auto folder =
        std::filesystem::directory_iterator(std::filesystem::path(path).parent_path());
    return std::distance(begin(folder), end(folder));
}

mode_t mode_of(const std::string& path) {
    struct stat facts = {};
    REQUIRE(::lstat(path.c_str(), &facts) == 0);
    return facts.st_mode & 0777;
}

/// The umask of this process, as long as it lives.
class umask_of {
public:
    explicit umask_of(mode_t mask) : before_(::umask(mask)) {}
    umask_of(const umask_of&) = delete;
    umask_of& operator=(const umask_of&) = delete;
    ~umask_of() { ::umask(before_); }

private:
    mode_t before_;
};

const support::needs_real_system real_files = {"files that are no sockets, and their modes"};

} // namespace

TEST_CASE("[184] unix: a stale socket is replaced when that is asked for, and served") {
    support::on_every_network({184}, {"unix:", "unix-seqpacket:"}, [](network& on) {
        leave_stale(on);
        CHECK(sockeye::serve(on.loop(), on.local(), echo).error() == std::errc::address_in_use);
        {
            auto server =
                sockeye::serve(on.loop(), on.local(), {.replace_stale = true}, echo).value();
            CHECK(support::local_of(server).path() == on.path());
            raw_peer peer(on.system(), support::local_of(server));
            peer.say("new");
            CHECK(on.until([&] {
                peer.pump();
                return peer.heard() == "new";
            }));
        }
        CHECK_FALSE(on.has_file(on.path()));
        CHECK(sockeye::serve(on.loop(), on.local(), {.replace_stale = true}, echo));
    });
}

TEST_CASE("[184] unix: who is still there is never replaced") {
    support::on_every_network({184}, {"unix:"}, [](network& on) {
        auto first = sockeye::serve(on.loop(), on.local(), echo).value();
        const auto before = on.system().identify(on.path()).value();
        for (const std::string scheme : {"unix:", "unix-seqpacket:"}) {
            const auto second =
                sockeye::serve(on.loop(), scheme + on.path(), {.replace_stale = true}, echo);
            CHECK(second.error() == std::errc::address_in_use);
        }
        CHECK(on.system().identify(on.path()).value() == before);
        raw_peer peer(on.system(), support::local_of(first));
        peer.say("still here");
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard() == "still here";
        }));
    });
}

TEST_CASE("[184] unix: a server with a full backlog is there, and stays") {
    support::on_every_network({184}, {"unix:"}, [](network& on) {
        const auto local = sockeye::endpoint::parse(on.local()).value();
        support::raw_listener busy(on.system(), local, 0);
        auto waiting = support::many_peers(on, 4, local);
        CHECK(sockeye::serve(on.loop(), local, {.replace_stale = true}, echo).error() ==
              std::errc::address_in_use);
        CHECK(on.has_file(on.path()));
    });
}

TEST_CASE("[184] [186] kernel: a file that another one replaced meanwhile is not removed") {
    support::on_every_network({184, 186}, {"unix:"}, [](network& on) {
        const auto local = sockeye::endpoint::parse(on.local()).value();
        const auto first = support::make_bound(on.system(), local);
        const auto looked_at = on.system().identify(on.path()).value();
        REQUIRE_FALSE(on.system().remove_file(on.path()));
        const auto second = support::make_bound(on.system(), local);
        const auto now = on.system().identify(on.path()).value();
        REQUIRE(now != looked_at);
        CHECK(on.system().remove_same_file(on.path(), looked_at) == std::errc::address_in_use);
        CHECK(on.system().identify(on.path()).value() == now);
        CHECK_FALSE(on.system().remove_same_file(on.path(), now));
        CHECK_FALSE(on.has_file(on.path()));
        CHECK(on.system().remove_same_file(on.path(), now) == std::errc::no_such_file_or_directory);
    });
}

TEST_CASE("[184] [185] unix: what is no socket stays, also where a stale one may be replaced") {
    support::on_every_network(
        {184, 185}, {"unix:"},
        [](network& on) {
            const auto path = on.path();
            const auto refused = [&] {
                return sockeye::serve(on.loop(), on.local(), {.replace_stale = true}, echo).error();
            };
            SUBCASE("a plain file") {
                std::ofstream(path) << "precious";
                CHECK(refused() == std::errc::address_in_use);
                CHECK(std::filesystem::file_size(path) == 8);
            }
            SUBCASE("a link to a stale socket") {
                const auto elsewhere = path + ".elsewhere";
                support::make_bound(on.system(),
                                    sockeye::endpoint::parse("unix:" + elsewhere).value())
                    .reset();
                std::filesystem::create_symlink(elsewhere, path);
                CHECK(refused() == std::errc::address_in_use);
                CHECK(std::filesystem::is_symlink(path));
                CHECK(on.has_file(elsewhere));
            }
            SUBCASE("a folder") {
                std::filesystem::create_directory(path);
                CHECK(refused() == std::errc::address_in_use);
                CHECK(std::filesystem::is_directory(path));
            }
            SUBCASE("nothing is left beside a stale one that was replaced") {
                leave_stale(on);
                auto server =
                    sockeye::serve(on.loop(), on.local(), {.replace_stale = true}, echo).value();
                CHECK(files_beside(path) == 1);
                server.close();
                CHECK(files_beside(path) == 0);
            }
        },
        real_files);
}

TEST_CASE("[191] unix: the file has the mode that was asked for, whatever the umask") {
    support::on_every_network(
        {191}, {"unix:"},
        [](network& on) {
            for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
                const umask_of masked(mask);
                {
                    auto server = sockeye::serve(on.loop(), on.local(), echo).value();
                    CHECK(mode_of(on.path()) == (0777U & ~mask));
                }
                for (const unsigned mode : {0600U, 0660U, 0666U, 0000U}) {
                    auto server =
                        sockeye::serve(on.loop(), on.local(), {.mode = mode}, echo).value();
                    CHECK(mode_of(on.path()) == mode);
                }
            }
            CHECK_FALSE(on.has_file(on.path()));
        },
        real_files);
}

TEST_CASE("[191] unix: a mode is for files alone, and has nine bits") {
    support::on_every_network(
        {191}, {"unix:"},
        [](network& on) {
            for (const std::string& local : {on.local(), std::string("tcp://127.0.0.1:0")}) {
                const unsigned mode = local == on.local() ? 01777U : 0600U;
                CHECK(sockeye::serve(on.loop(), local, {.mode = mode}, echo).error() ==
                      std::errc::invalid_argument);
                CHECK_FALSE(on.has_file(on.path()));
            }
            leave_stale(on);
            CHECK(sockeye::serve(on.loop(), on.local(), {.mode = 0600}, echo).error() ==
                  std::errc::address_in_use);
            auto server =
                sockeye::serve(on.loop(), on.local(), {.mode = 0600, .replace_stale = true}, echo)
                    .value();
            CHECK(mode_of(on.path()) == 0600);
        },
        real_files);
}

TEST_CASE("[192] unix: both sides know who the other one was when they connected") {
    support::on_every_network(
        {192}, {"unix:", "unix-seqpacket:"},
        [](network& on) {
            script told;
            script connected;
            auto server = support::serve_script(on, told);
            auto client =
                sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(connected));
            const auto user = ::geteuid();
            REQUIRE(on.until([&] { return told.link != nullptr && connected.link != nullptr; }));
            // Only a privileged process can become another user, and come back.
            const bool has_changed = user == 0 && ::seteuid(65534) == 0;
            for (const auto* link : {told.link, connected.link}) {
                const auto peer = link->peer_credentials();
                REQUIRE(peer);
                CHECK(peer->user_id == user);
                CHECK(peer->group_id == ::getegid());
                CHECK(peer->process_id.value_or(::getpid()) == ::getpid());
            }
            CHECK((!has_changed || ::seteuid(user) == 0));
        },
        support::needs_real_system{"users and processes"});
}

TEST_CASE("[192] stream: without credentials it says so") {
    support::on_every_network({}, {"tcp://127.0.0.1:0", "unix:"}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        sockeye::stream nobody;
        CHECK(nobody.peer_credentials().error() == std::errc::not_connected);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] {
            peer.pump();
            return told.link != nullptr;
        }));
        if (!on.is_unix() || on.on().is_simulated()) {
            CHECK(told.link->peer_credentials().error() == std::errc::not_supported);
        }
    });
}
