#include "kernel/backend.hpp"
#include "support/kqueue_emulation/script.hpp"

#include <sockeye/error.hpp>
#include <sockeye/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// What the conformance suite cannot bring the emulated kqueue to say is said by a script here.
// The emulation itself is held to the return rules of the native kernels.

namespace sockeye {
namespace {

using namespace std::chrono_literals;
using testing::emulated_kevent;
using testing::kevent_script;
using note = struct kevent;

constexpr auto both = interest::readable | interest::writable;
constexpr timespec no_time = {};

struct pair_of_fds {
    unique_fd first;
    unique_fd second;
};

pair_of_fds make_pipe() {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

pair_of_fds make_socket_pair() {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

unique_fd make_tcp_socket() {
    unique_fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(made);
    return made;
}

sockaddr_in bind_to_loopback(int fd) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return address;
}

/// A connected pair: the client's end and the server's.
pair_of_fds make_tcp_pair() {
    const auto listener = make_tcp_socket();
    const auto address = bind_to_loopback(listener.get());
    REQUIRE(::listen(listener.get(), 1) == 0);
    auto client = unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    auto server = unique_fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(server);
    return {std::move(client), std::move(server)};
}

void reset_connection(unique_fd& end) {
    const linger at_once = {1, 0};
    REQUIRE(::setsockopt(end.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    end.reset();
}

void write_byte(int fd) {
    REQUIRE(::write(fd, "x", 1) == 1);
}

std::unique_ptr<backend> open_backend() {
    auto made = make_kqueue_backend();
    REQUIRE(made);
    return std::move(*made);
}

std::vector<event> wait_once(backend& subject, std::size_t room = 64,
                             std::optional<duration> timeout = duration::zero()) {
    std::vector<event> ready(room);
    const auto count = subject.wait(ready, timeout);
    REQUIRE(count);
    ready.resize(*count);
    return ready;
}

note make_note(int fd, short filter, unsigned flags, std::uintptr_t udata = 0) {
    note made = {};
    made.ident = static_cast<std::uintptr_t>(fd);
    made.filter = filter;
    made.flags = static_cast<unsigned short>(flags);
    made.udata = reinterpret_cast<void*>(udata);
    return made;
}

int apply(int queue, note change) {
    return ::kevent(queue, &change, 1, nullptr, 0, &no_time);
}

std::vector<note> take(int queue, std::size_t room = 16, const timespec* timeout = &no_time) {
    std::vector<note> events(room);
    const int count = ::kevent(queue, nullptr, 0, events.data(), static_cast<int>(room), timeout);
    REQUIRE(count >= 0);
    events.resize(static_cast<std::size_t>(count));
    return events;
}

/// Waits for an event that the network still has to bring.
std::vector<note> take_in_time(int queue) {
    const timespec generous = {20, 0};
    auto events = take(queue, 16, &generous);
    REQUIRE_FALSE(events.empty());
    return events;
}

/// Answers like the emulation, but lets `changed` have its way with each receipt of a change.
kevent_script rewriting_receipts(std::function<void(note&)> changed) {
    return kevent_script([changed](int queue, const note* changes, int change_count, note* events,
                                   int event_count, const timespec* timeout) {
        const int told =
            emulated_kevent(queue, changes, change_count, events, event_count, timeout);
        for (int i = 0; i < told && change_count > 0; ++i) {
            // A receipt has lost the flags of its change.
            auto seen = events[i];
            seen.flags = changes[i].flags;
            changed(seen);
            events[i].data = seen.data;
        }
        return told;
    });
}

/// Applies changes like the emulation; every wait gives `told`, once.
kevent_script telling(std::vector<note> told) {
    return kevent_script([told](int queue, const note* changes, int change_count, note* events,
                                int event_count, const timespec* timeout) mutable {
        if (change_count > 0) {
            return emulated_kevent(queue, changes, change_count, events, event_count, timeout);
        }
        const auto count = std::min(told.size(), static_cast<std::size_t>(event_count));
        std::copy_n(told.begin(), count, events);
        told.erase(told.begin(), told.begin() + static_cast<std::ptrdiff_t>(count));
        return static_cast<int>(count);
    });
}

} // namespace

TEST_CASE("kqueue: changes and waits are calls of their own, every change has a receipt") {
    auto [reader, writer] = make_socket_pair();
    write_byte(writer.get());
    auto subject = open_backend();
    int changes_seen = 0;
    int waits_seen = 0;
    const kevent_script script([&](int queue, const note* changes, int change_count, note* events,
                                   int event_count, const timespec* timeout) {
        CHECK(queue == subject->native_handle());
        for (int i = 0; i < change_count; ++i) {
            CHECK((changes[i].flags & EV_RECEIPT) != 0);
            ++changes_seen;
        }
        if (change_count > 0) {
            CHECK(event_count == change_count);
            REQUIRE(timeout != nullptr);
            CHECK(timeout->tv_sec + timeout->tv_nsec == 0);
        } else {
            ++waits_seen;
        }
        return emulated_kevent(queue, changes, change_count, events, event_count, timeout);
    });
    REQUIRE_FALSE(subject->add(reader.get(), interest::none, 1));
    CHECK(changes_seen == 0);
    REQUIRE_FALSE(subject->modify(reader.get(), both, 1));
    CHECK(changes_seen == 2);
    REQUIRE_FALSE(subject->modify(reader.get(), both, 2));
    CHECK(changes_seen == 2);
    REQUIRE_FALSE(subject->modify(reader.get(), interest::readable, 2));
    CHECK(changes_seen == 3);
    CHECK(wait_once(*subject).size() == 1);
    REQUIRE_FALSE(subject->remove(reader.get()));
    CHECK(changes_seen == 4);
    CHECK(wait_once(*subject).empty());
    CHECK(waits_seen == 2);
}

TEST_CASE("kqueue: an interrupted wait is 0 events") {
    auto subject = open_backend();
    const kevent_script script([](int, const note*, int, note*, int, const timespec*) {
        errno = EINTR;
        return -1;
    });
    CHECK(wait_once(*subject, 8, std::nullopt).empty());
}

TEST_CASE("kqueue: what else a wait reports is its error") {
    auto subject = open_backend();
    const kevent_script script([](int, const note*, int, note*, int, const timespec*) {
        errno = ENOMEM;
        return -1;
    });
    std::array<event, 4> ready;
    CHECK(subject->wait(ready, 0s).error() == std::errc::not_enough_memory);
}

TEST_CASE("kqueue: an interrupted change has been applied") {
    auto [reader, writer] = make_pipe();
    auto subject = open_backend();
    {
        const kevent_script script([](int queue, const note* changes, int change_count,
                                      note* events, int event_count, const timespec* timeout) {
            emulated_kevent(queue, changes, change_count, events, event_count, timeout);
            errno = EINTR;
            return -1;
        });
        REQUIRE_FALSE(subject->add(reader.get(), interest::readable, 5));
    }
    write_byte(writer.get());
    const auto ready = wait_once(*subject);
    REQUIRE(ready.size() == 1);
    CHECK(ready[0].key == 5);
}

TEST_CASE("kqueue: a refused change is reported and leaves nothing behind") {
    auto [reader, writer] = make_socket_pair();
    write_byte(writer.get());
    auto subject = open_backend();

    SUBCASE("by its receipt, add") {
        {
            const auto script = rewriting_receipts([](note& change) {
                if ((change.flags & EV_ADD) != 0 && change.filter == EVFILT_WRITE) {
                    change.data = ENOMEM;
                }
            });
            CHECK(subject->add(reader.get(), both, 1) == std::errc::not_enough_memory);
        }
        CHECK(wait_once(*subject).empty());
        CHECK(subject->remove(reader.get()) == std::errc::no_such_file_or_directory);
        CHECK_FALSE(subject->add(reader.get(), both, 2));
        CHECK(wait_once(*subject).size() == 1);
    }
    SUBCASE("by the call, add") {
        {
            const kevent_script script([](int, const note*, int, note*, int, const timespec*) {
                errno = ENOMEM;
                return -1;
            });
            CHECK(subject->add(reader.get(), both, 1) == std::errc::not_enough_memory);
        }
        CHECK(wait_once(*subject).empty());
        CHECK_FALSE(subject->add(reader.get(), both, 2));
    }
    SUBCASE("by its receipt, modify: the old interest stays") {
        REQUIRE_FALSE(subject->add(reader.get(), interest::readable, 1));
        {
            const auto script = rewriting_receipts([](note& change) {
                if ((change.flags & EV_ADD) != 0) {
                    change.data = ENOSPC;
                }
            });
            CHECK(subject->modify(reader.get(), interest::writable, 2) ==
                  std::errc::no_space_on_device);
        }
        const auto ready = wait_once(*subject);
        REQUIRE(ready.size() == 1);
        CHECK(ready[0].key == 1);
        CHECK(ready[0].readable);
        CHECK_FALSE(ready[0].writable);
    }
    SUBCASE("a device without events is not pollable") {
        for (const int code : {EINVAL, ENODEV, EPERM}) {
            const auto script = rewriting_receipts([code](note& change) {
                change.data = (change.flags & EV_ADD) != 0 ? code : change.data;
            });
            CHECK(subject->add(reader.get(), interest::readable, 1) == errc::not_pollable);
        }
    }
}

TEST_CASE("kqueue: deleting what the kernel has forgotten is no error, another refusal is") {
    for (const int code : {ENOENT, EBADF, ENOMEM}) {
        CAPTURE(code);
        auto [reader, writer] = make_pipe();
        auto subject = open_backend();
        REQUIRE_FALSE(subject->add(reader.get(), interest::readable, 1));
        {
            const auto script = rewriting_receipts([code](note& change) {
                change.data = (change.flags & EV_DELETE) != 0 ? code : change.data;
            });
            CHECK(subject->remove(reader.get()).value() == (code == ENOMEM ? ENOMEM : 0));
        }
        CHECK(subject->remove(reader.get()) == std::errc::no_such_file_or_directory);
    }
}

TEST_CASE("kqueue: [51] a pipe that lost its readers before it is watched is ready to fail") {
    auto [reader, writer] = make_pipe();
    auto subject = open_backend();
    const auto is_told = [&](const std::vector<event>& ready) {
        return ready.size() == 1 && ready[0].key == 3 && ready[0].writable && ready[0].hangup &&
               ready[0].error && !ready[0].readable;
    };

    SUBCASE("by EPIPE, again and again") {
        reader.reset();
        REQUIRE_FALSE(subject->add(writer.get(), interest::writable, 3));
        CHECK(is_told(wait_once(*subject, 8, std::nullopt)));
        CHECK(wait_once(*subject, 8, std::nullopt).empty());
        CHECK(is_told(wait_once(*subject, 8, std::nullopt)));
        REQUIRE_FALSE(subject->modify(writer.get(), interest::none, 3));
        CHECK(wait_once(*subject).empty());
        CHECK(wait_once(*subject).empty());
        REQUIRE_FALSE(subject->modify(writer.get(), interest::writable, 3));
        CHECK(is_told(wait_once(*subject, 8, std::nullopt)));
        REQUIRE_FALSE(subject->remove(writer.get()));
        CHECK(wait_once(*subject).empty());
        CHECK(wait_once(*subject).empty());
    }
    SUBCASE("by NetBSD's EBADF") {
        {
            const auto script = rewriting_receipts([](note& change) { change.data = EBADF; });
            REQUIRE_FALSE(subject->add(writer.get(), interest::writable, 3));
        }
        CHECK(is_told(wait_once(*subject)));
    }
    SUBCASE("once where edges are wanted") {
        reader.reset();
        REQUIRE_FALSE(subject->add(writer.get(), interest::writable | interest::edge, 3));
        CHECK(is_told(wait_once(*subject, 8, std::nullopt)));
        CHECK(wait_once(*subject).empty());
        CHECK(wait_once(*subject).empty());
    }
    SUBCASE("in turns with everything else, one event at a time") {
        auto [other_reader, other_writer] = make_pipe();
        write_byte(other_writer.get());
        reader.reset();
        REQUIRE_FALSE(subject->add(writer.get(), interest::writable, 3));
        REQUIRE_FALSE(subject->add(other_reader.get(), interest::readable, 4));
        int told[2] = {};
        for (int i = 0; i < 10; ++i) {
            const auto ready = wait_once(*subject, 1, std::nullopt);
            REQUIRE(ready.size() == 1);
            ++told[ready[0].key - 3];
        }
        CHECK(told[0] == 5);
        CHECK(told[1] == 5);
    }
}

TEST_CASE("kqueue: ends and errors are hints beside the direction that told them") {
    auto [one, other] = make_socket_pair();
    auto subject = open_backend();
    REQUIRE_FALSE(subject->add(one.get(), both, 9));
    // The serial of the first registration of a backend is 1.
    auto told = make_note(one.get(), EVFILT_READ, EV_EOF, 1);
    event expected = {.key = 9};

    SUBCASE("an end of reading") {
        expected.readable = expected.read_closed = true;
    }
    SUBCASE("an end of reading by an error") {
        told.fflags = ECONNRESET;
        expected.readable = expected.read_closed = expected.error = true;
    }
    SUBCASE("an end of writing is no end of reading") {
        told.filter = EVFILT_WRITE;
        expected.writable = expected.hangup = true;
    }
    SUBCASE("a failed connect") {
        told.filter = EVFILT_WRITE;
        told.fflags = ECONNREFUSED;
        expected.writable = expected.hangup = expected.error = true;
    }
    SUBCASE("a kernel that reports an error of its own") {
        told.flags = EV_ERROR;
        told.data = ENXIO;
        expected.readable = expected.error = true;
    }
    SUBCASE("fflags without an end are no error") {
        told.flags = 0;
        told.fflags = 1;
        expected.readable = true;
    }
    const auto script = telling({told});
    const auto ready = wait_once(*subject);
    REQUIRE(ready.size() == 1);
    CHECK(ready[0].key == expected.key);
    CHECK(ready[0].readable == expected.readable);
    CHECK(ready[0].writable == expected.writable);
    CHECK(ready[0].read_closed == expected.read_closed);
    CHECK(ready[0].hangup == expected.hangup);
    CHECK(ready[0].error == expected.error);
}

TEST_CASE("kqueue: the directions of one descriptor come as one event, in any order") {
    auto [one, other] = make_socket_pair();
    auto subject = open_backend();
    REQUIRE_FALSE(subject->add(one.get(), both, 10));
    REQUIRE_FALSE(subject->add(other.get(), both, 20));
    const auto script = telling({
        make_note(other.get(), EVFILT_WRITE, 0, 2),
        make_note(one.get(), EVFILT_READ, 0, 1),
        make_note(other.get(), EVFILT_READ, EV_EOF, 2),
        make_note(one.get(), EVFILT_WRITE, 0, 1),
    });
    const auto ready = wait_once(*subject);
    REQUIRE(ready.size() == 2);
    CHECK(ready[0].key == 20);
    CHECK(ready[1].key == 10);
    for (const auto& told : ready) {
        CHECK(told.readable);
        CHECK(told.writable);
    }
    CHECK(ready[0].read_closed);
    CHECK_FALSE(ready[1].read_closed);
}

TEST_CASE("kqueue: events of an earlier registration are dropped") {
    auto [one, other] = make_socket_pair();
    auto subject = open_backend();
    REQUIRE_FALSE(subject->add(one.get(), interest::readable, 1));
    REQUIRE_FALSE(subject->remove(one.get()));
    REQUIRE_FALSE(subject->add(one.get(), interest::readable, 2));
    REQUIRE_FALSE(subject->add(other.get(), interest::readable, 3));
    REQUIRE_FALSE(subject->remove(other.get()));
    const auto script = telling(
        {make_note(one.get(), EVFILT_READ, 0, 1), make_note(one.get(), EVFILT_READ, 0, 2),
         make_note(other.get(), EVFILT_READ, 0, 3), make_note(1'000'000, EVFILT_READ, 0, 3)});
    const auto ready = wait_once(*subject);
    REQUIRE(ready.size() == 1);
    CHECK(ready[0].key == 2);
}

TEST_CASE("kqueue: [39] a short list loses nothing and starves nobody") {
    auto subject = open_backend();
    std::vector<pair_of_fds> pairs;
    for (std::uint64_t key = 0; key < 20; ++key) {
        pairs.push_back(make_socket_pair());
        write_byte(pairs.back().second.get());
        REQUIRE_FALSE(subject->add(pairs.back().first.get(), both, key));
    }
    for (const std::size_t room : {1U, 3U, 7U}) {
        CAPTURE(room);
        std::array<int, 20> reads = {};
        std::array<int, 20> writes = {};
        for (int i = 0; i < 100; ++i) {
            const auto ready = wait_once(*subject, room);
            REQUIRE_FALSE(ready.empty());
            for (const auto& told : ready) {
                reads[told.key] += told.readable ? 1 : 0;
                writes[told.key] += told.writable ? 1 : 0;
            }
        }
        CHECK(std::ranges::min(reads) > 0);
        CHECK(std::ranges::min(writes) > 0);
    }
}

TEST_CASE("kqueue: [37] timeouts are exact, never negative and at most a day") {
    auto subject = open_backend();
    const auto asked = [&](std::optional<duration> timeout) {
        std::optional<std::pair<long, long>> seen;
        const kevent_script script([&](int, const note*, int, note*, int, const timespec* given) {
            if (given != nullptr) {
                seen = {static_cast<long>(given->tv_sec), given->tv_nsec};
            }
            return 0;
        });
        CHECK(wait_once(*subject, 4, timeout).empty());
        return seen;
    };
    using exactly = std::optional<std::pair<long, long>>;
    CHECK(asked(std::nullopt) == std::nullopt);
    CHECK(asked(-1s) == exactly({0, 0}));
    CHECK(asked(0s) == exactly({0, 0}));
    CHECK(asked(1ns) == exactly({0, 1}));
    CHECK(asked(2s + 999'999'999ns) == exactly({2, 999'999'999}));
    CHECK(asked(std::chrono::hours(24 * 365)) == exactly({86'400, 0}));
    CHECK(asked(duration::max()) == exactly({86'400, 0}));
    CHECK(asked(duration::min()) == exactly({0, 0}));
}

TEST_CASE("kqueue: the queue is closed on exec, and not by a forked child") {
    auto subject = open_backend();
    CHECK(::fcntl(subject->native_handle(), F_GETFD) == FD_CLOEXEC);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // The number is free here, and somebody takes it.
        const int number = subject->native_handle();
        const bool was_free = ::fcntl(number, F_GETFD) < 0 && ::dup2(0, number) == number;
        subject.reset();
        ::_exit(was_free && ::fcntl(number, F_GETFD) >= 0 ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("kqueue emulation: a failed change ends the call at once") {
    const unique_fd queue(::kqueue());
    auto [reader, writer] = make_pipe();
    write_byte(writer.get());
    REQUIRE(apply(queue.get(), make_note(reader.get(), EVFILT_READ, EV_ADD)) == 0);
    const auto change = make_note(reader.get(), EVFILT_WRITE, EV_DELETE, 77);
    std::array<note, 4> events = {};

    // The wait would be for ever, and there is an event, but neither is looked at.
    REQUIRE(::kevent(queue.get(), &change, 1, events.data(), 4, nullptr) == 1);
    CHECK(events[0].flags == EV_ERROR);
    CHECK(events[0].data == ENOENT);
    CHECK(events[0].ident == change.ident);
    CHECK(events[0].filter == EVFILT_WRITE);
    CHECK(events[0].udata == change.udata);
    // Without room for it, it is the error of the call.
    CHECK(::kevent(queue.get(), &change, 1, nullptr, 0, nullptr) == -1);
    CHECK(errno == ENOENT);
}

TEST_CASE("kqueue emulation: receipts end the call at once, good ones too") {
    const unique_fd queue(::kqueue());
    auto [reader, writer] = make_pipe();
    const std::array changes = {make_note(reader.get(), EVFILT_READ, EV_ADD | EV_RECEIPT),
                                make_note(-1, EVFILT_READ, EV_ADD | EV_RECEIPT),
                                make_note(writer.get(), EVFILT_WRITE, EV_ADD | EV_RECEIPT)};
    std::array<note, 8> events = {};
    REQUIRE(::kevent(queue.get(), changes.data(), 3, events.data(), 8, nullptr) == 3);
    for (const auto& receipt : std::span(events).first(3)) {
        CHECK(receipt.flags == EV_ERROR);
    }
    CHECK(events[0].data == 0);
    CHECK(events[1].data == EBADF);
    CHECK(events[2].data == 0);
    const auto told = take(queue.get());
    REQUIRE(told.size() == 1);
    CHECK(told[0].filter == EVFILT_WRITE);
}

TEST_CASE("kqueue emulation: what cannot be watched is refused") {
    const unique_fd queue(::kqueue());
    const auto refusal = [&](const note& change) {
        errno = 0;
        CHECK(apply(queue.get(), change) == -1);
        return errno;
    };
    auto [reader, writer] = make_pipe();
    const int closed = ::dup(reader.get());
    ::close(closed);
    reader.reset();
    const unique_fd folder(::open("/", O_RDONLY | O_CLOEXEC));
    CHECK(refusal(make_note(closed, EVFILT_READ, EV_ADD)) == EBADF);
    CHECK(refusal(make_note(closed, EVFILT_READ, EV_DELETE)) == EBADF);
    CHECK(refusal(make_note(writer.get(), EVFILT_READ, EV_DELETE)) == ENOENT);
    CHECK(refusal(make_note(writer.get(), EVFILT_READ, 0)) == ENOENT);
    CHECK(refusal(make_note(writer.get(), EVFILT_WRITE, EV_ADD)) == EPIPE);
    CHECK(refusal(make_note(writer.get(), -3, EV_ADD)) == EINVAL);
    CHECK(refusal(make_note(folder.get(), EVFILT_READ, EV_ADD)) == EINVAL);
}

TEST_CASE("kqueue emulation: EV_CLEAR tells each change once, and again when added again") {
    const unique_fd queue(::kqueue());
    auto [one, other] = make_socket_pair();
    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_ADD | EV_CLEAR)) == 0);
    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD | EV_CLEAR)) == 0);
    REQUIRE(take(queue.get()).size() == 1);
    CHECK(take(queue.get()).empty());

    write_byte(other.get());
    // The other direction is not told again.
    auto told = take(queue.get());
    REQUIRE(told.size() == 1);
    CHECK(told[0].filter == EVFILT_READ);
    CHECK(told[0].data == 1);
    CHECK(take(queue.get()).empty());

    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD | EV_CLEAR, 5)) == 0);
    told = take(queue.get());
    REQUIRE(told.size() == 1);
    CHECK(told[0].udata == reinterpret_cast<void*>(5));
    CHECK(take(queue.get()).empty());
}

TEST_CASE("kqueue emulation: without EV_CLEAR an event is told as long as it lasts") {
    const unique_fd queue(::kqueue());
    auto [one, other] = make_socket_pair();
    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_ADD)) == 0);
    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD)) == 0);
    write_byte(other.get());
    CHECK(take(queue.get()).size() == 2);
    CHECK(take(queue.get()).size() == 2);
    // In a list of one entry the directions take turns.
    CHECK(take(queue.get(), 1)[0].filter != take(queue.get(), 1)[0].filter);
    REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_DELETE)) == 0);
    CHECK(take(queue.get()).size() == 1);
}

