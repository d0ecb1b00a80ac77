#include "support/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using support::outcome;
using support::run_program;
using support::words;

namespace {

/// Words behind `sockeye`, and what is said behind `sockeye COMMAND: `; the beginning of it where
/// it ends in `...`.
struct client_mistake {
    words arguments;
    std::string message;
};

std::string as_typed(const words& arguments) {
    std::string text = "sockeye";
    for (const auto& word : arguments) {
        text += " '" + word.substr(0, 60) + "'";
    }
    return text;
}

bool is_printable(char c) {
    return c == '\n' || (c >= ' ' && c <= '~');
}

void check_mistake(const client_mistake& row) {
    CAPTURE(as_typed(row.arguments));
    const auto ended = run_program(row.arguments);
    CHECK(ended.status == 2);
    CHECK(ended.output.empty());
    CHECK(std::ranges::count(ended.talk, '\n') == 1);
    CHECK(ended.talk.size() <= 400);
    CHECK(std::ranges::all_of(ended.talk, is_printable));
    auto message = "sockeye " + row.arguments.front() + ": " + row.message;
    if (message.ends_with("...")) {
        message.resize(message.size() - 3);
        CHECK(ended.talk.substr(0, message.size()) == message);
    } else {
        CHECK(ended.talk == message + "\n");
    }
}

void check_mistakes(const std::vector<client_mistake>& table) {
    for (const auto& row : table) {
        check_mistake(row);
    }
}

const std::string example_time = "use for example 500ms or 1m30s";
const std::string time_unit_list = "use ns us ms s m h, for example 500ms or 1m30s";
const std::string too_big = "18446744073709551616";
const std::string three_in_arabic = "\xd9\xa3";

/// What a time option says to values that are none.
void check_time_option(const words& command, const std::string& option, const std::string& least) {
    const auto given = [&](const std::string& value, const std::string& why) {
        auto all = command;
        all.push_back(option + "=" + value);
        std::string shown;
        for (const char c : value) {
            shown += c == '\xd9' ? "\\xd9" : c == '\xa3' ? "\\xa3" : std::string(1, c);
        }
        check_mistake({all, option + " '" + shown + "': " + why});
    };
    given("", "the time is missing; " + example_time);
    given("-1", "must be at least " + least);
    given("1e999", "unknown unit 'e'; " + time_unit_list);
    given("10x", "unknown unit 'x'; " + time_unit_list);
    given(too_big, "must be at most 1000h...");
    given("1001h", "must be at most 1000h...");
    given(three_in_arabic, "not a time; " + example_time);
    given("inf", "not a time; " + example_time);
    given(" 1", "not a time; " + example_time);
    auto bare = command;
    bare.push_back(option);
    check_mistake({bare, option + " needs a value"});
    auto twice = command;
    twice.insert(twice.end(), {option, "1s", option, "1s"});
    check_mistake({twice, option + " is given twice"});
}

} // namespace

TEST_CASE("clients: a malformed time is one line and exit 2") {
    check_time_option({"connect", ":7"}, "--linger", "0...");
    check_time_option({"connect", ":7"}, "--connect-timeout", "1ms...");
    check_time_option({"send", ":7"}, "--linger", "0...");
    check_time_option({"send", ":7"}, "--timeout", "1ms...");
    check_time_option({"send", ":7"}, "--connect-timeout", "1ms...");
    check_time_option({"ping", ":7"}, "--interval", "0...");
    check_time_option({"ping", ":7"}, "--timeout", "1ms...");
    check_time_option({"ping", ":7"}, "--connect-timeout", "1ms...");
    for (const std::string command : {"connect", "send", "ping"}) {
        check_mistake({{command, ":7", "--connect-timeout", "0"},
                       "--connect-timeout '0': must be at least 1ms..."});
    }
}

