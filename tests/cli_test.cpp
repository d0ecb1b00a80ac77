#include "support/program.hpp"
#include "support/refusal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

using support::check_refusal;
using support::malformed;
using support::run_program;
using support::shown;
using support::words;

namespace {

const std::string port_message = ": the port must be a whole number from 0 to 65535";
const std::string long_text(1 << 16, 'x');

const std::vector<malformed>& general_mistakes() {
    static const std::vector<malformed> table = {
        {{"bnech"}, "sockeye: no command 'bnech'; did you mean 'bench'?"},
        {{"serv"}, "sockeye: no command 'serv'; did you mean 'serve'?"},
        {{"Serve"}, "sockeye: no command 'Serve'; did you mean 'serve'?"},
        {{"serve "}, "sockeye: no command 'serve '; did you mean 'serve'?"},
        {{""}, "sockeye: no command ''; see 'sockeye --help'"},
        {{"--"}, "sockeye: no option '--' here..."},
        {{"-"}, "sockeye: no command '-'; see 'sockeye --help'"},
        {{"xyzzy"}, "sockeye: no command 'xyzzy'; see 'sockeye --help'"},
        {{"a\nb\x1b[31m"}, "sockeye: no command 'a\\x0ab\\x1b[31m'; see 'sockeye --help'"},
        {{long_text}, "sockeye: no command 'xxxx..."},
        {{"--bogus"}, "sockeye: no option '--bogus' here; options go behind the command..."},
        {{"-q", "serve", "echo"}, "sockeye: no option '-q' here; options go behind the command..."},
        {{"--backend=poll", "serve", "echo"}, "sockeye: no option '--backend=poll' here..."},
        {{"help", "srve"}, "sockeye help: no command 'srve'; did you mean 'serve'?"},
        {{"help", "serve", "x"}, "sockeye help: 'x' is one argument too many"},
        {{"backends", "x"}, "sockeye backends: 'x' is one argument too many"},
        {{"backends", "--", "-q"}, "sockeye backends: '-q' is one argument too many"},
        {{"backends", "--jsn"}, "sockeye backends: no option '--jsn'; did you mean '--json'?"},
        {{"backends", "--js"}, "sockeye backends: no option '--js'; did you mean '--json'?"},
        {{"backends", "--json", "--json"}, "sockeye backends: --json is given twice"},
        {{"backends", "--json=yes"}, "sockeye backends: --json takes no value"},
        {{"backends", "--json="}, "sockeye backends: --json takes no value"},
        {{"backends", "--json", "-q"}, "sockeye backends: --quiet excludes --json"},
        {{"backends", "-b", "poll"}, "sockeye backends: no option '-b'"},
        {{"backends", "--color"}, "sockeye backends: --color needs a value"},
        {{"backends", "--color="}, "sockeye backends: --color '': use auto, always or never"},
        {{"backends", "--color", "Never"},
         "sockeye backends: --color 'Never': use auto, always or never"},
    };
    return table;
}

const std::vector<malformed>& serve_mistakes() {
    static const std::vector<malformed> table = {
        {{}, "sockeye serve: SERVICE is missing; see 'sockeye serve --help'"},
        {{"-q"}, "sockeye serve: SERVICE is missing; see 'sockeye serve --help'"},
        {{"--"}, "sockeye serve: SERVICE is missing; see 'sockeye serve --help'"},
        {{"ehco"}, "sockeye serve: no service 'ehco'; did you mean 'echo'?"},
        {{"ECHO"}, "sockeye serve: no service 'ECHO'..."},
        {{""}, "sockeye serve: the name of a service is missing; there is echo..."},
        {{"echo,"}, "sockeye serve: the name of a service is missing; there is echo..."},
        {{",echo"}, "sockeye serve: the name of a service is missing; there is echo..."},
        {{"echo,echo"}, "sockeye serve: service 'echo' is named twice"},
        {{"echo\x07"}, "sockeye serve: no service 'echo\\x07'; did you mean 'echo'?"},
        {{long_text}, "sockeye serve: no service 'xxxx..."},
        {{"echo", "--bakend", "poll"},
         "sockeye serve: no option '--bakend'; did you mean '--backend'?"},
        {{"echo", "--back", "poll"},
         "sockeye serve: no option '--back'; did you mean '--backend'?"},
        {{"echo", "--verbos"}, "sockeye serve: no option '--verbos'; did you mean '--verbose'?"},
        {{"echo", "--" + long_text}, "sockeye serve: no option '--xxxx..."},
        {{"echo", "--=5"}, "sockeye serve: no option '--'"},
        {{"echo", "-z"}, "sockeye serve: no option '-z'"},
        {{"echo", "-5"}, "sockeye serve: no option '-5'"},
        {{"echo", "-qz"}, "sockeye serve: no option '-z' in '-qz'"},
        {{"echo", "-\xc3\xa9"}, "sockeye serve: no option '-\\xc3\\xa9'"},
        {{"echo", "-b"}, "sockeye serve: --backend needs a value"},
        {{"echo", "--backend"}, "sockeye serve: --backend needs a value"},
        {{"echo", "--backend="}, "sockeye serve: --backend '': no backend has this name..."},
        {{"echo", "--backend=", "poll"},
         "sockeye serve: --backend '': no backend has this name..."},
        {{"echo", "-b", "epol"},
         "sockeye serve: --backend 'epol': no backend has this name; did you mean 'epoll'?"},
        {{"echo", "-b", "Poll"},
         "sockeye serve: --backend 'Poll': no backend has this name; did you mean 'poll'?"},
        {{"echo", "-bq"}, "sockeye serve: --backend 'q': no backend has this name..."},
        {{"echo", "-b", "--quiet"},
         "sockeye serve: --backend '--quiet': no backend has this name..."},
        {{"echo", "-b", "poll", "-b", "poll"}, "sockeye serve: --backend is given twice"},
        {{"-b", "poll", "echo", "--backend=select"}, "sockeye serve: --backend is given twice"},
        {{"echo", "-q", "--quiet"}, "sockeye serve: --quiet is given twice"},
        {{"echo", "-qq"}, "sockeye serve: --quiet is given twice"},
        {{"echo", "-qv"}, "sockeye serve: --quiet excludes --verbose"},
        {{"echo", "--quiet=1"}, "sockeye serve: --quiet takes no value"},
        {{"echo", "--allow-public-udp=no"}, "sockeye serve: --allow-public-udp takes no value"},
    };
    return table;
}

const std::vector<malformed>& service_mistakes() {
    static const std::vector<malformed> table = {
        {{"small,echo"}, "sockeye serve: service 'echo' is named twice"},
        {{"smal"}, "sockeye serve: no service 'smal'; did you mean 'small'?"},
        {{"timestmap"}, "sockeye serve: no service 'timestmap'; did you mean 'timestamp'?"},
        {{"greet", "udp://:0"}, "sockeye serve: udp://127.0.0.1:0: greet speaks first, so..."},
        {{"greet", "unix-dgram:@x"}, "sockeye serve: unix-dgram:@x: greet speaks first, so..."},
        {{"echo", "icmp://127.0.0.1"}, "sockeye serve: icmp://127.0.0.1: services are served..."},
        {{"echo", "raw://127.0.0.1/17"}, "sockeye serve: raw://127.0.0.1/17: services are..."},
        {{"echo,hello", ":7000"}, "sockeye serve: tcp://127.0.0.1:7000 is given to echo and to..."},
        {{"echo,hello", "unix:/x"}, "sockeye serve: unix:/x is given to echo and to hello; ..."},
        {{"hello", "--lines"}, "sockeye serve: --lines is for the service timestamp, which..."},
        {{"hello", "--text", "x"}, "sockeye serve: --text is for the service greet, which is..."},
        {{"greet", "--text"}, "sockeye serve: --text needs a value"},
        {{"greet", "--text", "a\nb"},
         "sockeye serve: --text 'a\\x0ab': must be one line; its end is added"},
        {{"greet", "--text", "\xc3"}, "sockeye serve: --text '\\xc3': is not UTF-8"},
        {{"greet", "--text", std::string(65537, 'x')}, "sockeye serve: --text 'xxxx..."},
        {{"greet", "--text", "a", "--text", "b"}, "sockeye serve: --text is given twice"},
        {{"echo", "--unlink"}, "sockeye serve: --unlink is for unix: and unix-dgram: paths..."},
        {{"echo", "unix:@x", "--unlink"}, "sockeye serve: --unlink is for unix: and unix-dgram..."},
        {{"echo", "-4", "-6"}, "sockeye serve: --ipv4 excludes --ipv6"},
        {{"echo", "-6", "127.0.0.1:0"},
         "sockeye serve: endpoint '127.0.0.1:0': is an IPv4 address, and -6 asks for IPv6"},
        {{"echo", "-4", "[::1]:0"},
         "sockeye serve: endpoint '[::1]:0': is an IPv6 address, and -4 asks for IPv4"},
        {{"echo", "-6", ":70000"}, "sockeye serve: endpoint ':70000'" + port_message},
        {{"echo", "--stats=0"}, "sockeye serve: --stats '0': must be at least 1ms"},
        {{"echo", "--stats="}, "sockeye serve: --stats '': the time is missing..."},
        {{"echo", "--stats", "--stats"}, "sockeye serve: --stats is given twice"},
        {{"echo", "--once=yes"}, "sockeye serve: --once takes no value"},
        {{"echo", "--onec"}, "sockeye serve: no option '--onec'; did you mean '--once'?"},
        {{"echo", "--threads", "0"}, "sockeye serve: --threads '0': must be at least 1"},
        {{"echo", "--threads", "257"}, "sockeye serve: --threads '257': must be at most 256"},
        {{"echo", "--thread", "2"}, "sockeye serve: no option '--thread'; did you mean '--thr..."},
    };
    return table;
}

/// Each option with a value, and values that none of them takes.
std::vector<malformed> value_mistakes() {
    std::vector<malformed> all;
    for (const std::string option :
         {"--max-connections", "--max-per-source", "--idle-timeout",     "--first-byte-timeout",
          "--min-rate",        "--max-lifetime",   "--udp-rate",         "--udp-rate-per-source",
          "--stop-timeout",    "--queue-high",     "--queue-max",        "--max-queued",
          "--max-line",        "--backlog",        "--accepts-per-turn", "--receive-buffer",
          "--send-buffer",     "--log-lines",      "--threads",          "--delay"}) {
        for (const std::string value :
             {"", "-1", "1e999", "10x", "18446744073709551616", "\xc2\xbd"}) {
            all.push_back({{"echo", option, value}, "sockeye serve: " + option + " '..."});
        }
    }
    return all;
}

const std::vector<malformed>& limit_mistakes() {
    static const std::vector<malformed> table = {
        {{"echo", "--max-connections"}, "sockeye serve: --max-connections needs a value"},
        {{"echo", "--max-connections="},
         "sockeye serve: --max-connections '': the number is missing; use for example 50k"},
        {{"echo", "--max-connections", "-1"},
         "sockeye serve: --max-connections '-1': must be at least 1"},
        {{"echo", "--max-connections", "0"},
         "sockeye serve: --max-connections '0': must be at least 1"},
        {{"echo", "--max-connections", "10x"},
         "sockeye serve: --max-connections '10x': unknown unit 'x'; use k M, for example 50k"},
        {{"echo", "--max-connections", "1e3"},
         "sockeye serve: --max-connections '1e3': unknown unit 'e3'; use k M, for example 50k"},
        {{"echo", "--max-connections", "1e999"}, "sockeye serve: --max-connections '1e999': ..."},
        {{"echo", "--max-connections", "18446744073709551616"},
         "sockeye serve: --max-connections '18446744073709551616': must be at most 10000000"},
        {{"echo", "--max-connections", "\xd9\xa3"},
         "sockeye serve: --max-connections '\\xd9\\xa3': not a number; use for example 50k"},
        {{"echo", "--max-connections", "9999999"},
         "sockeye serve: 9999999 connections need 10000063 descriptors but the hard limit is ..."},
    };
    return table;
}

/// All mistakes behind `serve` that are not about endpoints.
std::vector<malformed> all_serve_mistakes() {
    auto all = serve_mistakes();
    for (const auto& more : {service_mistakes(), limit_mistakes()}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

/// Endpoints that are none, and what is said about each.
const std::vector<malformed>& endpoint_mistakes() {
    static const std::vector<malformed> table = {
        {{""}, "sockeye serve: endpoint '': nothing is written there..."},
        {{" "}, "sockeye serve: endpoint ' ': ..."},
        {{":"}, "sockeye serve: endpoint ':': the port is missing..."},
        {{":70000"}, "sockeye serve: endpoint ':70000'" + port_message},
        {{":65536"}, "sockeye serve: endpoint ':65536'" + port_message},
        {{":-1"}, "sockeye serve: endpoint ':-1'" + port_message},
        {{":0x50"}, "sockeye serve: endpoint ':0x50'" + port_message},
        {{":80 "}, "sockeye serve: endpoint ':80 '" + port_message},
        {{":+80"}, "sockeye serve: endpoint ':+80'" + port_message},
        {{":99999999999999999999"},
         "sockeye serve: endpoint ':99999999999999999999'" + port_message},
        {{":7\n"}, "sockeye serve: endpoint ':7\\x0a'" + port_message},
        {{"tcp://"}, "sockeye serve: endpoint 'tcp://': the address is missing..."},
        {{"tcp://127.0.0.1"}, "sockeye serve: endpoint 'tcp://127.0.0.1': the port is missing..."},
        {{"tcp://127.0.0.1:"},
         "sockeye serve: endpoint 'tcp://127.0.0.1:': the port is missing..."},
        {{"tcp://256.1.1.1:1"},
         "sockeye serve: endpoint 'tcp://256.1.1.1:1': not an IP address..."},
        {{"TCP//1.1.1.1:1"}, "sockeye serve: endpoint 'TCP//1.1.1.1:1': ..."},
        {{"http://127.0.0.1:1"}, "sockeye serve: endpoint 'http://127.0.0.1:1': unknown scheme..."},
        {{"example.org:1"}, "sockeye serve: endpoint 'example.org:1': host names are not..."},
        {{"::1:80"}, "sockeye serve: endpoint '::1:80': an IPv6 address needs brackets..."},
        {{"[::1]"}, "sockeye serve: endpoint '[::1]': the port is missing..."},
        {{"[::1:80"}, "sockeye serve: endpoint '[::1:80': ..."},
        {{"[::1%99999]:7"}, "sockeye serve: endpoint '[::1%99999]:7': no interface..."},
        {{"{}"}, "sockeye serve: endpoint '{}': ..."},
        {{"[a,b]"}, "sockeye serve: endpoint '[a,b]': ..."},
        {{"++"}, "sockeye serve: endpoint '++': ..."},
        {{"--", "-b"}, "sockeye serve: endpoint '-b': ..."},
        {{"--", "--"}, "sockeye serve: endpoint '--': ..."},
        {{"unix:"}, "sockeye serve: endpoint 'unix:': the path is missing..."},
        {{"unix:/" + std::string(120, 'x')}, "sockeye serve: endpoint 'unix:/xxxx..."},
        {{"tcp://" + long_text + ":1"}, "sockeye serve: endpoint 'tcp://xxxx..."},
        {{"udp://*:0"}, "sockeye serve: udp://0.0.0.0:0: a UDP service that others can reach..."},
        {{"udp://[::]:0"}, "sockeye serve: udp://[::]:0: a UDP service that others can reach..."},
    };
    return table;
}

/// The words of an endpoint mistake: a good endpoint stands before it, and must stay unopened.
words serving_before(const std::string& path, const words& endpoints) {
    words all = {"serve", "echo", "unix:" + path};
    all.insert(all.end(), endpoints.begin(), endpoints.end());
    return all;
}

words prefixed(std::string first, const words& others) {
    words all = {std::move(first)};
    all.insert(all.end(), others.begin(), others.end());
    return all;
}

/// How often `arguments` make the program call bind(2) or listen(2).
long count_binds(const words& arguments) {
    words command = {
        "strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=bind,listen", support::program_path()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    // LeakSanitizer refuses to work under a tracer.
    const auto traced = support::run(command, {.environment = {"ASAN_OPTIONS=detect_leaks=0"}});
    return std::ranges::count(traced.talk, '\n') - 1;
}

} // namespace

TEST_CASE("cli: a malformed command line is one line and exit 2") {
    for (const auto& row : general_mistakes()) {
        CAPTURE(shown(row.arguments));
        check_refusal(run_program(row.arguments), 2, row.message);
    }
    for (const auto& row : all_serve_mistakes()) {
        CAPTURE(shown(row.arguments));
        check_refusal(run_program(prefixed("serve", row.arguments)), 2, row.message);
    }
}

TEST_CASE("cli: what is no value is one line and exit 2, for every option of serve") {
    for (const auto& row : value_mistakes()) {
        CAPTURE(shown(row.arguments));
        check_refusal(run_program(prefixed("serve", row.arguments)), 2, row.message);
    }
}

TEST_CASE("cli: a malformed endpoint is one line and exit 2, and the ones before it stay closed") {
    const support::scratch_directory directory;
    const auto path = directory.file("socket");
    for (const auto& row : endpoint_mistakes()) {
        CAPTURE(shown(row.arguments));
        check_refusal(run_program(serving_before(path, row.arguments)), 2, row.message);
        CHECK_FALSE(std::filesystem::exists(path));
    }
}

TEST_CASE("cli: no malformed command line opens a socket" *
          doctest::skip(!support::is_installed("strace"))) {
    const support::scratch_directory directory;
    const auto path = directory.file("socket");
    for (const auto& row : endpoint_mistakes()) {
        CAPTURE(shown(row.arguments));
        CHECK(count_binds(serving_before(path, row.arguments)) == 0);
    }
    for (const auto& row : all_serve_mistakes()) {
        CAPTURE(shown(row.arguments));
        CHECK(count_binds(prefixed("serve", row.arguments)) == 0);
    }
}

TEST_CASE("cli: alone it prints ten lines at most, with examples, and exits 2") {
    const auto ended = run_program({});
    CHECK(ended.status == 2);
    CHECK(ended.output.empty());
    CHECK(ended.talk.starts_with("usage: sockeye COMMAND"));
    CHECK(std::ranges::count(ended.talk, '\n') <= 10);
    CHECK(ended.talk.find("sockeye serve echo") != std::string::npos);
}

TEST_CASE("cli: help and version go to standard output and exit 0") {
    for (const auto& arguments : std::vector<words>{{"--help"},
                                                    {"-h"},
                                                    {"help"},
                                                    {"help", "serve"},
                                                    {"serve", "--help"},
                                                    {"serve", "echo", "-h"},
                                                    {"serve", "-qh"},
                                                    {"backends", "--help"}}) {
        CAPTURE(shown(arguments));
        const auto ended = run_program(arguments);
        CHECK(ended.status == 0);
        CHECK(ended.output.starts_with("usage: sockeye "));
        CHECK(ended.output.find("Examples:") < ended.output.find("ptions:"));
        CHECK(ended.talk.empty());
    }
    for (const auto& arguments :
         std::vector<words>{{"--version"}, {"-V"}, {"serve", "-V"}, {"backends", "--version"}}) {
        CAPTURE(shown(arguments));
        const auto ended = run_program(arguments);
        CHECK(ended.status == 0);
        CHECK(ended.output.starts_with("sockeye "));
        CHECK(std::ranges::count(ended.output, '\n') == 1);
    }
}

TEST_CASE("cli: every help has examples of its own, and the program's says what values look like") {
    const auto program = support::run_program({"--help"}).output;
    CHECK(program.find("Times: 500ms, ") != std::string::npos);
    const auto help = support::run_program({"help", "help"}).output;
    CHECK(help.find("\nExamples:\n  sockeye help\n  sockeye help serve\n") != std::string::npos);
    const auto manual = support::run_program({"help", "manual"}).output;
    CHECK(manual.find("\nExamples:\n  sockeye manual serve ") != std::string::npos);
}

TEST_CASE("cli: no line of help is longer than 80 characters") {
    for (const auto& arguments : std::vector<words>{
             {"--help"}, {"help", "serve"}, {"help", "backends"}, {"help", "help"}}) {
        std::string_view text;
        const auto ended = run_program(arguments);
        text = ended.output;
        while (!text.empty()) {
            const auto line = text.substr(0, text.find('\n'));
            text.remove_prefix(line.size() + 1);
            CAPTURE(line);
            CHECK(line.size() <= 80);
        }
    }
}

TEST_CASE("cli: backends prints the table, the names or JSON") {
    const auto table = run_program({"backends"});
    CHECK(table.status == 0);
    CHECK(table.talk.empty());
    CHECK(table.output.starts_with("  BACKEND   USABLE  NOTES\n* "));
    for (const auto* name : {"epoll", "kqueue", "poll", "select"}) {
        CAPTURE(name);
        CHECK(table.output.find(name) != std::string::npos);
    }
    const auto names = run_program({"backends", "-q"});
    CHECK(names.status == 0);
    CHECK(names.output.ends_with("poll\nselect\n"));
    const auto json = run_program({"backends", "--json"});
    CHECK(json.status == 0);
    CHECK(json.output.starts_with("[\n  {\n    \"name\": "));
    CHECK(json.output.find("\"default\": true") != std::string::npos);
}

TEST_CASE("cli: SOCKEYE_BACKEND moves the default") {
    const auto table = run_program({"backends"}, {.environment = {"SOCKEYE_BACKEND=select"}});
    CHECK(table.status == 0);
    CHECK(table.output.find("\n* select ") != std::string::npos);
    CHECK(run_program({"backends"}, {.environment = {"SOCKEYE_BACKEND="}}).output ==
          run_program({"backends"}).output);
}

TEST_CASE("cli: a bad SOCKEYE_BACKEND is one line and exit 2, whatever the command") {
    for (const auto& arguments : std::vector<words>{{"backends"}, {"serve", "echo", ":0"}}) {
        CAPTURE(shown(arguments));
        check_refusal(run_program(arguments, {.environment = {"SOCKEYE_BACKEND=epol"}}), 2,
                      "sockeye " + arguments.front() +
                          ": SOCKEYE_BACKEND 'epol': no backend has this name; did you mean "
                          "'epoll'?");
    }
}

TEST_CASE("cli: a backend that is not available here is one line and exit 5") {
    const auto usable = run_program({"backends", "-q"}).output;
    for (const std::string name : {"epoll", "kqueue", "poll", "select"}) {
        if (("\n" + usable).find("\n" + name + "\n") != std::string::npos) {
            continue;
        }
        CAPTURE(name);
        const auto line = "sockeye serve: backend '" + name + "' is not available here: ...";
        check_refusal(run_program({"serve", "echo", ":0", "-b", name}), 5, line);
        check_refusal(
            run_program({"serve", "echo", ":0"}, {.environment = {"SOCKEYE_BACKEND=" + name}}), 5,
            line);
        const auto table = run_program({"backends"}, {.environment = {"SOCKEYE_BACKEND=" + name}});
        CHECK(table.status == 0);
        CHECK(table.output.ends_with("SOCKEYE_BACKEND names " + name +
                                     ", which is not usable here\n"));
    }
}

TEST_CASE("cli: a link named sockeye-NAME is the command NAME") {
    const support::scratch_directory directory;
    const auto link = directory.file("sockeye-backends");
    std::filesystem::create_symlink(support::program_path(), link);
    CHECK(support::run({link, "-q"}).output == run_program({"backends", "-q"}).output);
    check_refusal(support::run({link, "x"}), 2, "sockeye backends: 'x' is one argument too many");
    const auto unknown = directory.file("sockeye-dance");
    std::filesystem::create_symlink(support::program_path(), unknown);
    check_refusal(support::run({unknown}), 2, "sockeye: no command 'dance'; see 'sockeye --help'");
}

TEST_CASE("cli: a reader that went away is no failure, a full disk is") {
    const auto piped = support::run(
        {"sh", "-c", "\"$0\" --help | head -1; \"$0\" backends >&-", support::program_path()});
    CHECK(piped.output.starts_with("usage: sockeye"));
    CHECK(piped.talk.empty());
    CHECK(piped.status == 0);
    if (::access("/dev/full", W_OK) == 0) {
        check_refusal(
            support::run({"sh", "-c", "exec \"$0\" backends >/dev/full", support::program_path()}),
            1, "sockeye backends: standard output: No space left on device");
    }
}
