#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

// Programs as a first course on sockets has them, which know nothing of each other's buffers,
// endings and errors, against our services, on every backend.

using support::contains;
using support::is_installed;
using support::server_program;
using support::usable_backends;
using support::words;

namespace {

/// Connects by the machine's own name and reads one greeting.
constexpr const char* greeted_client = R"(
import socket, sys
s = socket.socket()
s.settimeout(60)
s.connect((socket.gethostname(), int(sys.argv[1])))
print(s.recv(1024).decode('utf-8'), end='')
s.close()
)";

/// Sends names one by one and prints each answer.
constexpr const char* naming_client = R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
for data in [b'Michael', b'Tracy', b'Sarah']:
    s.sendto(data, ('127.0.0.1', int(sys.argv[1])))
    print(s.recv(1024).decode('utf-8'))
s.close()
)";

/// Sends a word without a newline over TCP, and waits for it to come back behind the time.
constexpr const char* stamped_client = R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.settimeout(60)
s.connect(('127.0.0.1', int(sys.argv[1])))
for word in ['hello', 'world', 'gr\u00fc\u00dfe']:
    s.send(word.encode('utf-8'))
    data = s.recv(1024)
    if not data: sys.exit('closed')
    print(data.decode('utf-8'))
s.close()
)";

/// The same over UDP.
constexpr const char* stamped_datagram_client = R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
for word in ['hello', 'world', 'gr\u00fc\u00dfe']:
    s.sendto(word.encode('utf-8'), ('127.0.0.1', int(sys.argv[1])))
    data, address = s.recvfrom(1024)
    print(data.decode('utf-8'))
s.close()
)";

/// Talks to a Unix path, one line after the other.
constexpr const char* line_client = R"(
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.settimeout(60)
s.connect(sys.argv[1])
file = s.makefile('rw', newline='\n')
for name in ['Michael', 'Tracy', 'Sarah']:
    file.write(name + '\n')
    file.flush()
    print(file.readline(), end='')
)";

/// What the Python client prints that is given `place`; whatever it complains of comes behind.
std::string python(const char* program, const std::string& place) {
    const auto ended = support::run({"python3", "-c", program, place});
    CHECK(ended.status == 0);
    return ended.output + ended.talk;
}

/// The line without its stamp, `[Sat Nov 21 03:16:04 2026] `.
std::string without_stamps(const std::string& text) {
    std::string rest;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size() - 1) + 1;
        const auto line = text.substr(at, end - at);
        const bool is_stamped = line.size() > 27 && line[0] == '[' && line.substr(25, 2) == "] ";
        rest += is_stamped ? line.substr(27) : "no stamp: " + line;
        at = end;
    }
    return rest;
}

bool has_own_name() {
    const auto ended = support::run({"python3", "-c", R"(
import socket
print(socket.gethostbyname(socket.gethostname()))
)"});
    return ended.output.starts_with("127.");
}

} // namespace

TEST_CASE("plain peers: a client that finds us by the machine's name reads one greeting" *
          doctest::skip(!is_installed("python3"))) {
    if (!has_own_name()) {
        MESSAGE("not tested: the name of this machine is no loopback address");
        return;
    }
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        server_program server(
            {"greet", "*:0", "--text", "Willkommen, gr\xc3\xbc\xc3\x9f dich!", "-b", backend});
        CHECK(python(greeted_client, std::to_string(server.place().port())) ==
              "Willkommen, gr\xc3\xbc\xc3\x9f dich!\r\n");
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("plain peers: names sent one by one are greeted one by one" *
          doctest::skip(!is_installed("python3"))) {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const support::scratch_directory directory;
        server_program server(
            {"hello", "udp://:0", "unix:" + directory.file("socket"), "-b", backend});
        const std::string greetings = "Hello, Michael!\nHello, Tracy!\nHello, Sarah!\n";
        CHECK(python(naming_client, std::to_string(server.place().port())) == greetings);
        CHECK(python(line_client, directory.file("socket")) == greetings);
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("plain peers: a word without a newline comes back behind the time" *
          doctest::skip(!is_installed("python3"))) {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        server_program server({"timestamp", ":0", "udp://:0", "-b", backend});
        const auto places = server.places();
        const std::string answers = "hello\nworld\ngr\xc3\xbc\xc3\x9f"
                                    "e\n";
        CHECK(without_stamps(python(stamped_client, std::to_string(places.at(0).port()))) ==
              answers);
        CHECK(without_stamps(
                  python(stamped_datagram_client, std::to_string(places.at(1).port()))) == answers);
        CHECK(server.stop().status == 0);
    }
}