TEST_CASE("clients: a malformed count or size is one line and exit 2") {
    const std::vector<client_mistake> table = {
        {{"ping", ":7", "-n"}, "--count needs a value"},
        {{"ping", ":7", "-n", ""}, "--count '': the number is missing; use for example 50k"},
        {{"ping", ":7", "-n", "0"}, "--count '0': must be at least 1"},
        {{"ping", ":7", "-n", "-1"}, "--count '-1': must be at least 1"},
        {{"ping", ":7", "-n", "1e999"},
         "--count '1e999': unknown unit 'e999'; use k M, for example 50k"},
        {{"ping", ":7", "-n", "10x"}, "--count '10x': unknown unit 'x'; use k M, for example 50k"},
        {{"ping", ":7", "-n", "1.5"}, "--count '1.5': must be a whole number"},
        {{"ping", ":7", "-n", too_big}, "--count '" + too_big + "': must be at most ..."},
        {{"ping", ":7", "-n", three_in_arabic},
         "--count '\\xd9\\xa3': not a number; use for example 50k"},
        {{"ping", ":7", "-n", "1", "--count=1"}, "--count is given twice"},
        {{"ping", ":7", "-s"}, "--size needs a value"},
        {{"ping", ":7", "-s", ""}, "--size '': the size is missing; use for example 64KiB"},
        {{"ping", ":7", "-s", "0"}, "--size '0': must be at least 1B"},
        {{"ping", ":7", "-s", "-5"}, "--size '-5': must be at least 1B"},
        {{"ping", ":7", "-s", "1e999"}, "--size '1e999': unknown unit 'e999'; use B k K ..."},
        {{"ping", ":7", "-s", "10x"}, "--size '10x': unknown unit 'x'; use B k K ..."},
        {{"ping", ":7", "-s", too_big}, "--size '" + too_big + "': must be at most 1MiB"},
        {{"ping", ":7", "-s", "1025k"}, "--size '1025k': must be at most 1MiB"},
        {{"ping", ":7", "-s", three_in_arabic},
         "--size '\\xd9\\xa3': not a size; use for example 64KiB"},
        {{"ping", "udp://:7", "-s", "65508"},
         "--size '65508': one message here holds at most 65507 bytes"},
        {{"ping", "unix-seqpacket:/tmp/a", "-s", "65537"},
         "--size '65537': one message here holds at most 65536 bytes"},
    };
    check_mistakes(table);
}

TEST_CASE("clients: missing, superfluous and contradicting words are one line and exit 2") {
    const std::vector<client_mistake> table = {
        {{"connect"}, "ENDPOINT is missing; see 'sockeye connect --help'"},
        {{"send"}, "ENDPOINT is missing; see 'sockeye send --help'"},
        {{"ping"}, "ENDPOINT is missing; see 'sockeye ping --help'"},
        {{"connect", "--"}, "ENDPOINT is missing; see 'sockeye connect --help'"},
        {{"connect", ":7", ":8"}, "':8' is one argument too many"},
        {{"ping", ":7", "hello"}, "'hello' is one argument too many"},
        {{"hostname", "x"}, "'x' is one argument too many"},
        {{"connect", ":7", "--promt", "x"}, "no option '--promt'; did you mean '--prompt'?"},
        {{"connect", ":7", "--prompt"}, "--prompt needs a value"},
        {{"connect", ":7", "--prompt=a", "--prompt=b"}, "--prompt is given twice"},
        {{"connect", ":7", "--crlf=yes"}, "--crlf takes no value"},
        {{"connect", ":7", "--crlf", "--crlf"}, "--crlf is given twice"},
        {{"connect", ":7", "--crlf", "--no-newline"}, "--crlf excludes --no-newline"},
        {{"connect", ":7", "--quit"}, "no option '--quit'..."},
        {{"connect", ":7", "--quit-on-empty=1"}, "--quit-on-empty takes no value"},
        {{"connect", ":7", "-n", "1"}, "no option '-n'"},
        {{"connect", ":7", "-5"}, "no option '-5'"},
        {{"connect", ":7", "-\xc3\xa9"}, "no option '-\\xc3\\xa9'"},
        {{"connect", ":7", "-46"}, "--ipv4 excludes --ipv6"},
        {{"connect", ":7", "-44"}, "--ipv4 is given twice"},
        {{"connect", ":7", "-qv"}, "--quiet excludes --verbose"},
        {{"connect", ":7", "-b"}, "--backend needs a value"},
        {{"connect", ":7", "-b", "epol"},
         "--backend 'epol': no backend has this name; did you mean 'epoll'?"},
        {{"connect", ":7", "--color", "red"}, "--color 'red': use auto, always or never"},
        {{"send", ":7", "--line", "--crlf"}, "--line excludes --crlf"},
        {{"send", ":7", "--line=1"}, "--line takes no value"},
        {{"send", ":7", "--no-wait", "--timeout", "1s"}, "--no-wait excludes --timeout"},
        {{"send", ":7", "--keep-open=no"}, "--keep-open takes no value"},
        {{"send", ":7", "-x"}, "no option '-x'"},
        {{"ping", ":7", "-c", "4"}, "no option '-c'"},
        {{"ping", ":7", "--cont", "4"}, "no option '--cont'; did you mean '--count'?"},
        {{"hostname", "--fqdn", "--addresses"}, "--fqdn excludes --addresses"},
        {{"hostname", "--fqdn=1"}, "--fqdn takes no value"},
        {{"hostname", "--adresses"}, "no option '--adresses'; did you mean '--addresses'?"},
        {{"hostname", "-4"}, "-4 and -6 choose among --addresses"},
        {{"hostname", "-b", "poll"}, "no option '-b'"},
    };
    check_mistakes(table);
}

