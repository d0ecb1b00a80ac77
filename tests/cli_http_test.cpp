#include "cli/http.hpp"
#include "cli/http_request.hpp"
#include "cli/url.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using sockeye::cli::file_name_of;
using sockeye::cli::http_url;
using sockeye::cli::parse_header;
using sockeye::cli::parse_url;
using sockeye::cli::resolve_location;
using sockeye::cli::response_reader;

using namespace std::string_view_literals;

namespace {

/// What a reader made of a response, however it was cut.
struct reading {
    bool is_whole = false;
    unsigned status = 0;
    std::size_t fields = 0;
    std::string body;
    std::string message;
    std::string surplus; ///< what was left when it had ended

    friend bool operator==(const reading&, const reading&) = default;
};

/// Feeds the pieces of `text` that end at `cuts` (ascending), then the end of the connection.
class feeder {
public:
    explicit feeder(bool is_head_request) : reader_(is_head_request) {}

    void feed(std::string_view part) {
        while (!is_over_) {
            const auto piece = reader_.next(part);
            note(piece);
            if (piece.what == response_reader::kind::more) {
                CHECK(part.empty());
                return;
            }
        }
        read_.surplus += part;
    }
    reading end() {
        if (!is_over_) {
            note(reader_.finish());
            CHECK(is_over_);
        }
        return read_;
    }

private:
    void note(const response_reader::piece& piece) {
        read_.body += piece.body;
        switch (piece.what) {
        case response_reader::kind::head:
            CHECK(read_.status == 0);
            read_.status = reader_.head().status;
            read_.fields = reader_.head().fields.size();
            break;
        case response_reader::kind::end:
            CHECK(read_.status != 0);
            CHECK(reader_.received() == read_.body.size());
            read_.is_whole = is_over_ = true;
            break;
        case response_reader::kind::error:
            read_.message = reader_.message();
            is_over_ = true;
            break;
        default:
            break;
        }
    }

