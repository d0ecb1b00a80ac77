#include <sockeye/endpoint.hpp>
#include <sockeye/error.hpp>

#include "base/platform.hpp"
#include "support/conformance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <net/if.h>

using sockeye::endpoint;
using sockeye::errc;
using sockeye::transport;

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::size_t path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

endpoint parsed(std::string_view text) {
    const auto read = endpoint::parse(text);
    CAPTURE(std::string(text));
    REQUIRE_MESSAGE(read, read.error().message());
    return *read;
}

std::error_code refusal(std::string_view text) {
    return endpoint::parse(text).error();
}

/// What follows the family in a Unix address: all of the bytes that bind(2) is given.
std::string name_of(const endpoint& subject) {
    REQUIRE(subject.family() == AF_UNIX);
    return {reinterpret_cast<const char*>(subject.data()) + path_offset,
            subject.size() - path_offset};
}

/// An address as a kernel would fill it in, where `name` is all of sun_path.
endpoint local_from_system(std::string_view name, transport kind = transport::unix_stream) {
    sockaddr_storage storage = {};
    storage.ss_family = AF_UNIX;
    REQUIRE(path_offset + name.size() <= sizeof storage);
    name.copy(reinterpret_cast<char*>(&storage) + path_offset, name.size());
    return endpoint::from_system(kind, reinterpret_cast<const sockaddr*>(&storage),
                                 static_cast<socklen_t>(path_offset + name.size()));
}

template <typename Address>
endpoint from_system(transport kind, const Address& address, std::size_t size = sizeof(Address)) {
    return endpoint::from_system(kind, reinterpret_cast<const sockaddr*>(&address),
                                 static_cast<socklen_t>(size));
}

sockaddr_in ipv4(std::uint32_t address, std::uint16_t port) {
    sockaddr_in made = {};
    made.sin_family = AF_INET;
    made.sin_addr.s_addr = htonl(address);
    made.sin_port = htons(port);
    return made;
}

sockaddr_in6 ipv6(const char* address, std::uint16_t port) {
    sockaddr_in6 made = {};
    made.sin6_family = AF_INET6;
    REQUIRE(::inet_pton(AF_INET6, address, &made.sin6_addr) == 1);
    made.sin6_port = htons(port);
    return made;
}

/// The interface that every machine has: its number and its name.
std::pair<unsigned, std::string> some_interface() {
    std::array<char, IF_NAMESIZE> name = {};
    for (unsigned number = 1; number < 1000; ++number) {
        if (::if_indextoname(number, name.data()) != nullptr) {
            return {number, name.data()};
        }
    }
    return {0, ""};
}

bool is_printable_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

void check_round_trip(const endpoint& subject) {
    const auto text = subject.to_string();
    CAPTURE(text);
    CHECK(is_printable_ascii(text));
    const auto again = endpoint::parse(text);
    REQUIRE(again);
    CHECK(*again == subject);
    CHECK(again->to_string() == text);
    CHECK(again->kind() == subject.kind());
    CHECK(again->size() == subject.size());
}

struct good_row {
    std::string_view text;
    std::string_view printed;
    transport kind;
    int family;
    std::uint16_t port;
};

constexpr good_row good_ip[] = {
    {"tcp://127.0.0.1:7007", "tcp://127.0.0.1:7007", transport::tcp, AF_INET, 7007},
    {"127.0.0.1:7007", "tcp://127.0.0.1:7007", transport::tcp, AF_INET, 7007},
    {":7007", "tcp://127.0.0.1:7007", transport::tcp, AF_INET, 7007},
    {":0", "tcp://127.0.0.1:0", transport::tcp, AF_INET, 0},
    {"tcp://:7007", "tcp://127.0.0.1:7007", transport::tcp, AF_INET, 7007},
    {"udp://:9", "udp://127.0.0.1:9", transport::udp, AF_INET, 9},
    {"*:7007", "tcp://0.0.0.0:7007", transport::tcp, AF_INET, 7007},
    {"udp://*:1", "udp://0.0.0.0:1", transport::udp, AF_INET, 1},
    {"localhost:80", "tcp://127.0.0.1:80", transport::tcp, AF_INET, 80},
    {"udp://localhost:80", "udp://127.0.0.1:80", transport::udp, AF_INET, 80},
    {"0.0.0.0:1", "tcp://0.0.0.0:1", transport::tcp, AF_INET, 1},
    {"255.255.255.255:65535", "tcp://255.255.255.255:65535", transport::tcp, AF_INET, 65535},
    {"10.1.2.3:00080", "tcp://10.1.2.3:80", transport::tcp, AF_INET, 80},
    {"udp://[::1]:0", "udp://[::1]:0", transport::udp, AF_INET6, 0},
    {"[::1]:7007", "tcp://[::1]:7007", transport::tcp, AF_INET6, 7007},
    {"[::]:7007", "tcp://[::]:7007", transport::tcp, AF_INET6, 7007},
    {"tcp://[2001:DB8:0:0::1]:1", "tcp://[2001:db8::1]:1", transport::tcp, AF_INET6, 1},
    {"[::ffff:10.0.0.1]:1", "tcp://[::ffff:10.0.0.1]:1", transport::tcp, AF_INET6, 1},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
     "tcp://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", transport::tcp, AF_INET6, 65535},
};