TEST_CASE("kqueue emulation: EV_EOF tells the end of a direction") {
    const unique_fd queue(::kqueue());
    auto [one, other] = make_tcp_pair();

    SUBCASE("the peer's FIN, with data before it") {
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD)) == 0);
        write_byte(other.get());
        REQUIRE(::shutdown(other.get(), SHUT_WR) == 0);
        auto told = take_in_time(queue.get());
        while ((told[0].flags & EV_EOF) == 0) {
            told = take_in_time(queue.get());
        }
        CHECK(told[0].data == 1);
        CHECK(told[0].fflags == 0);
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_ADD)) == 0);
        told = take(queue.get());
        REQUIRE(told.size() == 2);
        for (const auto& one_of_both : told) {
            CHECK(one_of_both.flags == (one_of_both.filter == EVFILT_READ ? EV_EOF : 0));
        }
    }
    SUBCASE("our own shutdown, on the write side only") {
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD)) == 0);
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_ADD)) == 0);
        REQUIRE(::shutdown(one.get(), SHUT_WR) == 0);
        const auto told = take_in_time(queue.get());
        REQUIRE(told.size() == 1);
        CHECK(told[0].filter == EVFILT_WRITE);
        CHECK(told[0].flags == EV_EOF);
        CHECK(told[0].fflags == 0);
    }
    SUBCASE("a reset, with its error, on both and for the next read to find") {
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_READ, EV_ADD)) == 0);
        reset_connection(other);
        take_in_time(queue.get());
        REQUIRE(apply(queue.get(), make_note(one.get(), EVFILT_WRITE, EV_ADD)) == 0);
        const auto told = take(queue.get());
        REQUIRE(told.size() == 2);
        for (const auto& end : told) {
            CHECK(end.flags == EV_EOF);
            CHECK(end.fflags != 0);
        }
        char byte = 0;
        CHECK(::read(one.get(), &byte, 1) == -1);
        CHECK(errno == ECONNRESET);
    }
    SUBCASE("the readers of a pipe are gone") {
        auto [reader, writer] = make_pipe();
        REQUIRE(apply(queue.get(), make_note(writer.get(), EVFILT_WRITE, EV_ADD)) == 0);
        reader.reset();
        const auto told = take(queue.get());
        REQUIRE(told.size() == 1);
        CHECK(told[0].flags == EV_EOF);
        CHECK(told[0].fflags == 0);
    }
}