    response_reader reader_;
    reading read_;
    bool is_over_ = false;
};

reading read_whole(std::string_view text, bool is_head_request = false) {
    feeder whole(is_head_request);
    whole.feed(text);
    return whole.end();
}

reading read_by_bytes(std::string_view text, bool is_head_request) {
    feeder bytes(is_head_request);
    for (std::size_t i = 0; i < text.size(); ++i) {
        bytes.feed(text.substr(i, 1));
    }
    return bytes.end();
}

reading read_cut_at(std::string_view text, std::size_t cut, bool is_head_request) {
    feeder parts(is_head_request);
    parts.feed(text.substr(0, cut));
    parts.feed(text.substr(cut));
    return parts.end();
}

struct good_response {
    std::string text;
    unsigned status;
    std::string body;
    bool is_head_request = false;
    std::string surplus = {};
};

const std::string ok = "HTTP/1.1 200 OK\r\n";
const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";

const std::vector<good_response>& good_responses() {
    static const std::vector<good_response> table = {
        {ok + "Content-Length: 5\r\n\r\nhello", 200, "hello"},
        {ok + "content-length:5\r\n\r\nhello", 200, "hello"},
        {ok + "Content-Length: \t 5 \t\r\n\r\nhello", 200, "hello"},
        {ok + "Content-Length: 5, 5\r\n\r\nhello", 200, "hello"},
        {ok + "Content-Length: 5\r\nContent-Length: 005\r\n\r\nhello", 200, "hello"},
        {ok + "Content-Length: 0\r\n\r\n", 200, ""},
        {ok + "Content-Length: 5\r\n\r\nhello more", 200, "hello", false, " more"},
        {ok + "\r\nuntil the end\r\n", 200, "until the end\r\n"},
        {ok + "\r\n", 200, ""},
        {ok + "A: b\r\nEmpty:\r\n!#$%&'*+-.^_`|~9: odd\r\n\r\n", 200, ""},
        {ok + "Text: caf\xc3\xa9 \xff\tx\r\n\r\n", 200, ""},
        {"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
        {"HTTP/1.9 200 OK\r\n\r\nnew", 200, "new"},
        {"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", 404, "no"},
        {"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nno", 404, "no"},
        {"HTTP/1.1 999 Odd Number\r\nContent-Length: 1\r\n\r\nx", 999, "x"},
        {"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, "hi"},
        {"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello", 204, "", false, "hello"},
        {"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n", 204, ""},
        {"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", 304, ""},
        {ok + "Content-Length: 5\r\n\r\n", 200, "", true},
        {ok + "Transfer-Encoding: chunked\r\n\r\n", 200, "", true},
        {"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", 200, "x"},
        {"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + ok + "\r\nx", 200, "x"},
        {"HTTP/1.1 100 C\r\nContent-Length: 7\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", 200,
         "x"},
        {chunked + "5\r\nhello\r\n0\r\n\r\n", 200, "hello"},
        {ok + "TRANSFER-encoding: ChunKed\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x"},
        {chunked + "0\r\n\r\n", 200, ""},
        {chunked + "1\r\na\r\n2\r\nbc\r\n00A\r\n0123456789\r\n000\r\n\r\n", 200, "abc0123456789"},
        {chunked + "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", 200, "\r\n\r\n\r\n\r\n\r\n"},
        {chunked + "5;a=b\r\nhello\r\n0;last\r\n\r\n", 200, "hello"},
        {chunked + "5 \t; a = \"q; r\" \r\nhello\r\n0\r\n\r\n", 200, "hello"},
        {chunked + "1\r\nx\r\n0\r\nSum: 1\r\nDate: today\r\n\r\n", 200, "x"},
        {chunked + "1\r\nx\r\n0\r\nContent-Length: 9\r\n\r\n", 200, "x"},
        {chunked + "1\r\nx\r\n0\r\n\r\nmore", 200, "x", false, "more"},
    };
    return table;
}

struct bad_response {
    std::string text;
    std::string message; ///< how it begins
};

std::string header_lines(std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) {
        lines += "A: b\r\n";
    }
    return lines;
}

std::string with_nul(std::string_view before, std::string_view behind) {
    return std::string(before) + '\0' + std::string(behind);
}

const std::vector<bad_response>& bad_heads() {
    static const std::vector<bad_response> table = {
        {"", "the server ended the connection without an answer"},
        {"hello", "this is no HTTP server: it answered 'hello'"},
        {std::string(3, '\0'), "this is no HTTP server: it answered '\\x00\\x00\\x00'"},
        {"HT", "the server ended the connection in the middle of the head"},
        {"HTTP/1.1 200", "the server ended the connection in the middle of the head"},
        {"HTTP/1.1 200 OK\r\n", "the server ended the connection in the middle of the head"},
        {"HTTP/1.1 100 C\r\n\r\n", "the server ended the connection in the middle of the head"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "this is no HTTP server: it answered 'SSH-2.0-OpenSSH_9.2'"},
        {"\r\n" + ok + "\r\n", "this is no HTTP server: it answered ''"},
        {"http/1.1 200 OK\r\n\r\n", "this is no HTTP server"},
        {"HTTP/1,1 200 OK\r\n\r\n", "this is no HTTP server"},
        {"HTTP/x.1 200 OK\r\n\r\n", "this is no HTTP server"},
        {"HTTP/2.0 200 OK\r\n\r\n", "the server speaks HTTP/2.0, and this program HTTP/1.1 only"},
        {"HTTP/1.10 200 OK\r\n\r\n", "the server sent a bad status line: 'HTTP/1.10 200 OK'"},
        {"HTTP/1.1  200 OK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1\r\n\r\n", "the server sent a bad status line: 'HTTP/1.1'"},
        {"HTTP/1.1 20\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 099 OK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 2x0 OK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 -20 OK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 200 O\rK\r\n\r\n", "the server sent a bad status line"},
        {"HTTP/1.1 200 \x1b[31m\r\n\r\n", "the server sent a bad status line"},
        {with_nul("HTTP/1.1 200 O", "K\r\n\r\n"), "the server sent a bad status line"},
        {"HTTP/1.1 101 Switching\r\n\r\n", "the server changed to another protocol"},
        {ok + " folded\r\n\r\n", "the server sent a header folded over several lines"},
        {ok + "A: b\r\n c\r\n\r\n", "the server sent a header folded over several lines"},
        {ok + "A: b\r\n\tc\r\n\r\n", "the server sent a header folded over several lines"},
        {ok + "A : b\r\n\r\n", "the server sent a bad header, with a space before the colon: 'A :"},
        {ok + "A\t: b\r\n\r\n", "the server sent a bad header, with a space before the colon"},
        {ok + "no colon\r\n\r\n", "the server sent a bad header: 'no colon'"},
        {ok + ": b\r\n\r\n", "the server sent a bad header: ': b'"},
        {ok + "A(b): c\r\n\r\n", "the server sent a bad header: 'A(b): c'"},
        {ok + "\xc3\xa9: c\r\n\r\n", "the server sent a bad header: '\\xc3\\xa9: c'"},
        {ok + "A: b\rc\r\n\r\n", "the server sent a control character in a header: 'A: b\\x0dc'"},
        {ok + "A: b\x7f\r\n\r\n", "the server sent a control character in a header"},
        {with_nul(ok + "A: b", "c\r\n\r\n"), "the server sent a control character in a header"},
        {with_nul(ok + "A", ": c\r\n\r\n"), "the server sent a bad header: 'A\\x00: c'"},
        {ok + "A: b\r\r\n\r\n", "the server sent a control character in a header"},
        {ok + header_lines(1001) + "\r\n", "the server sent more than 1000 headers"},
        {ok + "A: " + std::string(70000, 'x') + "\r\n\r\n",
         "the head of the answer is longer than 65536 bytes"},
        {std::string(70000, 'x'), "the head of the answer is longer than 65536 bytes"},
        {ok + "A: " + std::string(40000, 'x') + "\r\nB: " + std::string(40000, 'x') + "\r\n\r\n",
         "the head of the answer is longer than 65536 bytes"},
    };
    return table;
}

const std::vector<bad_response>& bad_bodies() {
    static const std::vector<bad_response> table = {
        {ok + "Content-Length: 5\r\n\r\nhell", "the body is cut short: 4 of 5 bytes came"},
        {ok + "Content-Length: 5\r\n\r\n", "the body is cut short: 0 of 5 bytes came"},
        {ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
         "the server sent two different Content-Lengths: 5 and 6"},
        {ok + "Content-Length: 5, 6\r\n\r\nhello",
         "the server sent two different Content-Lengths: 5 and 6"},
        {ok + "Content-Length:\r\n\r\n", "the server sent a bad Content-Length: ''"},
        {ok + "Content-Length: ,\r\n\r\n", "the server sent a bad Content-Length: ','"},
        {ok + "Content-Length: 5,\r\n\r\n", "the server sent a bad Content-Length: '5,'"},
        {ok + "Content-Length: -5\r\n\r\n", "the server sent a bad Content-Length: '-5'"},
        {ok + "Content-Length: +5\r\n\r\n", "the server sent a bad Content-Length: '+5'"},
        {ok + "Content-Length: 5x\r\n\r\n", "the server sent a bad Content-Length: '5x'"},
        {ok + "Content-Length: 0x5\r\n\r\n", "the server sent a bad Content-Length: '0x5'"},
        {ok + "Content-Length: 5 5\r\n\r\n", "the server sent a bad Content-Length: '5 5'"},
        {ok + "Content-Length: 1e3\r\n\r\n", "the server sent a bad Content-Length: '1e3'"},
        {ok + "Content-Length: 9223372036854775808\r\n\r\n", "the server sent a bad Content-Len"},
        {ok + "Content-Length: 18446744073709551617\r\n\r\n", "the server sent a bad Content-Len"},
        {ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         "the server sent a Content-Length beside a Transfer-Encoding"},
        {ok + "Transfer-Encoding: gzip\r\n\r\n",
         "the server sent the body in a Transfer-Encoding other than chunked: 'gzip'"},
        {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "the server sent the body in a Transfer"},
        {ok + "Transfer-Encoding: chunked, chunked\r\n\r\n", "the server sent the body in a Tran"},
        {ok + "Transfer-Encoding: identity\r\n\r\n", "the server sent the body in a Transfer-Enc"},
        {ok + "Transfer-Encoding:\r\n\r\n", "the server sent the body in a Transfer-Encoding"},
        {ok + "Transfer-Encoding: \x0b" + "chunked\r\n\r\n", "the server sent a control character"},
        {ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         "the server sent the body in a Transfer-Encoding other than chunked"},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "the server sent a Transfer-Encoding, which HTTP/1.0 does not have"},
    };
    return table;
}

const std::vector<bad_response>& bad_chunks() {
    static const std::vector<bad_response> table = {
        {chunked, "the body is cut short: its last chunk never came, after 0 bytes"},
        {chunked + "5\r\nhello\r\n", "the body is cut short: its last chunk never came, after 5"},
        {chunked + "5\r\nhel", "the body is cut short: its last chunk never came, after 3 bytes"},
        {chunked + "5\r\nhello\r\n0\r\n", "the body is cut short: its last chunk never came"},
        {chunked + "5\r\nhellooo\r\n", "the server sent a chunk that is longer than its size"},
        {chunked + "5\r\nhello\n0\r\n\r\n", "the server sent a chunk that is longer than its size"},
        {chunked + "5\r\nhello\r0\r\n\r\n", "the server sent a chunk that is longer than its size"},
        {chunked + "\r\n", "the server sent a bad size of a chunk: '\\x0d\\x0a'"},
        {chunked + "5\nhello\r\n", "the server sent a bad size of a chunk: '5\\x0a'"},
        {chunked + "0x5\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "-5\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "+5\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + " 5\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "5 \r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "g\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + ";a\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "5;\x01\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "5;\r;\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "8000000000000000\r\nx", "the server sent a bad size of a chunk"},
        {chunked + "10000000000000005\r\nhello\r\n", "the server sent a bad size of a chunk"},
        {chunked + "1\r\nx\r\n7fffffffffffffff\r\nx", "the server sent a bad size of a chunk"},
        {chunked + std::string(5000, '0'), "the server sent the size of a chunk in too long a"},
        {chunked + "1;" + std::string(5000, 'x'), "the server sent the size of a chunk in too"},
        {chunked + "0\r\nA: b\n\r\n", "the server sent a line of the trailer that does not end in"},
        {chunked + "0\r\nno colon\r\n\r\n", "the server sent a bad header: 'no colon'"},
        {chunked + "0\r\n" + header_lines(20000), "the server sent too long a trailer"},
    };
    return table;
}

std::vector<bad_response> all_bad_responses() {
    auto all = bad_heads();
    for (const auto* more : {&bad_bodies(), &bad_chunks()}) {
        all.insert(all.end(), more->begin(), more->end());
    }
    std::string many;
    for (int i = 0; i < 30; ++i) {
        many += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    all.push_back({many, "the server sent more than 16 interim answers"});
    std::string extended = chunked;
    for (int i = 0; i < 40; ++i) {
        extended += "1;" + std::string(4000, 'x') + "\r\nx\r\n";
    }
    all.push_back({extended, "the server sent too many chunk extensions"});
    return all;
}

} // namespace

TEST_CASE("http: good responses are the same however they are cut") {
    for (const auto& row : good_responses()) {
        CAPTURE(row.text);
        const auto read = read_whole(row.text, row.is_head_request);
        CHECK(read.is_whole);
        CHECK(read.message.empty());
        CHECK(read.status == row.status);
        CHECK(read.body == row.body);
        CHECK(read.surplus == row.surplus);
        CHECK((read_by_bytes(row.text, row.is_head_request) == read));
        for (std::size_t cut = 0; cut <= row.text.size(); ++cut) {
            CAPTURE(cut);
            CHECK((read_cut_at(row.text, cut, row.is_head_request) == read));
        }
    }
}

TEST_CASE("http: a bad response is one printable line, however it is cut") {
    for (const auto& row : all_bad_responses()) {
        CAPTURE(row.text.substr(0, 200));
        const auto read = read_whole(row.text);
        CHECK_FALSE(read.is_whole);
        CHECK(read.message.substr(0, row.message.size()) == row.message);
        CHECK(read.message.size() <= 200);
        CHECK(std::ranges::all_of(read.message, [](char c) { return c >= ' ' && c <= '~'; }));
        const auto bytes = read_by_bytes(row.text, false);
        CHECK(bytes.message == read.message);
        CHECK(bytes.body == read.body);
    }
}

TEST_CASE("http: every prefix of a response of known length is cut short, and said to be") {
    for (const auto& row : good_responses()) {
        const bool has_no_end = row.status == 204 || row.status == 304 || row.is_head_request ||
                                read_whole(row.text + "x").surplus.empty();
        for (std::size_t size = 0; size + row.surplus.size() < row.text.size() && !has_no_end;
             ++size) {
            CAPTURE(row.text.substr(0, size));
            const auto read = read_whole(std::string_view(row.text).substr(0, size));
            CHECK_FALSE(read.is_whole);
            CHECK_FALSE(read.message.empty());
        }
    }
}

TEST_CASE("http: mutations of responses never break the reader, nor does the way they are cut") {
    std::vector<std::string> seeds;
    for (const auto& row : good_responses()) {
        seeds.push_back(row.text);
    }
    std::mt19937 random(20261121);
    const auto below = [&](std::size_t most) { return random() % most; };
    constexpr auto favourites = "\r\n\0:;, \t0123456789abcdefHTP/.\x7f\xff"sv;
    std::size_t whole = 0;
    for (int round = 0; round < 100'000; ++round) {
        auto text = seeds[below(seeds.size())];
        for (std::size_t i = 1 + below(4); i > 0; --i) {
            const auto at = below(text.size());
            switch (below(4)) {
            case 0:
                text[at] = favourites[below(favourites.size())];
                break;
            case 1:
                text.insert(at, 1, favourites[below(favourites.size())]);
                break;
            case 2:
                text.erase(at, 1 + below(3));
                break;
            default:
                text.insert(at, text.substr(below(text.size()), 1 + below(20)));
            }
            text += text.empty() ? "x" : "";
        }
        const auto read = read_whole(text);
        const auto again = read_cut_at(text, below(text.size() + 1), false);
        const bool is_same = read.is_whole == again.is_whole && read.body == again.body &&
                             read.message == again.message && read.surplus == again.surplus;
        if (!is_same || read.is_whole != read.message.empty()) {
            CAPTURE(text);
            FAIL_CHECK("read differently when cut");
        }
        whole += read.is_whole ? 1 : 0;
    }
    // Neither all of them nor none: the mutations reach both.
    CHECK(whole > 1000);
    CHECK(whole < 99'000);
}

TEST_CASE("http: URLs are read, tidied and written again") {
    struct row {
        std::string_view text;
        std::string_view authority;
        std::string_view target;
        std::uint16_t port = 80;
    };
    const row table[] = {
        {"http://example.org", "example.org", "/"},
        {"HTTP://Example.ORG/A/b", "example.org", "/A/b"},
        {"http://h:8000/", "h:8000", "/", 8000},
        {"http://h:80/", "h", "/"},
        {"http://h:00080/", "h", "/"},
        {"http://h?q=1", "h", "/?q=1"},
        {"http://h/a?b/../c#d?e", "h", "/a?b/../c"},
        {"http://h/#x", "h", "/"},
        {"http://h#x y", "h", "/"},
        {"http://[::1]:8000/x", "[::1]:8000", "/x", 8000},
        {"http://[::1]", "[::1]", "/"},
        {"http://127.0.0.1:1/", "127.0.0.1:1", "/", 1},
        {"http://h/a/./b/../c", "h", "/a/c"},
        {"http://h/../../a", "h", "/a"},
        {"http://h/a/..", "h", "/"},
        {"http://h/a/b/.", "h", "/a/b/"},
        {"http://h//a//b", "h", "//a//b"},
        {"http://h/%7Ea%2f", "h", "/%7Ea%2f"},
        {"http://h/caf\xc3\xa9", "h", "/caf%C3%A9"},
        {"http://h/a:b@c", "h", "/a:b@c"},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto url = parse_url(row.text);
        REQUIRE(url);
        CHECK((*url).authority() == row.authority);
        CHECK((*url).target == row.target);
        CHECK((*url).port == row.port);
        const auto again = parse_url((*url).to_string());
        REQUIRE(again);
        CHECK((*again).to_string() == (*url).to_string());
    }
}

TEST_CASE("http: locations lead where RFC 3986 says") {
    const auto base = *parse_url("http://h:81/b/c/d;p?q");
    struct row {
        std::string_view text;
        std::string_view url; ///< empty: refused
    };
    const row table[] = {
        {"g", "http://h:81/b/c/g"},
        {"./g", "http://h:81/b/c/g"},
        {"g/", "http://h:81/b/c/g/"},
        {"/g", "http://h:81/g"},
        {"//g", "http://g/"},
        {"//g:99/x", "http://g:99/x"},
        {"?y", "http://h:81/b/c/d;p?y"},
        {"g?y", "http://h:81/b/c/g?y"},
        {"#s", "http://h:81/b/c/d;p?q"},
        {"", "http://h:81/b/c/d;p?q"},
        {"g#s", "http://h:81/b/c/g"},
        {";x", "http://h:81/b/c/;x"},
        {".", "http://h:81/b/c/"},
        {"..", "http://h:81/b/"},
        {"../g", "http://h:81/b/g"},
        {"../../../g", "http://h:81/g"},
        {"/./g", "http://h:81/g"},
        {"g;x=1/../y", "http://h:81/b/c/y"},
        {"g?y/../x", "http://h:81/b/c/g?y/../x"},
        {"http://other/", "http://other/"},
        {"HTTP://OTHER:80", "http://other/"},
        {"a b", "http://h:81/b/c/a%20b"},
        {"caf\xc3\xa9", "http://h:81/b/c/caf%C3%A9"},
        {"https://h/", ""},
        {"ftp://h/", ""},
        {"file:///etc/passwd", ""},
        {"http:g", ""},
        {"http://user@h/", ""},
        {"http://h:0/", ""},
        {"%zz", ""},
        {"//", ""},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto next = resolve_location(base, row.text);
        CHECK(static_cast<bool>(next) == !row.url.empty());
        if (next) {
            CHECK((*next).to_string() == row.url);
        }
    }
    CHECK(resolve_location(base, "https://h/").message() == sockeye::cli::https_refusal);
}

TEST_CASE("http: the name of a file is the last segment of the URL, or it is refused") {
    struct row {
        std::string_view text;
        std::string_view name; ///< empty: refused
    };
    const row table[] = {
        {"http://h", "index.html"},
        {"http://h/", "index.html"},
        {"http://h/a/", "index.html"},
        {"http://h?x=/y", "index.html"},
        {"http://h/a/notes.txt?x=/y#/z", "notes.txt"},
        {"http://h/a%20b", "a b"},
        {"http://h/caf\xc3\xa9", "caf\xc3\xa9"},
        {"http://h/..", ""},
        {"http://h/a/.", ""},
        {"http://h/%2e%2e", ""},
        {"http://h/%2E", ""},
        {"http://h/..%2fpasswd", ""},
        {"http://h/a%2Fb", ""},
        {"http://h/%2fetc%2fpasswd", ""},
        {"http://h/a%00b", ""},
        {"http://h/a%0ab", ""},
        {"http://h/%1b%5b31m", ""},
        {"http://h/%c2%9b", ""},
        {"http://h/%7f", ""},
        {"http://h/.bashrc", ""},
        {"http://h/-rf", ""},
        {"http://h/%2drf", ""},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto name = file_name_of(row.text);
        CHECK(static_cast<bool>(name) == !row.name.empty());
        if (name) {
            CHECK(*name == row.name);
        }
    }
    CHECK(file_name_of("http://h/" + std::string(250, 'x')));
    CHECK_FALSE(file_name_of("http://h/" + std::string(251, 'x')));
}

TEST_CASE("http: a request has our headers unless others were given, and ends") {
    sockeye::cli::http_request request;
    request.url = *parse_url("http://h:81/x?y");
    CHECK(request.text() ==
          "GET /x?y HTTP/1.1\r\nHost: h:81\r\nUser-Agent: sockeye/" SOCKEYE_VERSION
          "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    request.is_head = true;
    request.fields = {*parse_header("host:  other "), *parse_header("ACCEPT: text/plain"),
                      *parse_header("user-agent:"), *parse_header("X: 1"), *parse_header("X: 2")};
    CHECK(request.text() == "HEAD /x?y HTTP/1.1\r\nhost: other\r\nACCEPT: text/plain\r\n"
                            "user-agent: \r\nX: 1\r\nX: 2\r\nConnection: close\r\n\r\n");
}

TEST_CASE("http: what was told to one host is not told to another one") {
    sockeye::cli::http_request request;
    request.url = *parse_url("http://h:81/");
    for (const auto* text : {"Authorization: s", "Cookie: s", "X-Key: s", "Host: s", "Range: r"}) {
        request.fields.push_back(*parse_header(text));
    }
    const auto count = [&](std::string_view url) {
        return redirected(request, *parse_url(url)).fields.size();
    };
    CHECK(count("http://h:81/elsewhere") == 5);
    CHECK(count("http://h/") == 1);
    CHECK(count("http://h:82/") == 1);
    CHECK(count("http://other:81/") == 1);
    // Nor is it told to the first one again: it is another one that sends us there.
    const auto away = redirected(request, *parse_url("http://other/"));
    CHECK(redirected(away, request.url).fields.size() == 1);
}
