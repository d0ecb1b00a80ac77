#include "support/program.hpp"
#include "support/refusal.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

using support::malformed;
using support::words;

namespace {

const std::string good_url = "http://127.0.0.1:1/name";
const std::string bad_port = "': the port must be a whole number from 1 to 65535";

std::string about_url(const std::string& url, const std::string& what) {
    return "sockeye fetch: URL '" + url + "': " + what;
}

const std::vector<malformed>& url_mistakes() {
    static const std::vector<malformed> table = {
        {{}, "sockeye fetch: URL is missing; see 'sockeye fetch --help'"},
        {{"--"}, "sockeye fetch: URL is missing; see 'sockeye fetch --help'"},
        {{"-v"}, "sockeye fetch: URL is missing; see 'sockeye fetch --help'"},
        {{""}, about_url("", "the URL is missing; write for example http://localhost:8000/")},
        {{good_url, good_url}, "sockeye fetch: 'http://127.0.0.1:1/name' is one argument too many"},
        {{"localhost"},
         about_url("localhost", "a URL begins with http://, as in 'http://localhost'")},
        {{"localhost:8000/x"},
         about_url("localhost:8000/x", "a URL begins with http://, as in "
                                       "'http://localhost:8000/x'")},
        {{"127.0.0.1:8000"}, about_url("127.0.0.1:8000", "a URL begins with http://...")},
        {{":8000"}, about_url(":8000", "a URL begins with http://...")},
        {{"[::1]:8000"}, about_url("[::1]:8000", "a URL begins with http://...")},
        {{"//host/x"}, about_url("//host/x", "a URL begins with http://, as in 'http://host/x'")},
        {{"/etc/passwd"}, about_url("/etc/passwd", "a URL begins with http://...")},
        {{"https://example.org/"},
         "sockeye fetch: https is not supported: this program speaks plain HTTP/1.1 only"},
        {{"HTTPS://EXAMPLE.ORG"},
         "sockeye fetch: https is not supported: this program speaks plain HTTP/1.1 only"},
        {{"ftp://h/x"}, about_url("ftp://h/x", "only http:// is supported")},
        {{"file:///etc/passwd"}, about_url("file:///etc/passwd", "only http:// is supported")},
        {{"tcp://127.0.0.1:1"}, about_url("tcp://127.0.0.1:1", "only http:// is supported")},
        {{"unix:/tmp/x"}, about_url("unix:/tmp/x", "only http:// is supported")},
        {{"javascript:alert"}, about_url("javascript:alert", "only http:// is supported")},
        {{"http:"}, about_url("http:", "two slashes and a host belong behind 'http:'")},
        {{"http:/h/x"}, about_url("http:/h/x", "two slashes and a host belong behind 'http:'")},
        {{"http://"}, about_url("http://", "the host is missing...")},
        {{"http:///x"}, about_url("http:///x", "the host is missing...")},
        {{"http://:8000/"}, about_url("http://:8000/", "the host is missing...")},
        {{"http://?x"}, about_url("http://?x", "the host is missing...")},
        {{"http://#x"}, about_url("http://#x", "the host is missing...")},
    };
    return table;
}

const std::vector<malformed>& host_and_path_mistakes() {
    static const std::vector<malformed> table = {
        {{"http://h:/"}, "sockeye fetch: URL 'http://h:/" + bad_port},
        {{"http://h:0/"}, "sockeye fetch: URL 'http://h:0/" + bad_port},
        {{"http://h:65536/"}, "sockeye fetch: URL 'http://h:65536/" + bad_port},
        {{"http://h:99999999999999999999/"},
         "sockeye fetch: URL 'http://h:99999999999999999999/" + bad_port},
        {{"http://h:-1/"}, "sockeye fetch: URL 'http://h:-1/" + bad_port},
        {{"http://h:+80/"}, "sockeye fetch: URL 'http://h:+80/" + bad_port},
        {{"http://h:0x50/"}, "sockeye fetch: URL 'http://h:0x50/" + bad_port},
        {{"http://h:80:80/"}, "sockeye fetch: URL 'http://h:80:80/" + bad_port},
        {{"http://[::1]8000/"}, "sockeye fetch: URL 'http://[::1]8000/" + bad_port},
        {{"http://[::1/"}, "sockeye fetch: URL 'http://[::1/': ..."},
        {{"http://[]/"}, "sockeye fetch: URL 'http://[]/': ..."},
        {{"http://[127.0.0.1]/"}, "sockeye fetch: URL 'http://[127.0.0.1]/': ..."},
        {{"http://[::1%25nosuch]/"}, "sockeye fetch: URL 'http://[::1%25nosuch]/': ..."},
        {{"http://::1/"}, "sockeye fetch: URL 'http://::1/': ..."},
        {{"http://*:80/"}, about_url("http://*:80/", "a host is a name, an IPv4 address...")},
        {{"http://256.1.1.1/"}, "sockeye fetch: URL 'http://256.1.1.1/': ..."},
        {{"http://a..b/"}, "sockeye fetch: URL 'http://a..b/': ..."},
        {{"http://" + std::string(300, 'a') + "/"}, "sockeye fetch: URL 'http://aaa..."},
        {{"http://user@h/"},
         about_url("http://user@h/", "user names in a URL are not supporte...")},
        {{"http://a:b@h/"}, about_url("http://a:b@h/", "user names in a URL are not supported...")},
        {{"http://h/a b"}, about_url("http://h/a b", "a space in a URL is written %20")},
        {{" http://h/"}, "sockeye fetch: URL ' http://h/': a URL begins with http://..."},
        {{"http://h/ "}, about_url("http://h/ ", "a space in a URL is written %20")},
        {{"http://h/\r\nX: y"},
         about_url("http://h/\\x0d\\x0aX: y", "there is a control character in it")},
        {{"http://h/\x1b[31m"}, about_url("http://h/\\x1b[31m", "there is a control charact...")},
        {{"http://h\t/"}, about_url("http://h\\x09/", "there is a control character in it")},
        {{"http://h/\x7f"}, about_url("http://h/\\x7f", "there is a control character in it")},
        {{"http://h/%"}, about_url("http://h/%", "two hexadecimal digits belong behind a '%'...")},
        {{"http://h/%2"}, about_url("http://h/%2", "two hexadecimal digits belong behind...")},
        {{"http://h/%zz"}, about_url("http://h/%zz", "two hexadecimal digits belong behind...")},
        {{"http://h%41/"}, about_url("http://h%41/", "a host is a name, an IPv4 address...")},
        {{"http://h\xc3\xa9/"}, about_url("http://h\\xc3\\xa9/", "a host is a name...")},
        {{"http://h/" + std::string(20000, 'x')}, "sockeye fetch: URL 'http://h/xxx..."},
    };
    return table;
}

const std::vector<malformed>& name_mistakes() {
    const auto about = [](const std::string& url, const std::string& name) {
        return about_url(url, "'" + name +
                                  "', which it ends in, is not a good name for a file; "
                                  "say -o FILE");
    };
    static const std::vector<malformed> table = {
        {{"http://h/.."}, about("http://h/..", "..")},
        {{"http://h/a/."}, about("http://h/a/.", ".")},
        {{"http://h/%2e%2e"}, about("http://h/%2e%2e", "..")},
        {{"http://h/..%2fx"}, about("http://h/..%2fx", "../x")},
        {{"http://h/%2fetc%2fx"}, about("http://h/%2fetc%2fx", "/etc/x")},
        {{"http://h/a%00b"}, about("http://h/a%00b", "a\\x00b")},
        {{"http://h/a%0ab"}, about("http://h/a%0ab", "a\\x0ab")},
        {{"http://h/.profile"}, about("http://h/.profile", ".profile")},
        {{"http://h/-rf"}, about("http://h/-rf", "-rf")},
        {{"http://h/" + std::string(251, 'x')}, "sockeye fetch: URL 'http://h/xxx..."},
    };
    return table;
}

/// Behind a URL that will do.
const std::vector<malformed>& option_mistakes() {
    const std::string bad_header = "sockeye fetch: --header ";
    static const std::vector<malformed> table = {
        {{"-o"}, "sockeye fetch: --output needs a value"},
        {{"-o", ""}, "sockeye fetch: --output '': the name of the file is missing"},
        {{"-o", "a", "-o", "b"}, "sockeye fetch: --output is given twice"},
        {{"-ff"}, "sockeye fetch: --force is given twice"},
        {{"--force=yes"}, "sockeye fetch: --force takes no value"},
        {{"-Io", "x"}, "sockeye fetch: --output excludes --head"},
        {{"-fI"}, "sockeye fetch: --force excludes --head"},
        {{"-46"}, "sockeye fetch: --ipv4 excludes --ipv6"},
        {{"-6"}, "sockeye fetch: endpoint 'tcp://127.0.0.1:1': is an IPv4 address, and -6..."},
        {{"--locaton"}, "sockeye fetch: no option '--locaton'; did you mean '--location'?"},
        {{"-X", "POST"}, "sockeye fetch: no option '-X'"},
        {{"-H"}, "sockeye fetch: --header needs a value"},
        {{"-H", ""}, bad_header + "'': a header is a name, a colon and a value..."},
        {{"-H", "Accept"}, bad_header + "'Accept': a header is a name, a colon and a value..."},
        {{"-H", ": x"}, bad_header + "': x': the name of a header is made of letters..."},
        {{"-H", "A B: x"}, bad_header + "'A B: x': the name of a header is made of letters..."},
        {{"-H", "A : x"}, bad_header + "'A : x': the name of a header is made of letters..."},
        {{"-H", "A\r\nB: x"}, bad_header + "'A\\x0d\\x0aB: x': the name of a header is..."},
        {{"-H", "A: x\r\nB: y"}, bad_header + "'A: x\\x0d\\x0aB: y': a header cannot hold..."},
        {{"-H", "A: x\n"}, bad_header + "'A: x\\x0a': a header cannot hold control..."},
        {{"-H", "A: \x1b"}, bad_header + "'A: \\x1b': a header cannot hold control..."},
        {{"-H", "A: " + std::string(20000, 'x')}, bad_header + "'A: xxx..."},
        {{"-H", "content-length: 5"}, bad_header + "'content-length: 5': this header is the..."},
        {{"-H", "Transfer-Encoding: chunked"},
         bad_header + "'Transfer-Encoding: chunked': this..."},
        {{"-H", "Connection: close"}, bad_header + "'Connection: close': this header is the..."},
        {{"-H", "Expect: x"}, bad_header + "'Expect: x': this header is the program's own to set"},
        {{"-H", "Host: a", "-H", "host: b"}, bad_header + "'host: b': there can be one Host only"},
        {{"--max-size"}, "sockeye fetch: --max-size needs a value"},
        {{"--max-size", "-1"}, "sockeye fetch: --max-size '-1': must be at least 0B"},
        {{"--max-size", "1X"}, "sockeye fetch: --max-size '1X': unknown unit 'X'..."},
        {{"--max-size=99999999999999999999"}, "sockeye fetch: --max-size '99999999999999999..."},
        {{"--idle-timeout", "soon"}, "sockeye fetch: --idle-timeout 'soon': not a time..."},
        {{"--idle-timeout", "1e9"}, "sockeye fetch: --idle-timeout '1e9': unknown unit 'e'..."},
        {{"--idle-timeout", "2000h"}, "sockeye fetch: --idle-timeout '2000h': must be at most..."},
        {{"--connect-timeout", "-1s"}, "sockeye fetch: --connect-timeout '-1s': must be at ..."},
        {{"-b", "epol"}, "sockeye fetch: --backend 'epol': no backend has this name; did you..."},
        {{"--color", "blue"}, "sockeye fetch: --color 'blue': use auto, always or never"},
    };
    return table;
}

} // namespace

TEST_CASE("fetch: a mistake on the command line is one line, exit 2, and no file") {
    auto table = url_mistakes();
    for (const auto* more : {&host_and_path_mistakes(), &name_mistakes()}) {
        table.insert(table.end(), more->begin(), more->end());
    }
    for (const auto& row : option_mistakes()) {
        words arguments = {good_url};
        arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
        table.push_back({arguments, row.message});
    }
    CHECK(table.size() >= 60);
    const support::scratch_directory directory;
    const auto home = directory.file("");
    const auto enter = [&home] { (void)!::chdir(home.c_str()); };
    for (const auto& row : table) {
        CAPTURE(support::shown(row.arguments));
        words arguments = {"fetch"};
        arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
        support::check_refusal(support::run_program(arguments, {.before_exec = enter}), 2,
                               row.message);
        CHECK(std::filesystem::is_empty(home));
    }
}

TEST_CASE("fetch: at most a hundred headers are sent") {
    words arguments = {"fetch", good_url};
    for (int i = 0; i < 101; ++i) {
        arguments.insert(arguments.end(), {"-H", "A: b"});
    }
    support::check_refusal(support::run_program(arguments), 2,
                           "sockeye fetch: more than 100 headers");
}