TEST_CASE("kqueue emulation: closing a descriptor forgets its notes, though a duplicate lives") {
    const unique_fd queue(::kqueue());
    auto [reader, writer] = make_pipe();
    const unique_fd duplicate(::dup(reader.get()));
    REQUIRE(apply(queue.get(), make_note(reader.get(), EVFILT_READ, EV_ADD)) == 0);
    write_byte(writer.get());
    REQUIRE(take(queue.get()).size() == 1);
    const int number = reader.get();
    reader.reset();
    CHECK(take(queue.get()).empty());
    // The next user of the number starts afresh.
    REQUIRE(::dup2(duplicate.get(), number) == number);
    const unique_fd next(number);
    CHECK(apply(queue.get(), make_note(number, EVFILT_READ, EV_DELETE)) == -1);
    CHECK(errno == ENOENT);
    REQUIRE(apply(queue.get(), make_note(number, EVFILT_READ, EV_ADD)) == 0);
    CHECK(take(queue.get()).size() == 1);
}

TEST_CASE("kqueue emulation: a socket that never was connected is silent until it is") {
    const unique_fd queue(::kqueue());
    const auto listener = make_tcp_socket();
    const auto address = bind_to_loopback(listener.get());
    REQUIRE(::listen(listener.get(), 1) == 0);
    const auto client = make_tcp_socket();
    REQUIRE(apply(queue.get(), make_note(client.get(), EVFILT_WRITE, EV_ADD)) == 0);
    REQUIRE(apply(queue.get(), make_note(client.get(), EVFILT_READ, EV_ADD)) == 0);
    for (int i = 0; i < 3; ++i) {
        CHECK(take(queue.get()).empty());
    }
    ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    for (int i = 0; i < 3; ++i) {
        const auto told = take_in_time(queue.get());
        REQUIRE(told.size() == 1);
        CHECK(told[0].filter == EVFILT_WRITE);
        CHECK(told[0].flags == 0);
    }
}