TEST_CASE("clients: what is no endpoint, or none for them, is one line and exit 2") {
    const std::vector<client_mistake> table = {
        {{"connect", "icmp://127.0.0.1"},
         "endpoint 'icmp://127.0.0.1': only 'sockeye ping' speaks ICMP"},
        {{"send", "icmp://127.0.0.1", "x"},
         "endpoint 'icmp://127.0.0.1': only 'sockeye ping' speaks ICMP"},
        {{"connect", "raw://127.0.0.1/17"},
         "endpoint 'raw://127.0.0.1/17': clients use tcp://, udp:// and Unix sockets"},
        {{"ping", "raw://127.0.0.1/1"},
         "endpoint 'raw://127.0.0.1/1': clients use tcp://, udp:// and Unix sockets"},
        {{"connect", ":0"}, "endpoint ':0': port 0 is nobody's; which one is meant?"},
        {{"send", "udp://example.org:0"},
         "endpoint 'udp://example.org:0': port 0 is nobody's; which one is meant?"},
        {{"connect", "http://127.0.0.1:80"}, "endpoint 'http://127.0.0.1:80': unknown scheme..."},
        {{"connect", "127.0.0.1"}, "endpoint '127.0.0.1': the port is missing..."},
        {{"connect", ""}, "endpoint '': nothing is written there..."},
        {{"connect", ":65536"}, "endpoint ':65536': the port must be a whole number..."},
        {{"connect", ":-1"}, "endpoint ':-1': the port must be a whole number..."},
        {{"connect", ":1e3"}, "endpoint ':1e3': the port must be a whole number..."},
        {{"connect", ":" + three_in_arabic},
         "endpoint ':\\xd9\\xa3': the port must be a whole number..."},
        {{"connect", "::1:7"}, "endpoint '::1:7': an IPv6 address needs brackets..."},
        {{"connect", "unix:"}, "endpoint 'unix:': the path is missing..."},
        {{"connect", "unix:/" + std::string(120, 'x')}, "endpoint 'unix:/xxxx..."},
        {{"connect", "-6", "127.0.0.1:7"},
         "endpoint '127.0.0.1:7': is an IPv4 address, and -6 asks for IPv6"},
        {{"send", "-4", "udp://[::1]:7"},
         "endpoint 'udp://[::1]:7': is an IPv6 address, and -4 asks for IPv4"},
        {{"connect", std::string(300, 'a') + ".org:7"}, "endpoint 'aaaa..."},
        {{"ping", "a\nb:7"}, "endpoint 'a\\x0ab:7': ..."},
    };
    check_mistakes(table);
}
