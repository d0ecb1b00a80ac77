#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>
#include <sockeye/timer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

using sockeye::close_reason;
using sockeye::unique_fd;
using sockeye::write_status;
using support::network;
using support::script;

// Streams over what is no socket: pipes, terminals, devices, files.

namespace {

void on_every_loop(std::initializer_list<int> numbers, const std::function<void(network&)>& body) {
    support::on_every_network(numbers, {"unix:"}, body,
                              support::needs_real_system{"pipes, terminals and files"});
}

/// Adopts `fd` and gives it a hooked session.
sockeye::stream adopt(network& on, unique_fd fd, script& told) {
    auto made = sockeye::adopt(on.loop(), std::move(fd)).value();
    made.attach<support::hooked>(std::ref(told));
    return made;
}

bool is_non_blocking(int fd) {
    return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

bool is_pending(int signal) {
    sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, signal) == 1;
}

void put_text(int fd, std::string_view text) {
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

/// What is there to read, without waiting.
std::string take_text(int fd) {
    std::string all;
    std::array<char, 65536> part;
    for (;;) {
        const auto got = ::read(fd, part.data(), part.size());
        if (got <= 0) {
            return all;
        }
        all.append(part.data(), static_cast<std::size_t>(got));
    }
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

unique_fd open_file(const std::string& path, int flags) {
    unique_fd made(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    REQUIRE(made);
    return made;
}

struct terminal {
    unique_fd master;
    unique_fd slave;
};

/// A pseudo terminal that passes bytes on as they are.
terminal open_terminal() {
    terminal made;
    made.master.reset(::posix_openpt(O_RDWR | O_NOCTTY));
    REQUIRE(made.master);
    REQUIRE(::grantpt(made.master.get()) == 0);
    REQUIRE(::unlockpt(made.master.get()) == 0);
    made.slave.reset(::open(::ptsname(made.master.get()), O_RDWR | O_NOCTTY));
    REQUIRE(made.slave);
    termios plain = {};
    REQUIRE(::tcgetattr(made.slave.get(), &plain) == 0);
    plain.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | ISIG | IEXTEN);
    plain.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    REQUIRE(::tcsetattr(made.slave.get(), TCSANOW, &plain) == 0);
    return made;
}

/// Puts `fd` in the place of a standard descriptor, as long as it lives.
class standard_replaced {
public:
    standard_replaced(int number, int fd)
        : number_(number), before_(::fcntl(number, F_DUPFD_CLOEXEC, 3)) {
        if (fd >= 0) {
            ::dup2(fd, number);
        } else {
            ::close(number);
        }
    }
    standard_replaced(const standard_replaced&) = delete;
    standard_replaced& operator=(const standard_replaced&) = delete;
    ~standard_replaced() { ::dup2(before_.get(), number_); }

private:
    int number_;
    unique_fd before_;
};

} // namespace

TEST_CASE("[51] stream: the reading end of a pipe hears what was written, then the end") {
    on_every_loop({51}, [](network& on) {
        auto ends = support::make_pipe();
        script told;
        auto reader = adopt(on, std::move(ends.first), told);
        put_text(ends.second.get(), "hello");
        CHECK(on.until([&] { return told.data == "hello"; }));
        CHECK(reader.write("no") == write_status::refused);
        CHECK(reader.is_open());
        put_text(ends.second.get(), " and bye");
        ends.second.reset();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.data == "hello and bye");
        CHECK(told.info.reason == close_reason::ended);
    });
}

TEST_CASE("[51] stream: the writing end of a pipe hears that nobody reads any more") {
    on_every_loop({51}, [](network& on) {
        auto ends = support::make_pipe();
        script told;
        auto writer = adopt(on, std::move(ends.second), told);
        CHECK(writer.write("hello") == write_status::ok);
        CHECK(on.until([&] { return take_text(ends.first.get()) == "hello"; }));
        on.settle();
        CHECK_FALSE(told.is_closed());
        SUBCASE("idle") {
            ends.first.reset();
        }
        SUBCASE("writing, and no signal comes") {
            ends.first.reset();
            writer.write("to nobody");
        }
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.error == std::errc::broken_pipe);
        CHECK(told.data.empty());
        CHECK(told.count("end") == 0);
        CHECK_FALSE(is_pending(SIGPIPE));
    });
}

