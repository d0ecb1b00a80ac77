#include "cli/fetch_progress.hpp"
#include "support/program.hpp"
#include "support/refusal.hpp"
#include "support/scripted_http.hpp"
#include "support/server_program.hpp"
#include "support/support.hpp"

#include <sockeye/endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using support::check_refusal;
using support::outcome;
using support::script;
using support::scripted_http;
using support::words;

namespace {

namespace files = std::filesystem;

const std::string ok_line = "HTTP/1.1 200 OK\r\n";

std::string counted_answer(const std::string& body) {
    return ok_line + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// In chunks of all sizes up to some thousands.
std::string chunked_answer(std::string_view body) {
    auto text = ok_line + "Transfer-Encoding: chunked\r\n\r\n";
    for (std::size_t size = 1; !body.empty(); size = size * 3 % 7919 + 1) {
        const auto part = body.substr(0, size);
        body.remove_prefix(part.size());
        char digits[20];
        std::snprintf(digits, sizeof digits, "%zx\r\n", part.size());
        text += digits + std::string(part) + "\r\n";
    }
    return text + "0\r\n\r\n";
}

std::string random_body(std::size_t count) {
    std::mt19937 random(static_cast<unsigned>(count));
    std::string data(count, '\0');
    std::ranges::generate(data, [&] { return static_cast<char>(random()); });
    return data;
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

/// A directory to fetch into.
class place {
public:
    [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
    [[nodiscard]] std::string content(const std::string& name) const {
        return content_of(file(name));
    }
    [[nodiscard]] words names() const {
        words found;
        for (const auto& entry : files::directory_iterator(file(""))) {
            found.push_back(entry.path().filename().string());
        }
        std::ranges::sort(found);
        return found;
    }
    /// What starts a process in it.
    [[nodiscard]] support::start_options inside() const {
        return {.before_exec = [path = file("")] { (void)!::chdir(path.c_str()); }};
    }
    [[nodiscard]] outcome fetch(const words& arguments) const {
        words all = {"fetch"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return support::run_program(all, inside());
    }

private:
    support::scratch_directory directory_;
};

/// Waits until `is_true`; the test fails where it never becomes so.
void wait_until(const std::function<bool()>& is_true) {
    const auto deadline = std::chrono::steady_clock::now() + support::patience;
    while (!is_true() && std::chrono::steady_clock::now() < deadline) {
        ::poll(nullptr, 0, 1);
    }
    CHECK(is_true());
}

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

} // namespace

TEST_CASE("fetch: the head is printed and the body saved under the last segment of the URL") {
    scripted_http server({{{counted_answer("hello\n")}}});
    const place here;
    const auto ended = here.fetch({server.url("/a/notes.txt?page=2#top")});
    CHECK(ended.status == 0);
    CHECK(ended.talk.empty());
    CHECK(ended.output.starts_with("HTTP/1.1 200 OK\nContent-Length: 6\n\n"
                                   "saved notes.txt (6 bytes in "));
    CHECK(ended.output.ends_with(" s)\n"));
    CHECK(here.names() == words{"notes.txt"});
    CHECK(here.content("notes.txt") == "hello\n");
    CHECK(server.requests() == words{"GET /a/notes.txt?page=2 HTTP/1.1\r\nHost: 127.0.0.1:" +
                                     std::to_string(server.port()) +
                                     "\r\nUser-Agent: sockeye/" SOCKEYE_VERSION
                                     "\r\nAccept: */*\r\nConnection: close\r\n\r\n"});
}

TEST_CASE("fetch: a body is saved to the byte however it is framed, on every backend") {
    const auto large = random_body(3'000'000);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        for (const auto& body : words{"", "x", large}) {
            CAPTURE(body.size());
            scripted_http server({{{counted_answer(body)}},
                                  {{counted_answer(body)}, script::ending::hold},
                                  {{chunked_answer(body)}, script::ending::hold},
                                  {{ok_line + "\r\n" + body}},
                                  {{"HTTP/1.0 200 OK\n\n", body}}});
            const place here;
            for (int i = 0; i < 5; ++i) {
                CAPTURE(i);
                const auto ended = here.fetch({server.url("/"), "-fb", backend});
                CHECK(ended.status == 0);
                CHECK(ended.talk.empty());
                CHECK(here.names() == words{"index.html"});
                CHECK((here.content("index.html") == body));
            }
        }
    }
}

TEST_CASE("fetch: an error page is saved too, and is exit 1") {
    scripted_http server({{{"HTTP/1.1 404 No \x1b[31mpage\r\n\r\ngone"}},
                          {{"HTTP/1.1 404 No \\ page\r\n\r\ngone"}}});
    const place here;
    const auto refused = here.fetch({server.url("/x")});
    CHECK(refused.status == 1);
    CHECK(has(refused.talk, "bad status line: 'HTTP/1.1 404 No \\x1b[31mpage'"));
    const auto ended = here.fetch({server.url("/x")});
    CHECK(ended.status == 1);
    CHECK(ended.talk ==
          "sockeye fetch: " + server.url("/x") + ": the server answered '404 No \\x5c page'\n");
    CHECK(here.content("x") == "gone");
}

TEST_CASE("fetch: a body that is not whole is one line, exit 1, and kept as NAME.part") {
    struct row {
        script said;
        std::string message;
        std::string kept;
    };
    const auto chunked_head = ok_line + "Transfer-Encoding: chunked\r\n\r\n";
    const std::vector<row> table = {
        {{{ok_line + "Content-Length: 10\r\n\r\nhello"}},
         "the body is cut short: 5 of 10",
         "hello"},
        {{{ok_line + "Content-Length: 10\r\n\r\n"}}, "the body is cut short: 0 of 10 bytes", ""},
        {{{chunked_head + "5\r\nhello\r\n"}}, "the body is cut short: its last chunk", "hello"},
        {{{chunked_head + "5\r\nhellooo"}}, "the server sent a chunk that is longer", "hello"},
        {{{chunked_head + "5\r\nhello\r\nx\r\n"}}, "the server sent a bad size of a ch", "hello"},
    };
    for (const auto& row : table) {
        CAPTURE(row.message);
        scripted_http server({row.said});
        const place here;
        const auto ended = here.fetch({server.url("/x")});
        CHECK(ended.status == 1);
        CHECK(std::ranges::count(ended.talk, '\n') == 1);
        CHECK(ended.talk.starts_with("sockeye fetch: " + server.url("/x") + ": " + row.message));
        CHECK(ended.talk.ends_with(" kept in x.part\n"));
        CHECK(here.names() == words{"x.part"});
        CHECK(here.content("x.part") == row.kept);
    }
}

TEST_CASE("fetch: a reset is told, and what came before it is kept") {
    const place here;
    script said = {{ok_line + "Content-Length: 10\r\n\r\nhello"}, script::ending::reset};
    said.after_first = [&] { wait_until([&] { return here.content("x.part") == "hello"; }); };
    scripted_http server({said});
    const auto ended = here.fetch({server.url("/x"), "-q"});
    CHECK(ended.status == 1);
    CHECK(ended.talk == "sockeye fetch: " + server.url("/x") +
                            ": Connection reset by peer, after 5 bytes of the body; 5 bytes are "
                            "kept in x.part\n");
    CHECK(here.content("x.part") == "hello");
    scripted_http early({{{"HTTP/1.1 2"}, script::ending::reset}});
    check_refusal(here.fetch({early.url("/y")}), 1,
                  "sockeye fetch: " + early.url("/y") +
                      ": Connection reset by peer before the head of its answer was whole");
}

TEST_CASE("fetch: an answer that is none is one line, exit 1, and no file") {
    for (const std::string text :
         {"", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"}) {
        CAPTURE(text);
        scripted_http server({{{text}}});
        const place here;
        check_refusal(here.fetch({server.url("/x")}), 1, "sockeye fetch: http://127.0.0.1:...");
        CHECK(here.names().empty());
    }
    const auto refusing = support::make_bound_tcp_socket();
    sockeye::endpoint local;
    socklen_t size = sockeye::endpoint::room_size();
    REQUIRE(::getsockname(refusing.get(), local.room(), &size) == 0);
    local.filled(sockeye::transport::tcp, size);
    const auto url = "http://127.0.0.1:" + std::to_string(local.port()) + "/";
    const place here;
    check_refusal(here.fetch({url}), 1,
                  "sockeye fetch: " + url + ": connection refused: nobody listens there");
    CHECK(here.names().empty());
}

TEST_CASE("fetch: files that are there are kept unless -f is given, and links are not followed") {
    const place here;
    write_file(here.file("x"), "mine");
    check_refusal(here.fetch({"http://127.0.0.1:1/x"}), 1,
                  "sockeye fetch: x: is there already; -f overwrites it, -o FILE chooses another");
    write_file(here.file("y.part"), "mine");
    check_refusal(here.fetch({"http://127.0.0.1:1/y"}), 1,
                  "sockeye fetch: y.part: is there already, perhaps from an earlier try; -f "
                  "overwrites it");
    files::create_directory(here.file("d"));
    check_refusal(here.fetch({"http://127.0.0.1:1/d", "-f"}), 1,
                  "sockeye fetch: d: is a directory");
    REQUIRE(::mkfifo(here.file("fifo").c_str(), 0600) == 0);
    check_refusal(here.fetch({"http://127.0.0.1:1/fifo"}), 1,
                  "sockeye fetch: fifo: is no regular file");
    files::remove(here.file("fifo"));
    check_refusal(here.fetch({"http://127.0.0.1:1/", "-o", "no/x"}), 1,
                  "sockeye fetch: no/x: there is no such directory");
    write_file(here.file("victim"), "mine");
    files::create_symlink("victim", here.file("link"));
    files::create_symlink("victim", here.file("other.part"));
    check_refusal(here.fetch({"http://127.0.0.1:1/link"}), 1, "sockeye fetch: link: is there...");
    check_refusal(here.fetch({"http://127.0.0.1:1/other"}), 1, "sockeye fetch: other.part: is...");
    scripted_http server(std::vector<script>(4, script{{counted_answer("theirs")}}));
    for (const auto* name : {"x", "y", "link", "other"}) {
        CAPTURE(name);
        CHECK(here.fetch({server.url(std::string("/") + name), "-f"}).status == 0);
        CHECK(here.content(name) == "theirs");
        CHECK_FALSE(files::is_symlink(here.file(name)));
    }
    CHECK(here.content("victim") == "mine");
    CHECK(here.names() == words{"d", "link", "other", "victim", "x", "y"});
}

TEST_CASE("fetch: a file that came to be meanwhile is kept") {
    const place here;
    script said = {{ok_line + "Content-Length: 6\r\n\r\nthe", "irs"}};
    said.after_first = [&] {
        wait_until([&] { return here.content("x.part") == "the"; });
        write_file(here.file("x"), "mine");
    };
    scripted_http server({said});
    const auto ended = here.fetch({server.url("/x")});
    CHECK(ended.status == 1);
    CHECK(ended.talk == "sockeye fetch: x: came to be meanwhile and is kept; what was fetched is "
                        "in x.part\n");
    CHECK(here.content("x") == "mine");
    CHECK(here.content("x.part") == "theirs");
}

TEST_CASE("fetch: a file that cannot be written is one line and exit 1, and what came is kept") {
    scripted_http server({{{counted_answer(std::string(5000, 'x'))}}});
    const place here;
    auto options = here.inside();
    options.before_exec = [enter = options.before_exec] {
        enter();
        // Writing beyond it is an error then, and no signal.
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    };
    check_refusal(support::run_program({"fetch", "-q", server.url("/x")}, options), 1,
                  "sockeye fetch: x.part: File too large; 1000 bytes are kept in x.part");
    CHECK(here.content("x.part") == std::string(1000, 'x'));
    CHECK(here.names() == words{"x.part"});
}

TEST_CASE("fetch: a full disk is one line and exit 1" *
          doctest::skip(::access("/dev/full", W_OK) != 0)) {
    scripted_http server(std::vector<script>(2, script{{counted_answer("hello")}}));
    const place here;
    check_refusal(here.fetch({"-q", server.url("/x"), "-o", "/dev/full"}), 1,
                  "sockeye fetch: /dev/full: No space left on device...");
    const auto ended = support::run({"sh", "-c", "exec \"$0\" fetch -qo - \"$1\" >/dev/full",
                                     support::program_path(), server.url("/x")});
    check_refusal(ended, 1, "sockeye fetch: standard output: No space left on device");
}

TEST_CASE("fetch: -o names the file, - is the standard output, and devices are written to") {
    const auto body = random_body(1'000'000);
    scripted_http server(std::vector<script>(4, script{{counted_answer(body)}}));
    const place here;
    CHECK(here.fetch({server.url("/.."), "-o", "some name"}).status == 0);
    CHECK((here.content("some name") == body));
    const auto talking = here.fetch({server.url("/x"), "--output=-"});
    CHECK(talking.status == 0);
    CHECK((talking.output == body));
    CHECK(talking.talk == "HTTP/1.1 200 OK\nContent-Length: 1000000\n\n");
    const auto quiet = here.fetch({server.url("/x"), "-qo-"});
    CHECK((quiet.output == body));
    CHECK(quiet.talk.empty());
    CHECK(here.fetch({server.url("/x"), "-o", "/dev/null"}).status == 0);
    CHECK(files::is_character_file("/dev/null"));
    CHECK(here.names() == words{"some name"});
}

TEST_CASE("fetch: a reader that has enough ends it, in good order") {
    scripted_http server({{{counted_answer(std::string(10'000'000, '\n'))}},
                          {{ok_line + "\r\nfirst line\n"}, script::ending::hold}});
    const auto many = support::run({"sh", "-c",
                                    "{ \"$0\" fetch -qo - \"$1\"; echo $? >&2; } | "
                                    "head -n 1",
                                    support::program_path(), server.url("/")});
    CHECK(many.output == "\n");
    CHECK(many.talk == "0\n");
    // Nothing is left to write here that would tell.
    const auto silent = support::run({"sh", "-c",
                                      "{ \"$0\" fetch -qo - \"$1\"; echo $? >&2; } | "
                                      "head -n 1",
                                      support::program_path(), server.url("/")});
    CHECK(silent.output == "first line\n");
    CHECK(silent.talk == "0\n");
}

TEST_CASE("fetch: a reader that is slow holds the server up instead of filling memory") {
    constexpr std::size_t total = 200'000'000;
    const std::string part(1'000'000, 'x');
    script said = {{ok_line + "Content-Length: " + std::to_string(total) + "\r\n\r\n"}};
    said.parts.insert(said.parts.end(), total / part.size(), part);
    scripted_http server({said});
    support::process reading(
        {support::program_path(), "fetch", "-vo-", "--idle-timeout", "50ms", server.url("/")});
    CHECK(reading.talk_line().starts_with("connected to tcp://127.0.0.1:"));
    // Nobody reads: it stands still, and longer than the time that it gives the server.
    std::uint64_t before = 0;
    std::uint64_t sent = 1;
    while (before != sent) {
        before = sent;
        ::poll(nullptr, 0, 300);
        sent = server.sent();
    }
    CHECK(sent > 0);
    CHECK(sent < total / 2);
    const auto ended = reading.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output.size() == total);
}

TEST_CASE("fetch: -L follows redirects, absolute ones and relative ones") {
    const auto to = [](const std::string& location, const std::string& status = "302 Found") {
        return script{{"HTTP/1.1 " + status + "\r\nLocation: " + location +
                       "\r\nContent-Length: 4\r\n\r\nbody"}};
    };
    scripted_http second({{{counted_answer("found")}}});
    scripted_http first({to("b?x", "301 Moved"), to("/c d", "303 Other"), to("../../e#f"),
                         to(second.url("/evil.sh"), "308 For Ever"), to("/elsewhere")});
    const place here;
    const auto ended =
        here.fetch({"-L", first.url("/a/start"), "-H", "Cookie: secret", "-H", "Accept: text/*"});
    CHECK(ended.status == 0);
    CHECK(ended.output.starts_with("HTTP/1.1 200 OK\nContent-Length: 5\n\nsaved start (5 bytes"));
    CHECK(ended.talk == "redirected to " + first.url("/a/b?x") + "\nredirected to " +
                            first.url("/c%20d") + "\nredirected to " + first.url("/e") +
                            "\nredirected to " + second.url("/evil.sh") + "\n");
    CHECK(here.names() == words{"start"});
    for (const auto& request : first.requests()) {
        CHECK(has(request, "\r\nCookie: secret\r\n"));
    }
    REQUIRE(second.requests().size() == 1);
    CHECK_FALSE(has(second.requests()[0], "secret"));
    CHECK(has(second.requests()[0], "\r\nAccept: text/*\r\n"));
    CHECK(has(second.requests()[0], "\r\nHost: 127.0.0.1:" + std::to_string(second.port())));
    const auto stayed = here.fetch({first.url("/z")});
    CHECK(stayed.status == 0);
    CHECK(stayed.talk == "redirect to /elsewhere not followed; -L follows it\n");
    CHECK(here.content("z") == "body");
}

TEST_CASE("fetch: redirects that lead nowhere are one line and exit 1, and no file") {
    const auto to = [](const std::string& location) {
        return script{{"HTTP/1.1 307 Go\r\nLocation: " + location + "\r\n\r\n"}};
    };
    struct row {
        std::vector<script> scripts;
        std::string message;
    };
    const std::vector<row> table = {
        {{to("/x")}, "redirects lead in a circle, back to http://127.0.0.1:"},
        {{to("/y"), to("/z"), to("x")}, "redirects lead in a circle, back to http://127.0.0.1:"},
        {{to("1"), to("2"), to("3"), to("4"), to("5"), to("6")}, "more than 5 redirects; the last"},
        {{to("https://h/")},
         "redirected to 'https://h/': https is not supported: this program speaks plain"},
        {{to("ftp://h/")}, "redirected to 'ftp://h/': only http:// is supported"},
        {{to("http://a:b@h/")}, "redirected to 'http://a:b@h/': user names in a URL"},
        {{to("http:///")}, "redirected to 'http:///': the host is missing"},
        {{to("//h:99999/")}, "redirected to '//h:99999/': the port must be"},
    };
    for (const auto& row : table) {
        CAPTURE(row.message);
        scripted_http server(row.scripts);
        const place here;
        const auto ended = here.fetch({"-qL", server.url("/x")});
        CHECK(ended.status == 1);
        CHECK(std::ranges::count(ended.talk, '\n') == 1);
        CHECK(has(ended.talk, ": " + row.message));
        CHECK(here.names().empty());
    }
}

TEST_CASE("fetch: -I asks for the head alone, and saves nothing") {
    scripted_http server({{{ok_line + "Content-Length: 5\r\n\r\n"}, script::ending::hold},
                          {{"HTTP/1.1 500 Oh\r\n\r\n"}}});
    const place here;
    const auto ended = here.fetch({"-I", server.url("/x")});
    CHECK(ended.status == 0);
    CHECK(ended.output == "HTTP/1.1 200 OK\nContent-Length: 5\n");
    CHECK(server.requests()[0].starts_with("HEAD /x HTTP/1.1\r\n"));
    const auto failed = here.fetch({"-qI", server.url("/x")});
    CHECK(failed.status == 1);
    CHECK(failed.output == "HTTP/1.1 500 Oh\n");
    CHECK(here.names().empty());
}

TEST_CASE("fetch: -q leaves the result, -v shows the request, and neither shows raw bytes") {
    const auto answer = ok_line + "Text: \xff\\\xc2\x9b\r\nContent-Length: 2\r\n\r\nhi";
    scripted_http server({{{answer}}, {{answer}}});
    const place here;
    const auto quiet = here.fetch({"-q", server.url("/x")});
    CHECK(quiet.status == 0);
    CHECK(quiet.output.empty());
    CHECK(quiet.talk.empty());
    const auto talking = here.fetch({"-vf", server.url("/x"), "-H", "X:  \xc3\xa9"});
    CHECK(talking.output.starts_with("HTTP/1.1 200 OK\nText: \\xff\\x5c\\xc2\\x9b\nContent-"));
    const auto port = std::to_string(server.port());
    CHECK(talking.talk == "connected to tcp://127.0.0.1:" + port +
                              "\n> GET /x HTTP/1.1\n> Host: 127.0.0.1:" + port +
                              "\n> User-Agent: sockeye/" SOCKEYE_VERSION
                              "\n> Accept: */*\n> X: \\xc3\\xa9\n> Connection: close\n");
    CHECK(has(server.requests()[1], "\r\nX: \xc3\xa9\r\n"));
}

TEST_CASE("fetch: a server that says nothing is given up after --idle-timeout") {
    scripted_http server(
        {{{""}, script::ending::hold}, {{ok_line + "\r\nhello"}, script::ending::hold}});
    const place here;
    check_refusal(here.fetch({"--idle-timeout", "100ms", server.url("/x")}), 1,
                  "sockeye fetch: " + server.url("/x") +
                      ": nothing came for 100 ms (--idle-timeout)");
    CHECK(here.names().empty());
    check_refusal(here.fetch({"-q", "--idle-timeout", "100ms", server.url("/x")}), 1,
                  "sockeye fetch: " + server.url("/x") +
                      ": nothing came for 100 ms (--idle-timeout); 5 bytes are kept in x.part");
    CHECK(here.content("x.part") == "hello");
}

TEST_CASE("fetch: a head that drips in for ever is given up after --idle-timeout") {
    script dripping = {{ok_line + "A: "}};
    dripping.parts.resize(2000, "a");
    dripping.apart = std::chrono::milliseconds(20);
    scripted_http server({dripping});
    const place here;
    check_refusal(here.fetch({"--idle-timeout", "200ms", server.url("/x")}), 1,
                  "sockeye fetch: " + server.url("/x") +
                      ": the head of the answer was not whole after 200 ms (--idle-timeout)");
    CHECK(here.names().empty());
}

TEST_CASE("fetch: a connection that does not come up is given up after --connect-timeout") {
    // A queue that is full: the system drops what else wants to connect.
    const auto listener = support::make_bound_tcp_socket();
    REQUIRE(::listen(listener.get(), 0) == 0);
    sockeye::endpoint local;
    socklen_t size = sockeye::endpoint::room_size();
    REQUIRE(::getsockname(listener.get(), local.room(), &size) == 0);
    local.filled(sockeye::transport::tcp, size);
    std::vector<sockeye::unique_fd> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.push_back(support::make_blocking_socket(AF_INET, SOCK_STREAM));
        ::fcntl(waiting.back().get(), F_SETFL, O_NONBLOCK);
        (void)::connect(waiting.back().get(), local.data(), local.size());
    }
    const auto url = "http://127.0.0.1:" + std::to_string(local.port()) + "/";
    check_refusal(support::run_program({"fetch", url, "-o-", "--connect-timeout", "100ms"}), 1,
                  "sockeye fetch: " + url + ": no connection within 100 ms (--connect-timeout)");
}

TEST_CASE("fetch: --max-size is the most that is taken") {
    const auto chunks = chunked_answer(std::string(1001, 'x'));
    scripted_http server({{{counted_answer(std::string(1000, 'x'))}},
                          {{counted_answer(std::string(1001, 'x'))}},
                          {{chunks}}});
    const place here;
    CHECK(here.fetch({"--max-size", "1000", server.url("/good")}).status == 0);
    check_refusal(here.fetch({"-q", "--max-size", "1000", server.url("/long")}), 1,
                  "sockeye fetch: " + server.url("/long") +
                      ": the body has 1001 bytes, more than the 1000 that --max-size allows");
    CHECK(here.names() == words{"good"});
    const auto endless = here.fetch({"-q", "--max-size", "1000", server.url("/endless")});
    CHECK(endless.status == 1);
    CHECK(has(endless.talk, ": the body is longer than the 1000 bytes that --max-size allows; "));
    CHECK(here.content("endless.part").size() <= 1000);
}

TEST_CASE("fetch: Ctrl-C is exit 130 and keeps what came") {
    for (const int signal : {SIGINT, SIGTERM}) {
        const place here;
        scripted_http server({{{ok_line + "Content-Length: 9\r\n\r\nhello"}, script::ending::hold},
                              {{""}, script::ending::hold}});
        support::process at_work({support::program_path(), "fetch", server.url("/x")},
                                 here.inside());
        wait_until([&] { return here.content("x.part") == "hello"; });
        at_work.send_signal(signal);
        const auto ended = at_work.wait();
        CHECK(ended.status == 128 + signal);
        CHECK(ended.talk == "sockeye fetch: interrupted; 5 bytes are kept in x.part\n");
        CHECK(here.names() == words{"x.part"});
        support::process waiting({support::program_path(), "fetch", server.url("/y")},
                                 here.inside());
        wait_until([&] { return server.requests().size() == 2; });
        waiting.send_signal(signal);
        const auto stopped = waiting.wait();
        CHECK(stopped.status == 128 + signal);
        CHECK(stopped.talk == "sockeye fetch: interrupted\n");
        CHECK(here.names() == words{"x.part"});
    }
}

TEST_CASE("fetch: Ctrl-C ends it also where nobody reads its output") {
    const auto head = "HTTP/1.1 302 Found\r\nLocation: /y\r\nX: " + std::string(60000, '\xff');
    scripted_http server({{{head + "\r\n\r\n"}}});
    const place here;
    support::process at_work({support::program_path(), "fetch", server.url("/x")}, here.inside());
    // The next thing is the head, of which each byte becomes four: more than a pipe holds.
    CHECK(at_work.talk_line() == "redirect to /y not followed; -L follows it");
    siginfo_t ended = {};
    wait_until([&] {
        at_work.send_signal(SIGINT);
        return ::waitid(P_PID, static_cast<id_t>(at_work.id()), &ended,
                        WEXITED | WNOHANG | WNOWAIT) == 0 &&
               ended.si_pid != 0;
    });
    CHECK(at_work.wait().status == -SIGINT);
}

TEST_CASE("fetch: the name of the file is never the server's choice") {
    scripted_http server({{{ok_line + "Content-Disposition: attachment; filename=\"evil\"\r\n"
                                      "Content-Location: /evil\r\nContent-Length: 1\r\n\r\nx"}}});
    const place here;
    CHECK(here.fetch({server.url("/a%20b")}).status == 0);
    CHECK(here.names() == words{"a b"});
}

TEST_CASE("fetch: IPv6 in brackets") {
    const auto probe = support::make_blocking_socket(AF_INET6, SOCK_STREAM);
    const auto local = sockeye::endpoint::parse("tcp://[::1]:0").value();
    if (!probe || ::bind(probe.get(), local.data(), local.size()) != 0) {
        MESSAGE("skipped: there is no IPv6 here");
        return;
    }
    scripted_http server({{{counted_answer("six")}}}, "[::1]");
    const place here;
    CHECK(here.fetch({"-6", server.url("/x")}).status == 0);
    CHECK(here.content("x") == "six");
    CHECK(has(server.requests()[0], "\r\nHost: [::1]:" + std::to_string(server.port()) + "\r\n"));
}

TEST_CASE("fetch: progress says how much, what share and how fast") {
    using sockeye::cli::progress_text;
    using namespace std::chrono_literals;
    CHECK(progress_text(512 << 10, std::uint64_t{2} << 20, 2s) == "512 KiB of 2 MiB, 25 %, "
                                                                  "256 KiB/s");
    CHECK(progress_text(1000, {}, 1s) == "1000 B, 1000 B/s");
    CHECK(progress_text(0, std::uint64_t{0}, 0s) == "0 B, 0 B/s");
}

TEST_CASE("fetch: a slow download shows its progress on a terminal, without escape codes") {
    const sockeye::unique_fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(master);
    REQUIRE(::grantpt(master.get()) == 0);
    REQUIRE(::unlockpt(master.get()) == 0);
    const std::string terminal = ::ptsname(master.get());
    // Held open, so that the terminal does not hang up when the program ends.
    const sockeye::unique_fd slave(::open(terminal.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    std::string shown;
    const auto read_terminal = [&](std::string_view wanted) {
        while (!has(shown, wanted)) {
            pollfd subject = {.fd = master.get(), .events = POLLIN, .revents = 0};
            char room[1000];
            const bool is_ready =
                ::poll(&subject, 1, static_cast<int>(support::patience.count()) * 1000) == 1;
            const auto got = is_ready ? ::read(master.get(), room, sizeof room) : -1;
            REQUIRE(got > 0);
            shown.append(room, static_cast<std::size_t>(got));
        }
    };
    script said = {{ok_line + "Content-Length: 8\r\n\r\nhalf", "half"}};
    said.after_first = [&] { read_terminal(" of 8 B, 50 %, "); };
    scripted_http server({said});
    const place here;
    auto options = here.inside();
    options.environment = {"TERM=xterm"};
    options.before_exec = [enter = options.before_exec, &terminal] {
        enter();
        ::dup2(::open(terminal.c_str(), O_RDWR | O_NOCTTY), STDERR_FILENO);
    };
    const auto ended = support::run_program({"fetch", server.url("/x")}, options);
    CHECK(ended.status == 0);
    CHECK(here.content("x") == "halfhalf");
    read_terminal("\r ");
    CHECK(shown.starts_with("\r4 B of 8 B, 50 %, "));
    CHECK_FALSE(has(shown, "\x1b"));
    CHECK_FALSE(has(shown, "\n"));
}