TEST_CASE("kqueue emulation: a wait ends at its timeout, not before") {
    const unique_fd queue(::kqueue());
    for (const long wanted : {1L, 300'000L, 15'000'000L}) {
        const timespec timeout = {0, wanted};
        const auto start = std::chrono::steady_clock::now();
        CHECK(take(queue.get(), 4, &timeout).empty());
        CHECK(std::chrono::steady_clock::now() - start >= std::chrono::nanoseconds(wanted));
    }
    // A list without room is never waited for.
    CHECK(::kevent(queue.get(), nullptr, 0, nullptr, 0, nullptr) == 0);
    for (const timespec& wrong : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
        note told = {};
        CHECK(::kevent(queue.get(), nullptr, 0, &told, 1, &wrong) == -1);
        CHECK(errno == EINVAL);
    }
    note told = {};
    CHECK(::kevent(::dup(-1), nullptr, 0, &told, 1, nullptr) == -1);
    CHECK(errno == EBADF);
}

TEST_CASE("kqueue emulation: [38] a signal interrupts a wait, and the backend says 0") {
    struct sigaction quiet = {};
    struct sigaction before = {};
    quiet.sa_handler = [](int) {};
    REQUIRE(::sigaction(SIGUSR1, &quiet, &before) == 0);
    auto subject = open_backend();
    std::atomic<bool> is_done = false;
    std::thread sender([&, target = ::pthread_self()] {
        while (!is_done) {
            ::pthread_kill(target, SIGUSR1);
            std::this_thread::yield();
        }
    });
    note told = {};
    const int count = ::kevent(subject->native_handle(), nullptr, 0, &told, 1, nullptr);
    const int code = errno;
    const auto ready = wait_once(*subject, 4, std::nullopt);
    is_done = true;
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    CHECK(count == -1);
    CHECK(code == EINTR);
    CHECK(ready.empty());
}

TEST_CASE("kqueue emulation: a queue can be watched by another, and closed leaves no descriptor") {
    const int lowest = ::dup(0);
    ::close(lowest);
    {
        const unique_fd outer(::kqueue());
        const unique_fd inner(::kqueue());
        CHECK((::fcntl(inner.get(), F_GETFD) & FD_CLOEXEC) == 0);
        auto [reader, writer] = make_pipe();
        REQUIRE(apply(inner.get(), make_note(reader.get(), EVFILT_READ, EV_ADD)) == 0);
        REQUIRE(apply(outer.get(), make_note(inner.get(), EVFILT_READ, EV_ADD)) == 0);
        CHECK(take(outer.get()).empty());
        write_byte(writer.get());
        CHECK(take(outer.get()).size() == 1);
        char byte = 0;
        REQUIRE(::read(reader.get(), &byte, 1) == 1);
        CHECK(take(outer.get()).empty());
    }
    const int lowest_again = ::dup(0);
    ::close(lowest_again);
    CHECK(lowest_again == lowest);
}

} // namespace sockeye