struct bad_row {
    std::string_view text;
    errc expected;
};

constexpr bad_row bad_ip[] = {
    {"", errc::endpoint_empty},

    {"http://127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"://127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"TCP://127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"tcp4://127.0.0.1:80", errc::endpoint_scheme_unknown},
    {" tcp://127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"tcp\0://127.0.0.1:80"sv, errc::endpoint_scheme_unknown},
    {"tcp:127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"udp:7", errc::endpoint_scheme_unknown},
    {"tcp:/127.0.0.1:80", errc::endpoint_scheme_unknown},
    {"file:/tmp/x", errc::endpoint_scheme_unknown},
    {"UNIX:/tmp/x", errc::endpoint_scheme_unknown},
    {"unix-stream:@x", errc::endpoint_scheme_unknown},

    {"tcp://", errc::endpoint_host_missing},
    {"udp://", errc::endpoint_host_missing},
    {"[]:7", errc::endpoint_host_missing},
    {"tcp://[]:7", errc::endpoint_host_missing},

    {"1.2.3:7", errc::endpoint_host_invalid},
    {"0x7f.1:7", errc::endpoint_host_invalid},
    {"0x7f000001:7", errc::endpoint_host_invalid},
    {"2130706433:7", errc::endpoint_host_invalid},
    {"127.1:7", errc::endpoint_host_invalid},
    {"127.0.0.0x1:7", errc::endpoint_host_invalid},
    {"1.2.3.4.5:7", errc::endpoint_host_invalid},
    {"1.2.3.4.:7", errc::endpoint_host_invalid},
    {".1.2.3.4:7", errc::endpoint_host_invalid},
    {"1..2.3:7", errc::endpoint_host_invalid},
    {"256.0.0.1:7", errc::endpoint_host_invalid},
    {"01.2.3.4:7", errc::endpoint_host_invalid},
    {"-1.2.3.4:7", errc::endpoint_host_invalid},
    {"+1.2.3.4:7", errc::endpoint_host_invalid},
    {" 127.0.0.1:7", errc::endpoint_host_invalid},
    {"127.0.0.1 :7", errc::endpoint_host_invalid},
    {"127.0.0.1%lo:7", errc::endpoint_host_invalid},
    {"127.0.0.1/8:7", errc::endpoint_host_invalid},
    {"127.0.0.1:80:90", errc::endpoint_host_invalid},
    {"127.0.0.1\0:7"sv, errc::endpoint_host_invalid},
    {"user@127.0.0.1:7", errc::endpoint_host_invalid},
    {"tcp://127.0.0.1:1:2", errc::endpoint_host_invalid},
    {"**:7", errc::endpoint_host_invalid},
    {"a:b:7", errc::endpoint_host_invalid},
    {"2001:db8::zz:7", errc::endpoint_host_invalid},
    {"tcp://tcp://127.0.0.1:7", errc::endpoint_host_invalid},
    {"a..b:7", errc::endpoint_host_invalid},
    {"-:7", errc::endpoint_host_invalid},
    {"ho st:7", errc::endpoint_host_invalid},
    {"h\xc3\xb6st:7", errc::endpoint_host_invalid},
    {"[127.0.0.1]:7", errc::endpoint_host_invalid},
    {"[localhost]:7", errc::endpoint_host_invalid},
    {"[*]:7", errc::endpoint_host_invalid},
    {"[ ::1]:7", errc::endpoint_host_invalid},
    {"[::1 ]:7", errc::endpoint_host_invalid},
    {"[:::1]:7", errc::endpoint_host_invalid},
    {"[1::2::3]:7", errc::endpoint_host_invalid},
    {"[12345::]:7", errc::endpoint_host_invalid},
    {"[1:2:3:4:5:6:7]:7", errc::endpoint_host_invalid},
    {"[1:2:3:4:5:6:7:8:9]:7", errc::endpoint_host_invalid},
    {"[::1\0]:7"sv, errc::endpoint_host_invalid},
    {"[[::1]]:7", errc::endpoint_host_invalid},
    {"[::1]7", errc::endpoint_host_invalid},
    {"[::1]x:7", errc::endpoint_host_invalid},
    {"[::1]]:7", errc::endpoint_host_invalid},
    {"[%1]:7", errc::endpoint_host_invalid},

    {"example.org:80", errc::endpoint_host_is_name},
    {"example.org.:80", errc::endpoint_host_is_name},
    {"tcp://my-host:80", errc::endpoint_host_is_name},
    {"udp://_service.local:80", errc::endpoint_host_is_name},
    {"Localhost:80", errc::endpoint_host_is_name},
    {"localhost.:80", errc::endpoint_host_is_name},
    {"3com.com:80", errc::endpoint_host_is_name},
    {"1.2.3.4.example:80", errc::endpoint_host_is_name},
    {"0x7g:80", errc::endpoint_host_is_name},
    {"a123456789012345678901234567890123456789012345678901234567890123:80",
     errc::endpoint_name_too_long},

    {"::1", errc::endpoint_bracket_missing},
    {"::", errc::endpoint_bracket_missing},
    {"::1:7007", errc::endpoint_bracket_missing},
    {"::7007:x", errc::endpoint_bracket_missing},
    {"tcp://fe80::1:7007", errc::endpoint_bracket_missing},
    {"fe80::1%eth0:7007", errc::endpoint_bracket_missing},
    {"1:2:3:4:5:6:7:8:7007", errc::endpoint_bracket_missing},
    {"::ffff:1.2.3.4:7", errc::endpoint_bracket_missing},
    {"[::1", errc::endpoint_bracket_missing},
    {"[::1:7007", errc::endpoint_bracket_missing},
    {"[", errc::endpoint_bracket_missing},
    {"udp://[", errc::endpoint_bracket_missing},

    {"[::1%]:7", errc::endpoint_scope_invalid},
    {"[::1%0]:7", errc::endpoint_scope_invalid},
    {"[::1%4294967295]:7", errc::endpoint_scope_invalid},
    {"[::1%4294967296]:7", errc::endpoint_scope_invalid},
    {"[::1%4294967297]:7", errc::endpoint_scope_invalid},
    {"[::1%99999999999999999999]:7", errc::endpoint_scope_invalid},
    {"[::1%no-such-if]:7", errc::endpoint_scope_invalid},
    {"[::1%lo%x]:7", errc::endpoint_scope_invalid},
    {"[::1%eth0%x]:7", errc::endpoint_scope_invalid},
    {"[::1%lo\0]:7"sv, errc::endpoint_scope_invalid},
    {"[::1%-1]:7", errc::endpoint_scope_invalid},
    {"[::1%0x1]:7", errc::endpoint_scope_invalid},
    {"[::1%a-name-longer-than-any-interface]:7", errc::endpoint_scope_invalid},

    {"127.0.0.1", errc::endpoint_port_missing},
    {"127.0.0.1:", errc::endpoint_port_missing},
    {"tcp://127.0.0.1", errc::endpoint_port_missing},
    {":", errc::endpoint_port_missing},
    {"tcp://:", errc::endpoint_port_missing},
    {"*", errc::endpoint_port_missing},
    {"*:", errc::endpoint_port_missing},
    {"7007", errc::endpoint_port_missing},
    {"localhost", errc::endpoint_port_missing},
    {"example.org", errc::endpoint_port_missing},
    {"[::1]", errc::endpoint_port_missing},
    {"[::1]:", errc::endpoint_port_missing},
    {" ", errc::endpoint_port_missing},
    {"\0"sv, errc::endpoint_port_missing},

    {":65536", errc::endpoint_port_invalid},
    {":70000", errc::endpoint_port_invalid},
    {":99999", errc::endpoint_port_invalid},
    {":100000", errc::endpoint_port_invalid},
    {":4294967296", errc::endpoint_port_invalid},
    {":18446744073709551616", errc::endpoint_port_invalid},
    {":000080", errc::endpoint_port_invalid},
    {":-1", errc::endpoint_port_invalid},
    {":-0", errc::endpoint_port_invalid},
    {":+80", errc::endpoint_port_invalid},
    {":0x50", errc::endpoint_port_invalid},
    {":80 ", errc::endpoint_port_invalid},
    {": 80", errc::endpoint_port_invalid},
    {":80\n", errc::endpoint_port_invalid},
    {":80\0"sv, errc::endpoint_port_invalid},
    {":\0"sv, errc::endpoint_port_invalid},
    {":8_0", errc::endpoint_port_invalid},
    {":8e1", errc::endpoint_port_invalid},
    {":80.", errc::endpoint_port_invalid},
    {":http", errc::endpoint_port_invalid},
    {":80/", errc::endpoint_port_invalid},
    {"tcp://127.0.0.1:7007/", errc::endpoint_port_invalid},
    {"localhost:http", errc::endpoint_port_invalid},
    {"[::1]:x", errc::endpoint_port_invalid},
    {"[::1]:65536", errc::endpoint_port_invalid},
    {":\xd9\xa1", errc::endpoint_port_invalid},
};

constexpr bad_row bad_local[] = {
    {"unix:", errc::endpoint_path_missing},
    {"unix-dgram:", errc::endpoint_path_missing},
    {"unix:/tmp/a\0b"sv, errc::endpoint_path_has_nul},
    {"unix:/tmp/a\0"sv, errc::endpoint_path_has_nul},
    {"unix:a\0"sv, errc::endpoint_path_has_nul},
    {"unix-dgram:/a\0b"sv, errc::endpoint_path_has_nul},
    {"unix:@a\0b"sv, errc::endpoint_path_has_nul},
    {"unix:\0a\0b"sv, errc::endpoint_path_has_nul},
    {"unix:\0\0"sv, errc::endpoint_path_has_nul},
    {"unix:/tmp/a\\x00b", errc::endpoint_path_has_nul},
    {"unix:\\x00b", errc::endpoint_path_has_nul},
};

} // namespace

TEST_CASE("endpoint: every good form is read and printed") {
    for (const auto& row : good_ip) {
        CAPTURE(row.text);
        const auto subject = parsed(row.text);
        CHECK(subject.to_string() == row.printed);
        CHECK(subject.kind() == row.kind);
        CHECK(subject.family() == row.family);
        CHECK(subject.port() == row.port);
        CHECK(subject.is_known());
        CHECK_FALSE(subject.is_local());
        CHECK(subject.path().empty());
        check_round_trip(subject);
    }
}

TEST_CASE("endpoint: [272] localhost is 127.0.0.1, and no other name is looked up") {
    CHECK(sockeye::endpoint::parse("localhost:7").value() ==
          sockeye::endpoint::parse("127.0.0.1:7").value());
    CHECK(refusal("localhost.example:7") == errc::endpoint_host_is_name);
    CHECK(refusal("localhos:7") == errc::endpoint_host_is_name);
}

TEST_CASE("endpoint: [273] every malformed address is refused with its own error") {
    const support::rows covered({273});
    for (const auto& row : bad_ip) {
        CAPTURE(std::string(row.text));
        CHECK(refusal(row.text) == make_error_code(row.expected));
    }
}

TEST_CASE("endpoint: [181] a path that cannot be is refused with its own error") {
    for (const auto& row : bad_local) {
        CAPTURE(std::string(row.text));
        const bool is_abstract =
            row.text.starts_with("unix:@") || row.text.starts_with("unix:\0"sv);
        if (sockeye::platform::has_abstract_names || !is_abstract) {
            CHECK(refusal(row.text) == make_error_code(row.expected));
        } else {
            CHECK(refusal(row.text));
        }
    }
}

TEST_CASE("endpoint: [267] a name longer than the DNS allows is refused, never cut") {
    const support::rows covered({267});
    const std::string label(63, 'a');
    const auto name = label + "." + label + "." + label + "." + label;
    CHECK(refusal(name.substr(0, 253) + ":80") == errc::endpoint_host_is_name);
    CHECK(refusal(name.substr(0, 253) + ".:80") == errc::endpoint_host_is_name);
    CHECK(refusal(name.substr(0, 254) + ":80") == errc::endpoint_name_too_long);
    CHECK(refusal(label + ".org:80") == errc::endpoint_host_is_name);
    CHECK(refusal(label + "a.org:80") == errc::endpoint_name_too_long);
    CHECK(refusal("example.org\0.evil:80"sv) == errc::endpoint_host_invalid);
}

TEST_CASE("endpoint: [273] long input is refused and never copied past its room") {
    const support::rows covered({273});
    for (const std::size_t size : {45U, 46U, 47U, 255U, 256U, 4000U, 1U << 20U}) {
        CAPTURE(size);
        for (const char c : {'1', ':', 'f', '.', '%', '[', 'x', '\0', '\xff'}) {
            const std::string filler(size, c);
            CHECK(refusal("[" + filler + "]:7"));
            CHECK(refusal("[" + filler));
            CHECK(refusal("[::1%" + filler + "]:7"));
            CHECK(refusal(filler + ":7"));
            CHECK(refusal(":" + filler));
            CHECK(refusal(filler));
            CHECK(refusal("unix:/" + filler + filler + filler));
            CHECK(refusal("unix:@" + filler + filler + filler));
        }
    }
    CHECK(refusal("[" + std::string(4000, '1') + "]:7") == errc::endpoint_host_invalid);
}

TEST_CASE("endpoint: an interface is named by its name or its number") {
    const auto [number, name] = some_interface();
    if (number == 0) {
        MESSAGE("no interface here");
        return;
    }
    const auto by_name = parsed("tcp://[fe80::1%" + name + "]:7007");
    CHECK(by_name == parsed("[fe80::1%" + std::to_string(number) + "]:7007"));
    CHECK(by_name.to_string() == "tcp://[fe80::1%" + std::to_string(number) + "]:7007");
    CHECK_FALSE(by_name == parsed("[fe80::1]:7007"));
    check_round_trip(by_name);
    CHECK(refusal("[fe80::1%" + name + "%" + name + "]:7") == errc::endpoint_scope_invalid);
}

TEST_CASE("endpoint: loopback and unspecified are known by their value") {
    struct row {
        std::string_view text;
        bool is_loopback;
        bool is_unspecified;
    };
    for (const auto& [text, is_loopback, is_unspecified] : std::initializer_list<row>{
             {":1", true, false},
             {"127.0.0.1:1", true, false},
             {"127.255.255.255:1", true, false},
             {"126.255.255.255:1", false, false},
             {"128.0.0.0:1", false, false},
             {"*:1", false, true},
             {"0.0.0.1:1", false, false},
             {"[::1]:1", true, false},
             {"[::2]:1", false, false},
             {"[::]:1", false, true},
             {"[::ffff:127.0.0.1]:1", false, false},
             {"unix:/127.0.0.1", false, false},
         }) {
        const std::string shown(text);
        CAPTURE(shown);
        CHECK(parsed(text).is_loopback() == is_loopback);
        CHECK(parsed(text).is_unspecified() == is_unspecified);
    }
    CHECK_FALSE(endpoint().is_loopback());
    CHECK_FALSE(endpoint().is_unspecified());
}

TEST_CASE("endpoint: a default-made one is unknown") {
    const endpoint subject;
    CHECK_FALSE(subject.is_known());
    CHECK(subject.size() == 0);
    CHECK(subject.family() == AF_UNSPEC);
    CHECK(subject.port() == 0);
    CHECK(subject.path().empty());
    CHECK(subject.to_string() == "unknown");
    CHECK(subject == endpoint());
    CHECK_FALSE(subject == parsed(":0"));
    CHECK(refusal(subject.to_string()));
}

TEST_CASE("endpoint: set_port changes the port and nothing else") {
    for (const std::string host : {"udp://10.0.0.1", "tcp://[2001:db8::1]"}) {
        auto subject = parsed(host + ":1");
        subject.set_port(65535);
        CHECK(subject == parsed(host + ":65535"));
        CHECK(subject.port() == 65535);
    }
}

TEST_CASE("endpoint: two are equal when transport, address, port and scope are") {
    const std::vector<std::string> different = {
        ":1",      "udp://:1",      ":2",          "127.0.0.2:1", "[::1]:1",
        "[::2]:1", "udp://[::1]:1", "unix:/a",     "unix:/b",     "unix-dgram:/a",
        "unix:/",  "unix:/a/",      "unix:\\x40a",
    };
    for (std::size_t left = 0; left < different.size(); ++left) {
        for (std::size_t right = 0; right < different.size(); ++right) {
            CAPTURE(different[left]);
            CAPTURE(different[right]);
            CHECK((parsed(different[left]) == parsed(different[right])) == (left == right));
        }
    }
}

TEST_CASE("endpoint: a Unix path is taken byte for byte") {
    struct row {
        std::string_view text;
        std::string_view path;
        std::string_view printed;
    };
    for (const auto& [text, path, printed] : std::initializer_list<row>{
             {"unix:/run/echo", "/run/echo", "unix:/run/echo"},
             {"unix-dgram:/run/echo", "/run/echo", "unix-dgram:/run/echo"},
             {"unix-seqpacket:/run/echo", "/run/echo", "unix-seqpacket:/run/echo"},
             {"unix:relative", "relative", "unix:relative"},
             {"unix:///run/echo", "///run/echo", "unix:///run/echo"},
             {"unix: /a b ", " /a b ", "unix: /a b "},
             {"unix:./@x", "./@x", "unix:./@x"},
             {"unix:\\x40x", "@x", "unix:\\x40x"},
             {"unix:a@x", "a@x", "unix:a@x"},
             {"unix:/:7007", "/:7007", "unix:/:7007"},
             {"unix:tcp://127.0.0.1:7", "tcp://127.0.0.1:7", "unix:tcp://127.0.0.1:7"},
             {"unix:/\x1b[31m\n", "/\x1b[31m\n", "unix:/\\x1b[31m\\x0a"},
             {"unix:/\xc3\xbc\xff", "/\xc3\xbc\xff", "unix:/\\xc3\\xbc\\xff"},
             {"unix:/\\xC3", "/\xc3", "unix:/\\xc3"},
             {"unix:/a\\b", "/a\\b", "unix:/a\\x5cb"},
             {"unix:/\\x4", "/\\x4", "unix:/\\x5cx4"},
             {"unix:/\\xg0", "/\\xg0", "unix:/\\x5cxg0"},
             {"unix:/\\X41", "/\\X41", "unix:/\\x5cX41"},
             {"unix:/\\\\x41", "/\\A", "unix:/\\x5cA"},
         }) {
        const std::string shown(text);
        CAPTURE(shown);
        const auto subject = parsed(text);
        CHECK(subject.path() == path);
        CHECK(name_of(subject) == std::string(path) + '\0');
        CHECK(subject.to_string() == printed);
        CHECK(subject.is_local());
        CHECK(subject.port() == 0);
        check_round_trip(subject);
    }
}

TEST_CASE("endpoint: [180] the longest path is taken whole, one byte more is refused") {
    for (const std::string scheme : {"unix:", "unix-dgram:", "unix-seqpacket:"}) {
        const std::string longest(path_bytes_max, 'p');
        CHECK(parsed(scheme + longest).path() == longest);
        check_round_trip(parsed(scheme + longest));
        CHECK(refusal(scheme + longest + 'p') == errc::endpoint_path_too_long);
        CHECK(refusal(scheme + longest + std::string(4000, 'p')) == errc::endpoint_path_too_long);
    }
    std::string escaped = "unix:";
    for (std::size_t count = 0; count < path_bytes_max; ++count) {
        escaped += "\\x07";
    }
    CHECK(parsed(escaped).path() == std::string(path_bytes_max, '\a'));
    check_round_trip(parsed(escaped));
    CHECK(refusal(escaped + "\\x07") == errc::endpoint_path_too_long);
}

TEST_CASE("endpoint: [181] a leading @ or NUL makes an abstract name, where there are any") {
    if (!sockeye::platform::has_abstract_names) {
        for (const auto text : {"unix:@name"sv, "unix:@"sv, "unix:\0name"sv, "unix-dgram:@x"sv}) {
            CHECK(refusal(text) == errc::endpoint_abstract_unsupported);
        }
        return;
    }
    struct row {
        std::string_view text;
        std::string_view name;
        std::string_view printed;
    };
    for (const auto& [text, name, printed] : std::initializer_list<row>{
             {"unix:@name", "name", "unix:@name"},
             {"unix-dgram:@name", "name", "unix-dgram:@name"},
             {"unix-seqpacket:@name", "name", "unix-seqpacket:@name"},
             {"unix:\0name"sv, "name", "unix:@name"},
             {"unix:@@name", "@name", "unix:@@name"},
             {"unix:@/tmp/x", "/tmp/x", "unix:@/tmp/x"},
             {"unix:@a\\x00b\\x00", "a\0b\0"sv, "unix:@a\\x00b\\x00"},
             {"unix:@\\x00", "\0"sv, "unix:@\\x00"},
             {"unix:@\x1b\xff\\", "\x1b\xff\\", "unix:@\\x1b\\xff\\x5c"},
         }) {
        const std::string shown(text);
        CAPTURE(shown);
        const auto subject = parsed(text);
        CHECK(name_of(subject) == '\0' + std::string(name));
        CHECK(subject.path().empty());
        CHECK(subject.to_string() == printed);
        check_round_trip(subject);
    }
    const std::string longest(path_bytes_max, 'n');
    CHECK(name_of(parsed("unix:@" + longest)) == '\0' + longest);
    check_round_trip(parsed("unix:@" + longest));
    CHECK(refusal("unix:@" + longest + "n") == errc::endpoint_path_too_long);
    CHECK_FALSE(parsed("unix:@a") == parsed("unix:@a\\x00"));
}

TEST_CASE("endpoint: [182] an empty abstract name is that of an unnamed socket") {
    const auto unnamed = local_from_system("");
    CHECK(unnamed.is_known());
    CHECK(unnamed.size() == path_offset);
    CHECK(unnamed.path().empty());
    CHECK(unnamed.to_string() == "unix:@");
    CHECK(local_from_system("", transport::unix_datagram).to_string() == "unix-dgram:@");
    CHECK(local_from_system("\0"sv) == unnamed);
    if (sockeye::platform::has_abstract_names) {
        check_round_trip(unnamed);
        CHECK(parsed("unix:\0"sv) == unnamed);
    }
}

TEST_CASE("endpoint: what the system says of an IP address is copied") {
    CHECK(from_system(transport::tcp, ipv4(0x7f000001, 7007)) == parsed(":7007"));
    CHECK(from_system(transport::udp, ipv4(0, 1)) == parsed("udp://*:1"));
    CHECK(from_system(transport::udp, ipv6("::1", 1)) == parsed("udp://[::1]:1"));

    SUBCASE("whatever has no meaning in it is left out") {
        auto odd4 = ipv4(0x7f000001, 7007);
        std::memset(odd4.sin_zero, 0xa5, sizeof odd4.sin_zero);
        CHECK(from_system(transport::tcp, odd4) == parsed(":7007"));
        auto odd6 = ipv6("::1", 7007);
        odd6.sin6_flowinfo = 0x12345678;
        CHECK(from_system(transport::tcp, odd6) == parsed("[::1]:7007"));
        sockaddr_storage larger = {};
        std::memset(&larger, 0xa5, sizeof larger);
        std::memcpy(&larger, &odd4, sizeof odd4);
        CHECK(from_system(transport::tcp, larger) == parsed(":7007"));
        CHECK(from_system(transport::tcp, larger).size() == sizeof(sockaddr_in));
    }
}

TEST_CASE("endpoint: an address that does not fit its family or transport is unknown") {
    const auto four = ipv4(0x7f000001, 7007);
    const auto six = ipv6("::1", 7007);
    for (std::size_t size = 0; size < sizeof four; ++size) {
        CHECK(from_system(transport::tcp, four, size) == endpoint());
    }
    for (std::size_t size = 0; size < sizeof six; ++size) {
        CHECK(from_system(transport::tcp, six, size) == endpoint());
    }
    CHECK(endpoint::from_system(transport::tcp, nullptr, sizeof four) == endpoint());
    CHECK_FALSE(from_system(transport::unix_stream, four).is_known());
    CHECK_FALSE(from_system(transport::unix_datagram, six).is_known());
    CHECK_FALSE(local_from_system("/path", transport::tcp).is_known());
    CHECK_FALSE(local_from_system("", transport::udp).is_known());
    sockaddr_storage other = {};
    for (const int family : {AF_UNSPEC, AF_APPLETALK, 255}) {
        other.ss_family = static_cast<sa_family_t>(family);
        const auto subject = from_system(transport::tcp, other);
        CHECK(subject == endpoint());
        CHECK(subject.family() == AF_UNSPEC);
        CHECK(subject.to_string() == "unknown");
    }
}

TEST_CASE("endpoint: [183] a Unix name has exactly the length that the system gave it") {
    const auto plain = parsed("unix:/run/echo");
    CHECK(local_from_system("/run/echo") == plain);
    CHECK(local_from_system("/run/echo\0"sv) == plain);
    CHECK(local_from_system("/run/echo\0leftover"sv) == plain);
    CHECK(local_from_system("/run/echo" + std::string(90, '\0')) == plain);
    CHECK(local_from_system("/run/echo").path() == "/run/echo");

    SUBCASE("a path that fills its room, without a NUL") {
        const std::string full(path_bytes_max + 1, 'p');
        for (const auto& given : {full, full + '\0'}) {
            const auto subject = local_from_system(given);
            CHECK(subject.path() == full);
            CHECK(subject.size() == sizeof(sockaddr_un));
            CHECK(subject.to_string() == "unix:" + full);
            CHECK(refusal(subject.to_string()) == errc::endpoint_path_too_long);
        }
    }
    SUBCASE("abstract names keep every byte") {
        if (sockeye::platform::has_abstract_names) {
            for (const auto name : {"\0name"sv, "\0name\0"sv, "\0\0"sv, "\0a\0b"sv}) {
                const auto subject = local_from_system(name);
                CHECK(name_of(subject) == name);
                check_round_trip(subject);
            }
            const std::string full(path_bytes_max + 1, '\0');
            CHECK(name_of(local_from_system(full)) == full);
            check_round_trip(local_from_system(full));
            CHECK_FALSE(local_from_system(full + '\0').is_known());
        }
    }
}

TEST_CASE("endpoint: room is filled in place and keeps nothing of what was there") {
    endpoint subject = parsed("unix:/a/rather/long/path");
    const auto four = ipv4(0x7f000001, 7007);
    std::memcpy(subject.room(), &four, sizeof four);
    subject.filled(transport::tcp, sizeof four);
    CHECK(subject == parsed(":7007"));
    CHECK(subject.path().empty());

    subject.filled(transport::udp, 0);
    CHECK_FALSE(subject.is_known());
    CHECK(subject.family() == AF_UNSPEC);
    CHECK(endpoint::room_size() >= sizeof(sockaddr_un));
}

TEST_CASE("endpoint: the length field that some systems have is set") {
    // Only those systems show it; elsewhere the family must not have been overwritten.
    for (const auto* text : {":7007", "[::1]:7007", "unix:/run/echo"}) {
        auto expected = parsed(text);
        sockaddr_storage copy = {};
        std::memcpy(&copy, expected.data(), expected.size());
        sockeye::platform::set_length(copy, expected.size());
        CHECK(std::memcmp(&copy, expected.data(), expected.size()) == 0);
        CHECK(copy.ss_family == expected.family());
    }
}

TEST_CASE("endpoint: text is taken where an endpoint is wanted") {
    const auto take = [](const sockeye::endpoint_argument& argument) { return argument.get(); };
    const auto expected = parsed(":7007");
    CHECK(*take(":7007") == expected);
    CHECK(*take(":7007"s) == expected);
    CHECK(*take(":7007"sv) == expected);
    CHECK(*take(expected) == expected);
    CHECK(take("nonsense").error() == errc::endpoint_port_missing);
}

TEST_CASE("endpoint: the name of a host is kept for who looks it up") {
    const auto host_of = [](std::string_view text) {
        const sockeye::endpoint_argument argument(text);
        CHECK(
            (argument.host() == nullptr || argument.get().error() == errc::endpoint_host_is_name));
        return argument.host() == nullptr ? sockeye::host_name() : *argument.host();
    };
    using sockeye::host_name;
    using sockeye::transport;
    CHECK((host_of("example.org:80") == host_name{"example.org", 80, transport::tcp}));
    CHECK((host_of("tcp://Example.org.:0") == host_name{"Example.org.", 0, transport::tcp}));
    CHECK((host_of("udp://a:65535") == host_name{"a", 65535, transport::udp}));
    CHECK((host_of("icmp://example.org") == host_name{"example.org", 0, transport::icmp}));
    CHECK((host_of("icmp://example.org:7") == host_name{"example.org", 7, transport::icmp}));
    for (const auto none :
         {"", "127.0.0.1:7", "localhost:7", ":7", "[::1]:7", "unix:example.org", "example.org",
          "a b:7", "1.2.3:7", "a..b:7", "raw://example.org/17", "raw://localhost:7/17"}) {
        CAPTURE(none);
        CHECK((host_of(none) == host_name()));
    }
    const auto refused = [](std::string_view text) {
        return sockeye::endpoint_argument(text).get().error();
    };
    CHECK(refused("example.org:65536") == errc::endpoint_port_invalid);
    CHECK(refused("example.org:") == errc::endpoint_port_missing);
    CHECK(refused("example.org:http") == errc::endpoint_port_invalid);
    CHECK(refused("raw://example.org/17") == errc::endpoint_host_is_name);
}

TEST_CASE("endpoint: every refusal says in one line how to mend it") {
    std::set<std::string> messages;
    std::set<int> codes;
    const auto look_at = [&](const bad_row& row) {
        const auto error = refusal(row.text);
        REQUIRE(error.category() == sockeye::sockeye_category());
        codes.insert(error.value());
        messages.insert(error.message());
        CHECK(is_printable_ascii(error.message()));
        CHECK(error.message().size() > 20);
        CHECK(error.message().size() < 120);
    };
    std::ranges::for_each(bad_ip, look_at);
    std::ranges::for_each(bad_local, look_at);
    look_at({"unix:////////////////////////////////////////////////////////////////////////////"
             "//////////////////////////////////////",
             errc::endpoint_path_too_long});
    // 14 codes, of which one belongs to systems without abstract names.
    CHECK(codes.size() == 13);
    CHECK(messages.size() == codes.size());
}

namespace {

/// Text that is nearly an endpoint: pieces of good ones, joined and then damaged.
std::string nearly_an_endpoint(std::mt19937_64& random) {
    static constexpr std::string_view pieces[] = {
        "tcp://", "udp://", "unix:",          "unix-dgram:", "127.0.0.1", "[::1]", "[fe80::1%1]",
        "*",      ":",      "7007",           "0",           "65536",     "@",     "/run/x",
        "\\x41",  "\\x00",  "localhost",      "a.example",   "[",         "]",     "%",
        "::",     ".",      "\0"sv,           "\\",          "-",         " ",     "\xff",
        "1.2.3",  "0x7f.1", "::ffff:1.2.3.4",
    };
    std::string text;
    for (auto count = random() % 6; count > 0; --count) {
        text += pieces[random() % std::size(pieces)];
    }
    for (auto count = random() % 3; count > 0 && !text.empty(); --count) {
        text[random() % text.size()] = static_cast<char>(random());
    }
    if (random() % 64 == 0) {
        text.append(random() % 4000, static_cast<char>(random()));
    }
    return text;
}

/// An address of any bytes and any length, as no kernel gives it.
endpoint any_address(std::mt19937_64& random) {
    static constexpr int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC};
    sockaddr_storage storage = {};
    auto* bytes = reinterpret_cast<unsigned char*>(&storage);
    std::generate_n(bytes, sizeof storage,
                    [&] { return static_cast<unsigned char>(random() % 4 == 0 ? 0 : random()); });
    storage.ss_family = static_cast<sa_family_t>(families[random() % std::size(families)]);
    sockeye::platform::set_length(storage, sizeof storage);
    const auto kind = static_cast<transport>(random() % 4);
    return from_system(kind, storage, random() % (sizeof storage + 1));
}

/// Whether it is one of the few that endpoint.hpp names as not readable again.
bool is_readable_again(const endpoint& subject) {
    if (!subject.is_known() || subject.path().size() > path_bytes_max) {
        return false;
    }
    if (subject.family() == AF_UNIX && subject.path().empty()) {
        return sockeye::platform::has_abstract_names;
    }
    return subject.to_string().find('%') == std::string::npos || subject.family() != AF_INET6;
}

void try_one(std::mt19937_64& random) {
    const sockeye::endpoint_argument argument(nearly_an_endpoint(random));
    if (argument.get()) {
        check_round_trip(*argument.get());
    }
    if (const auto* const host = argument.host()) {
        // A name is one for every reader: nothing in it ends it early or makes it a number.
        REQUIRE(argument.get().error() == errc::endpoint_host_is_name);
        REQUIRE(host->name.size() <= 254);
        REQUIRE(is_printable_ascii(host->name));
        REQUIRE(host->name.find_first_of(":/@[]% ") == std::string::npos);
    }
    const auto made = any_address(random);
    REQUIRE(is_printable_ascii(made.to_string()));
    if (is_readable_again(made)) {
        check_round_trip(made);
    }
}

/// How long to go on, as tests/run --fuzz says; the default is a fixed number of tries.
std::chrono::seconds fuzz_time() {
    const char* text = std::getenv("SOCKEYE_FUZZ_SECONDS");
    return std::chrono::seconds(text != nullptr ? std::atol(text) : 0);
}

} // namespace

TEST_SUITE("fuzz") {
    TEST_CASE("endpoint: any text and any address is survived, and what is read prints and reads "
              "the same") {
        const auto seed = fuzz_time().count() > 0 ? std::random_device()() : 7007U;
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const auto end = std::chrono::steady_clock::now() + fuzz_time();
        std::size_t tries = 0;
        for (; tries < 20000 || std::chrono::steady_clock::now() < end; ++tries) {
            try_one(random);
        }
        CHECK(tries >= 20000);
    }
}