TEST_CASE("kernel: a SIGPIPE that was pending before a write stays, and the mask is as before") {
    auto& system = sockeye::system_kernel();
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
    auto ends = support::make_pipe();
    ends.first.reset();
    CHECK(system.write(ends.second.get(), sockeye::as_bytes("x")).error() ==
          std::errc::broken_pipe);
    CHECK_FALSE(is_pending(SIGPIPE));
    REQUIRE(::raise(SIGPIPE) == 0);
    CHECK(system.write(ends.second.get(), sockeye::as_bytes("x")).error() ==
          std::errc::broken_pipe);
    CHECK(is_pending(SIGPIPE));
    int taken = 0;
    CHECK(::sigwait(&blocked, &taken) == 0);
    sigset_t after;
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, &after) == 0);
    CHECK(::sigismember(&after, SIGPIPE) == 1);
}

TEST_CASE("stream: a full pipe queues, and goes on when there is room") {
    on_every_loop({}, [](network& on) {
        auto ends = support::make_pipe();
        script told;
        auto writer = adopt(on, std::move(ends.second), told);
        const auto all = support::pattern(900'000);
        CHECK(writer.write(std::string_view(all).substr(0, 100)) == write_status::ok);
        CHECK(writer.write(std::string_view(all).substr(100)) == write_status::above_high_mark);
        std::string heard;
        CHECK(on.until([&] {
            heard += take_text(ends.first.get());
            return heard.size() == all.size();
        }));
        CHECK(heard == all);
        CHECK(on.until([&] { return told.count("writable") == 1; }));
        writer.shutdown();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::ended);
    });
}

