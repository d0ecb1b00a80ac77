#include "support/network.hpp"

#include <sockeye/error.hpp>

#include <doctest/doctest.h>

#include <string>

using support::network;
using support::raw_peer;
using support::script;

// What is special about Unix sockets: their names.

namespace {

const support::exemption
    no_mode({191},
            "the mode of a socket's file is what the umask leaves; there is no option for it yet");
const support::exemption no_credentials({192}, "the library has no peer credentials yet");
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