TEST_CASE("stream: a pipe that was closed while it was full still gives all") {
    on_every_loop({}, [](network& on) {
        auto ends = support::make_pipe();
        script told;
        auto writer = adopt(on, std::move(ends.second), told);
        const auto all = support::pattern(500'000);
        writer.write(all);
        writer.close();
        std::string heard;
        CHECK(on.until([&] {
            heard += take_text(ends.first.get());
            return told.is_closed() && heard.size() == all.size();
        }));
        CHECK(heard == all);
        CHECK(told.info.reason == close_reason::closed);
    });
}

TEST_CASE("stream: a FIFO is read and written like a pipe") {
    on_every_loop({}, [](network& on) {
        const auto path = on.path();
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        auto reader = open_file(path, O_RDONLY | O_NONBLOCK);
        auto writer = open_file(path, O_WRONLY);
        script read;
        script written;
        auto source = adopt(on, std::move(writer), written);
        auto target = adopt(on, std::move(reader), read);
        source.write("through a file's name");
        source.close();
        CHECK(on.until([&] { return read.is_closed() && written.is_closed(); }));
        CHECK(read.data == "through a file's name");
        CHECK(read.info.reason == close_reason::ended);
    });
}

TEST_CASE("stream: a terminal goes both ways, and ends when the other side hangs up") {
    on_every_loop({}, [](network& on) {
        auto both = open_terminal();
        script master;
        script slave;
        auto screen = adopt(on, std::move(both.master), master);
        auto program = adopt(on, std::move(both.slave), slave);
        screen.write("typed");
        program.write("shown");
        CHECK(on.until([&] { return slave.data == "typed" && master.data == "shown"; }));
        SUBCASE("the program goes") {
            program.close();
            CHECK(on.until([&] { return master.count("end") == 1 || master.is_closed(); }));
            CHECK(master.count("end") == 1);
        }
        SUBCASE("the screen goes") {
            screen.close();
            CHECK(on.until([&] { return slave.count("end") == 1 || slave.is_closed(); }));
            CHECK(slave.count("end") == 1);
        }
    });
}

TEST_CASE("stream: /dev/null takes everything, and its end is read at once") {
    on_every_loop({}, [](network& on) {
        script told;
        auto sink = adopt(on, open_file("/dev/null", O_WRONLY), told);
        CHECK(sink.write(std::string(500'000, 'x')) != write_status::refused);
        sink.shutdown();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::ended);
        CHECK(told.info.dropped_bytes == 0);
        script empty;
        auto source = adopt(on, open_file("/dev/null", O_RDONLY), empty);
        CHECK(on.until([&] { return empty.is_closed(); }));
        CHECK(empty.data.empty());
    });
}

TEST_CASE("stream: a file is read from where it stands, 64 KiB in a turn, and others have theirs") {
    on_every_loop({}, [](network& on) {
        const auto all = support::pattern(300'000);
        std::ofstream(on.path(), std::ios::binary) << all;
        auto file = open_file(on.path(), O_RDONLY);
        REQUIRE(::lseek(file.get(), 10, SEEK_SET) == 10);
        script told;
        std::size_t largest = 0;
        int pieces = 0;
        told.on_data = [&](sockeye::stream&, sockeye::bytes in) {
            largest = std::max(largest, in.size());
            ++pieces;
            told.data += sockeye::as_text(in);
        };
        auto reader = adopt(on, std::move(file), told);
        int turns = 0;
        while (!told.is_closed() && turns < 1000) {
            on.turn();
            ++turns;
        }
        CHECK(told.data == all.substr(10));
        CHECK(told.info.reason == close_reason::ended);
        CHECK(largest <= 65536);
        CHECK(turns >= pieces);
    });
}

TEST_CASE("stream: a file that is being read waits while it is paused, and does not spin") {
    on_every_loop({}, [](network& on) {
        const auto all = support::pattern(200'000);
        std::ofstream(on.path(), std::ios::binary) << all;
        script told;
        told.on_data = [&](sockeye::stream& link, sockeye::bytes in) {
            told.data += sockeye::as_text(in);
            link.pause();
        };
        auto reader = adopt(on, open_file(on.path(), O_RDONLY), told);
        CHECK(on.until([&] { return !told.data.empty(); }));
        const auto sized = told.data.size();
        on.settle();
        CHECK(told.data.size() == sized);
        CHECK(on.until([&] {
            reader.resume();
            return told.is_closed();
        }));
        CHECK(told.data == all);
    });
}

TEST_CASE("stream: a file is written in order, and closed when all is written") {
    on_every_loop({}, [](network& on) {
        script told;
        auto writer = adopt(on, open_file(on.path(), O_WRONLY | O_CREAT), told);
        std::string all;
        for (std::size_t i = 0; i < 20; ++i) {
            const auto part = support::pattern(i * 4000 + 1, i);
            REQUIRE(writer.write(part) != write_status::refused);
            all += part;
        }
        writer.close();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::closed);
        CHECK(told.info.dropped_bytes == 0);
        CHECK(content_of(on.path()) == all);
    });
}

TEST_CASE("stream: a file that may not grow fails with its error, and no signal comes") {
    on_every_loop({}, [](network& on) {
        rlimit before = {};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
        rlimit lowered = before;
        lowered.rlim_cur = 1000;
        script told;
        auto writer = adopt(on, open_file(on.path(), O_WRONLY | O_CREAT), told);
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &lowered) == 0);
        writer.write(std::string(5000, 'x'));
        const bool is_over = on.until([&] { return told.is_closed(); });
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHECK(is_over);
        CHECK(told.info.error == std::errc::file_too_large);
        CHECK_FALSE(is_pending(SIGXFSZ));
    });
}

TEST_CASE("stream: what cannot be a stream is refused, and closed") {
    on_every_loop({}, [](network& on) {
        const auto before = support::open_descriptors();
        CHECK(sockeye::adopt(on.loop(), open_file("/tmp", O_RDONLY)).error() ==
              sockeye::errc::not_pollable);
        CHECK(sockeye::adopt(on.loop(), unique_fd()).error() == std::errc::bad_file_descriptor);
        CHECK(support::open_descriptors() == before);

        auto ends = support::make_pipe();
        script told;
        auto writer = adopt(on, std::move(ends.second), told);
        std::vector<unique_fd> along;
        along.push_back(support::make_duplicate(0));
        CHECK(writer.write("x", std::move(along)) == write_status::refused);
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.error == std::errc::not_supported);
        CHECK(writer.peer_credentials().error() == std::errc::not_connected);
    });
}

TEST_CASE("standard streams: input is opened anew, so that others' calls go on waiting") {
    on_every_loop({}, [](network& on) {
        int ends[2] = {-1, -1};
        REQUIRE(::pipe(ends) == 0);
        unique_fd reader(ends[0]);
        unique_fd writer(ends[1]);
        const standard_replaced input(0, reader.get());
        script told;
        auto stream = sockeye::standard_input(on.loop()).value();
        stream.attach<support::hooked>(std::ref(told));
        CHECK_FALSE(is_non_blocking(0));
        put_text(writer.get(), "typed");
        CHECK(on.until([&] { return told.data == "typed"; }));
        stream.close();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(::fcntl(0, F_GETFD) >= 0);
        CHECK_FALSE(is_non_blocking(0));
    });
}

TEST_CASE("standard streams: output goes behind what a file holds, and the descriptor stays") {
    on_every_loop({}, [](network& on) {
        auto file = open_file(on.path(), O_WRONLY | O_CREAT);
        put_text(file.get(), "before ");
        script told;
        std::optional<sockeye::stream> stream;
        {
            const standard_replaced output(2, file.get());
            stream.emplace(sockeye::standard_error(on.loop()).value());
        }
        stream->attach<support::hooked>(std::ref(told));
        on.settle();
        stream->write("after");
        stream->close();
        CHECK(on.until([&] { return told.is_closed(); }));
        put_text(file.get(), " end");
        CHECK(content_of(on.path()) == "before after end");
    });
}

TEST_CASE("standard streams: where the description is shared, closing makes it wait again") {
    on_every_loop({}, [](network& on) {
        int ends[2] = {-1, -1};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        unique_fd far(ends[0]);
        unique_fd near(ends[1]);
        script told;
        {
            const standard_replaced input(0, near.get());
            auto stream = sockeye::standard_input(on.loop()).value();
            stream.attach<support::hooked>(std::ref(told));
            CHECK(is_non_blocking(near.get()));
            put_text(far.get(), "by a socket");
            CHECK(on.until([&] { return told.data == "by a socket"; }));
            stream.close();
            CHECK(on.until([&] { return told.is_closed(); }));
        }
        CHECK_FALSE(is_non_blocking(near.get()));
    });
}

TEST_CASE("standard streams: a missing input is an error, and no socket takes its number") {
    on_every_loop({}, [](network& on) {
        {
            const standard_replaced missing(0, -1);
            CHECK(sockeye::standard_input(on.loop()).error() == std::errc::bad_file_descriptor);
        }
        CHECK(support::run_in_child([] {
                  ::close(0);
                  ::close(2);
                  if (sockeye::secure_standard_descriptors()) {
                      return 1;
                  }
                  const unique_fd next(::socket(AF_UNIX, SOCK_STREAM, 0));
                  struct stat null = {};
                  struct stat input = {};
                  if (::stat("/dev/null", &null) != 0 || ::fstat(0, &input) != 0 ||
                      ::fcntl(2, F_GETFD) < 0) {
                      return 2;
                  }
                  return null.st_rdev == input.st_rdev && next.get() > 2 ? 0 : 3;
              }) == 0);
    });
}
