#include "support/scenarios.hpp"

#include "support/allocations.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace support {

using namespace sockeye;
using namespace std::chrono_literals;

namespace {

unsigned runs = 0;

/// What leaves run() beside that is the library's own.
loop_options counting(int& threw) {
    loop_options options;
    options.on_exception = [&threw](const std::exception_ptr&) { ++threw; };
    return options;
}

} // namespace

stage::stage(ground& on, const std::vector<fault>& planned)
    : on_(on), run_(++runs), at_(on, counting(threw), planned) {}

std::vector<std::string> stage::check_end(bool is_silent) {
    const auto expect = [&](bool holds, const char* wrong) {
        if (!holds) {
            note(wrong);
        }
    };
    expect(at_.until([&] { return at_.slots() == 0; }, 20s), "a slot is still in use");
    expect(at_.until([&] { return at_.timers() == 0; }, 1s), "a timer is still armed");
    expect(at_.queued_bytes() == 0, "bytes are still counted as queued");
    expect(made == destroyed, "a session is still there");
    expect(closed <= made, "more closes than sessions");
    expect(closed == made || has_stalled_ || is_silent, "a session did not hear on_close");
    expect(at_.system.strays().empty(), "a descriptor that was not open was used");
    return std::exchange(wrongs_, {});
}

std::string stage::local(transport kind) const {
    // Where a file could not be removed, the next run needs another one.
    const auto path = on_.path("s" + std::to_string(run_));
    switch (kind) {
    case transport::tcp:
        return "tcp://127.0.0.1:0";
    case transport::udp:
        return "udp://127.0.0.1:0";
    case transport::unix_stream:
        return "unix:" + path;
    case transport::unix_seqpacket:
        return "unix-seqpacket:" + path;
    default:
        break;
    }
    return "unix-dgram:" + path;
}

void stage::note(const char* wrong) {
    const spared_allocations spared;
    wrongs_.emplace_back(wrong);
}

bool stage::until(const std::function<bool()>& fact) {
    // Longer than any deadline that a scenario may run into.
    bool holds = false;
    try {
        holds = at_.until(fact, 20s);
    } catch (const std::bad_alloc&) {
        note("the loop threw bad_alloc");
    }
    has_stalled_ |= !holds;
    return holds;
}

void actor::expect(bool is_right, const char* wrong) {
    if (!is_right) {
        on_.note(wrong);
    }
}

void actor::on_open(stream& link) {
    expect(!is_open_ && !is_closed_, "on_open twice, or after on_close");
    is_open_ = true;
    ++side_.opened;
    if (side_.on_open) {
        side_.on_open(link);
    }
}

void actor::on_data(stream& link, bytes in) {
    expect(!has_ended_ && !is_closed_ && !in.empty(), "on_data after the end, or with nothing");
    {
        const spared_allocations spared;
        side_.heard += sockeye::as_text(in);
    }
    if (side_.on_data) {
        side_.on_data(link);
    }
}

void actor::on_end(stream& link) {
    expect(!has_ended_ && !is_closed_, "on_end twice, or after on_close");
    has_ended_ = true;
    ++side_.ended;
    if (side_.on_end) {
        side_.on_end(link);
    } else {
        link.close();
    }
}

void actor::on_writable(stream& link) {
    expect(!is_closed_, "on_writable after on_close");
    if (side_.on_writable) {
        side_.on_writable(link);
    }
}

void actor::on_close(stream&, close_info info) {
    expect(!is_closed_, "on_close twice");
    expect(info.error ||
               (info.reason != close_reason::failed && info.reason != close_reason::connect_failed),
           "failed without an error");
    is_closed_ = true;
    ++on_.closed;
    ++side_.closed;
    side_.info = info;
}

namespace {

result<server> serve_party(stage& on, party& side, transport kind = transport::tcp,
                           const serve_options& options = {}) {
    return serve<actor>(on.loop(), on.local(kind), options, std::ref(on), std::ref(side));
}

stream visit(stage& on, const endpoint& where, party& side, const connect_options& options = {}) {
    return connect<actor>(on.loop(), where, options, std::ref(on), std::ref(side));
}

/// What a scenario opens itself: its calls do not fail for want of memory.
template <typename Descriptors>
class spared {
public:
    explicit spared(const std::function<Descriptors()>& open) {
        const spared_allocations own;
        held_.emplace(open());
    }
    spared(const spared&) = delete;
    spared& operator=(const spared&) = delete;
    ~spared() {
        const spared_allocations own;
        held_.reset();
    }

    Descriptors* operator->() noexcept { return &*held_; }
    Descriptors& operator*() noexcept { return *held_; }

private:
    std::optional<Descriptors> held_;
};

/// Without memory there is no session, and the connection is of no use.
void attach(stage& on, stream& link, party& side) {
    const auto before = side.made;
    try {
        link.attach<actor>(std::ref(on), std::ref(side));
    } catch (const std::bad_alloc&) {
        on.made -= side.made - before;
        on.destroyed -= side.made - before;
        side.made = before;
        link.abort();
        throw;
    }
}

void put_text(stage& on, const owned_fd& to, std::string_view text) {
    const spared_allocations own;
    static_cast<void>(on.system().send(to.get(), as_bytes(text)));
}

/// A server that does as `host` says, and one client that does as `guest` says, until both sides
/// are closed.
bool meet(stage& on, party& host, party& guest, transport kind = transport::tcp,
          const stream_limits& limits = {}) {
    auto server = serve_party(on, host, kind, {.limits = limits});
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    const auto client = visit(on, *where, guest, {.deadline = 5s, .limits = limits});
    return on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
}

bool play_echo(stage& on, transport kind) {
    auto server = serve(on.loop(), on.local(kind), [](stream& s, bytes in) { s.write(in); });
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    party guest;
    guest.on_open = [](stream& link) { link.write("hello "); };
    guest.on_data = [&](stream& link) {
        if (guest.heard == "hello ") {
            link.write("world");
        } else if (guest.heard == "hello world") {
            link.close();
        }
    };
    const auto client = visit(on, *where, guest);
    on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
    return guest.heard == "hello world";
}

bool echo_tcp(stage& on) {
    return play_echo(on, transport::tcp);
}

bool echo_unix(stage& on) {
    return play_echo(on, transport::unix_stream);
}

/// The client ends its side; the answer comes after that.
bool half_close(stage& on) {
    party host;
    party guest;
    host.on_end = [](stream& link) {
        link.write("answer");
        link.shutdown();
    };
    guest.on_open = [](stream& link) {
        link.write("question");
        link.shutdown();
    };
    guest.on_end = [](stream& link) { link.close(); };
    meet(on, host, guest);
    return host.heard == "question" && guest.heard == "answer" &&
           host.info.reason == close_reason::ended;
}

bool both_shut_down(stage& on) {
    party host;
    party guest;
    for (auto* const side : {&host, &guest}) {
        side->on_open = [](stream& link) {
            link.write("bye");
            link.shutdown();
        };
        side->on_end = [](stream&) {};
    }
    meet(on, host, guest, transport::unix_stream);
    return host.heard == "bye" && guest.heard == "bye";
}

/// Written before the connection is up.
bool early_write(stage& on) {
    party host;
    party guest;
    auto server = serve_party(on, host);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    auto client = visit(on, *where, guest);
    client.write("early ");
    client.write("bird");
    client.shutdown();
    on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
    return host.heard == "early bird";
}

bool refused(stage& on, const endpoint& where, std::errc expected) {
    party guest;
    const auto client = visit(on, where, guest);
    on.until([&] { return guest.closed == 1; });
    return guest.opened == 0 && guest.info.reason == close_reason::connect_failed &&
           guest.info.error == expected;
}

/// Nobody listens there.
bool refused_tcp(stage& on) {
    spared<bound_socket> bound([&] { return make_bound_tcp(on.system()); });
    return refused(on, bound->name, std::errc::connection_refused);
}

bool refused_unix(stage& on) {
    return refused(on, endpoint::parse(on.local(transport::unix_stream)).value(),
                   std::errc::no_such_file_or_directory);
}

/// Whatever is looked up, these are found.
void set_addresses(stage& on, std::initializer_list<endpoint> found) {
    const spared_allocations own;
    on.machine().system.addresses = found;
}

/// At the first address of the host nobody listens.
bool connect_by_name(stage& on) {
    party host;
    party guest;
    auto server = serve_party(on, host);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    auto closed = endpoint::parse("127.0.0.9:0").value();
    closed.set_port(where->port());
    set_addresses(on, {closed, *where});
    const auto text = "a-name-of-some-length.test:" + std::to_string(where->port());
    auto client = connect<actor>(on.loop(), text, {.deadline = 5s}, std::ref(on), std::ref(guest));
    client.write("by name");
    client.shutdown();
    on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
    return host.heard == "by name";
}

bool resolve_name(stage& on) {
    set_addresses(on, {endpoint::parse("127.0.0.1:0").value()});
    int answers = 0;
    bool is_found = false;
    const auto pending = resolve(on.loop(), "a-name-of-some-length.test:7", {},
                                 [&](const result<std::vector<endpoint>>& said) {
                                     ++answers;
                                     is_found = said && said->front().port() == 7;
                                 });
    on.until([&] { return answers != 0; });
    on.settle();
    if (answers > 1) {
        on.note("one look-up had two answers");
    }
    return is_found;
}

/// Many at once, one after the other because of a limit.
bool accept_burst(stage& on, std::size_t connections_max) {
    constexpr int guests = 6;
    party host;
    host.on_open = [](stream& link) {
        link.write("x");
        link.shutdown();
    };
    party guest;
    auto server = serve_party(on, host, transport::tcp, {.connections_max = connections_max});
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    std::vector<stream> clients;
    for (int i = 0; i < guests; ++i) {
        clients.push_back(visit(on, *where, guest));
    }
    on.until([&] { return guest.closed == guests && server->connection_count() == 0; });
    return guest.heard == std::string(guests, 'x');
}

bool burst(stage& on) {
    return accept_burst(on, 1000);
}

bool burst_at_limit(stage& on) {
    return accept_burst(on, 2);
}

/// More than a socket holds, so that it has to be queued, with marks passed both ways.
bool big_write(stage& on, transport kind) {
    static const auto text = pattern(600'000);
    party host;
    party guest;
    std::size_t written = 0;
    const auto write_more = [&](stream& link) {
        while (written < text.size() && link.is_open()) {
            const auto part = std::string_view(text).substr(written, 100'000);
            written += part.size();
            if (link.write(part) != write_status::ok) {
                return;
            }
        }
        if (written == text.size()) {
            link.shutdown();
        }
    };
    guest.on_open = write_more;
    guest.on_writable = write_more;
    meet(on, host, guest, kind);
    return host.heard == text;
}

bool big_write_tcp(stage& on) {
    return big_write(on, transport::tcp);
}

bool big_write_unix(stage& on) {
    return big_write(on, transport::unix_stream);
}

/// A small write and a large one leave in one call.
bool gathered_write(stage& on) {
    static const auto text = pattern(20'000);
    party host;
    party guest;
    guest.on_open = [](stream& link) {
        link.write("small ");
        link.write(text);
        link.write(" last");
        link.shutdown();
    };
    meet(on, host, guest);
    return host.heard == "small " + text + " last";
}

/// What was taken is sent even after close.
bool close_with_queue(stage& on) {
    static const auto text = pattern(400'000);
    party host;
    party guest;
    host.on_open = [](stream& link) {
        link.write(text);
        link.close();
    };
    meet(on, host, guest, transport::unix_stream);
    return guest.heard == text;
}

bool abort_one(stage& on) {
    party host;
    party guest;
    guest.on_open = [](stream& link) { link.write("now"); };
    host.on_data = [](stream& link) { link.abort(); };
    meet(on, host, guest);
    return host.info.reason == close_reason::aborted;
}

bool pause_and_resume(stage& on, transport kind) {
    party host;
    party guest;
    timer later(on.loop());
    stream_ref paused;
    host.on_open = [&](stream& link) {
        link.pause();
        paused = link.ref();
        later.start(20ms, [&] {
            if (auto* const found = on.loop().find(paused)) {
                found->resume();
            }
        });
    };
    guest.on_open = [](stream& link) {
        link.write("patience");
        link.shutdown();
    };
    meet(on, host, guest, kind);
    return host.heard == "patience";
}

bool pause_tcp(stage& on) {
    return pause_and_resume(on, transport::tcp);
}

bool pause_unix(stage& on) {
    return pause_and_resume(on, transport::unix_stream);
}

/// A peer that never reads: its queue passes the hard limit.
bool slow_reader(stage& on) {
    static const auto text = pattern(300'000);
    party host;
    party guest;
    host.on_open = [](stream& link) { link.pause(); };
    guest.on_open = [&](stream& link) {
        for (int i = 0; i < 40 && link.write(text) != write_status::refused; ++i) {
        }
    };
    auto server = serve_party(on, host, transport::unix_stream);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    const auto client = visit(on, *where, guest);
    on.until([&] { return guest.closed == 1; });
    server->close();
    on.until([&] { return server->connection_count() == 0; });
    return guest.info.error == errc::send_queue_full;
}

/// Sends `count` datagrams and hears how many come back. Lost ones are not waited for for ever.
bool echo_datagrams(stage& on, transport kind, std::size_t count) {
    std::size_t echoed = 0;
    auto server = serve(on.loop(), on.local(kind),
                        [](datagram_socket& s, std::span<const datagram> in) { s.send(in); });
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    auto client = datagram_socket::connect(
        on.loop(), *where, {},
        [&](datagram_socket&, std::span<const datagram> in) { echoed += in.size(); });
    if (!client) {
        return false;
    }
    bool has_given_up = false;
    timer patience(on.loop());
    patience.start(3s, [&] { has_given_up = true; });
    std::vector<datagram> all(count, {.data = as_bytes("datagram"), .peer = nullptr});
    client->send(all);
    on.until([&] { return echoed == count || has_given_up; });
    return echoed == count;
}

bool datagram_echo(stage& on) {
    return echo_datagrams(on, transport::udp, 2);
}

bool datagram_burst(stage& on) {
    return echo_datagrams(on, transport::udp, 100);
}

bool datagram_echo_unix(stage& on) {
    return echo_datagrams(on, transport::unix_datagram, 8);
}

bool drain(stage& on) {
    party host;
    party guest;
    auto server = serve_party(on, host);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    auto client = visit(on, *where, guest);
    on.until([&] { return host.opened == 1 || guest.closed == 1; });
    client.write("still served");
    server->drain(1s);
    on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
    return host.heard == "still served" && host.info.reason == close_reason::aborted;
}

bool listen_and_attach(stage& on) {
    party host;
    host.on_data = [&](stream& link) {
        if (host.heard == "hello") {
            link.write("attached");
        }
    };
    std::vector<stream> kept;
    auto listening = listener::open(on.loop(), on.local(transport::tcp), {}, [&](stream fresh) {
        attach(on, fresh, host);
        const spared_allocations spared;
        kept.push_back(std::move(fresh));
    });
    if (!listening) {
        return false;
    }
    const auto where = listening->local_endpoint();
    if (!where) {
        return false;
    }
    party guest;
    guest.on_open = [](stream& link) { link.write("hello"); };
    guest.on_data = [&](stream& link) {
        if (guest.heard == "attached") {
            link.close();
        }
    };
    const auto client = visit(on, *where, guest);
    on.until([&] { return guest.closed == 1 && host.closed == host.made; });
    return guest.heard == "attached";
}

/// Those who come while the server pauses wait for it.
bool server_pause(stage& on) {
    party host;
    party guest;
    auto server = serve_party(on, host);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    server->pause();
    guest.on_open = [](stream& link) {
        link.write("in time");
        link.shutdown();
    };
    const auto client = visit(on, *where, guest);
    on.settle();
    server->resume();
    on.until([&] { return guest.closed == 1 && server->connection_count() == 0; });
    return host.heard == "in time";
}

/// A session moves its stream out to another one.
bool upgrade(stage& on) {
    party host;
    party heir;
    heir.on_end = [](stream& link) {
        link.write("upgraded");
        link.close();
    };
    std::optional<stream> taken;
    host.on_data = [&](stream& link) {
        if (host.heard == "upgrade") {
            taken.emplace(std::move(link));
            if (taken->is_open()) {
                taken->write("go");
                attach(on, *taken, heir);
            }
        }
    };
    party guest;
    guest.on_open = [](stream& link) { link.write("upgrade"); };
    guest.on_data = [&](stream& link) {
        if (guest.heard == "go") {
            link.write("again");
            link.shutdown();
        }
    };
    auto server = serve_party(on, host);
    if (!server) {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    const auto client = visit(on, *where, guest);
    on.until([&] { return guest.closed == 1 && heir.closed == heir.made; });
    on.until([&] { return server->connection_count() == 0 && host.closed == host.made; });
    return heir.heard == "again" && guest.heard == "goupgraded";
}

bool adopt_and_release(stage& on) {
    spared<stream_pair> pair([&] { return make_stream_pair(on.system(), transport::tcp); });
    auto adopted = adopt(on.loop(), unique_fd(pair->first.release()));
    if (!adopted) {
        // Who has no peer is no connection, and is not taken.
        return adopted.error() == std::errc::not_connected;
    }
    party side;
    attach(on, *adopted, side);
    side.on_data = [&](stream& link) {
        if (side.heard == "hello") {
            link.write("heard");
        }
    };
    put_text(on, pair->second, "hello");
    on.until([&] {
        const bool is_answered = side.heard == "hello" && adopted->queued_bytes() == 0;
        return is_answered || side.closed == 1;
    });
    const auto given = adopted->release();
    adopted->close();
    on.until([&] { return side.closed == 1; });
    return side.heard == "hello" && given && side.info.reason == close_reason::taken;
}

bool timers_and_posts(stage& on) {
    int ticks = 0;
    int ran = 0;
    int refused = 0;
    timer every(on.loop());
    timer once(on.loop());
    const auto remote = on.loop().remote();
    const auto post = [&] { refused += remote.post([&] { ++ran; }) ? 0 : 1; };
    every.start_every(5ms, [&] {
        if (++ticks == 3) {
            every.cancel();
        }
        post();
    });
    once.start(8ms, post);
    on.until([&] { return ran + refused == 4; });
    return ran == 4 && ticks == 3;
}

bool signals(stage& on) {
    int told = 0;
    auto set = signal_set::open(on.loop(), {SIGUSR1, SIGUSR2}, [&](int) { ++told; });
    if (!set) {
        return false;
    }
    std::raise(SIGUSR1);
    std::raise(SIGUSR2);
    on.until([&] { return told == 2; });
    return told == 2;
}

/// A foreign descriptor, watched for reading.
bool watching(stage& on) {
    spared<stream_pair> pair([&] { return make_stream_pair(on.system(), transport::tcp); });
    std::string heard;
    auto made = on.loop().watch(pair->first.get(), interest::none, [&](readiness what) {
        const spared_allocations own;
        std::array<std::byte, 16> room;
        if (what.readable) {
            if (const auto got = on.system().receive(pair->first.get(), room)) {
                heard += sockeye::as_text(bytes(room).first(*got));
            }
        }
    });
    if (!made || made->modify(interest::readable)) {
        return false;
    }
    put_text(on, pair->second, "watched");
    on.until([&] { return heard == "watched"; });
    return heard == "watched";
}

/// Owners that go while everything is under way are silent.
bool owners_go(stage& on) {
    party host;
    party guest;
    std::optional<server> server;
    if (auto made = serve_party(on, host)) {
        server.emplace(std::move(made.value()));
    } else {
        return false;
    }
    const auto where = server->local_endpoint();
    if (!where) {
        return false;
    }
    std::optional<stream> client(visit(on, *where, guest));
    client->write("never answered");
    on.until([&] { return host.heard == "never answered" || guest.closed == 1; });
    server.reset();
    client.reset();
    on.settle();
    return host.closed == 0 && guest.closed == 0 && host.heard == "never answered";
}

/// Nobody owns them: they end when they are done.
bool detached(stage& on) {
    party host;
    party guest;
    guest.on_open = [](stream& link) {
        link.write("on its own");
        link.shutdown();
    };
    auto made = serve_party(on, host);
    if (!made) {
        return false;
    }
    const auto where = made->local_endpoint();
    if (!where) {
        return false;
    }
    auto client = visit(on, *where, guest);
    const auto ref = client.ref();
    client.detach();
    on.until([&] { return guest.closed == 1 && made->connection_count() == 0; });
    if (auto* const left = on.loop().find(ref)) {
        left->abort();
        on.settle();
    }
    return host.heard == "on its own";
}

bool echo_packets(stage& on) {
    return play_echo(on, transport::unix_seqpacket);
}

/// From one end of a pipe to the other; both are described and opened anew.
bool through_a_pipe(stage& on) {
    spared<ends> pipe([] { return make_pipe(); });
    auto reader = adopt(on.loop(), std::move(pipe->first));
    auto writer = adopt(on.loop(), std::move(pipe->second));
    if (!reader || !writer) {
        return false;
    }
    party hearing;
    party saying;
    attach(on, *reader, hearing);
    attach(on, *writer, saying);
    writer->write("through");
    writer->close();
    on.until([&] { return hearing.closed == 1 && saying.closed == 1; });
    return hearing.heard == "through";
}

/// A file goes between two writes.
bool file_between(stage& on) {
    spared<unique_fd> file([] {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> made(std::tmpfile(), std::fclose);
        std::fputs("from a file", made.get());
        std::fflush(made.get());
        return make_duplicate(::fileno(made.get()));
    });
    party host;
    party guest;
    guest.on_open = [&](stream& link) {
        link.write("<");
        link.send_file(std::move(*file), {.offset = 0, .length = 11});
        link.write(">");
        link.shutdown();
    };
    return meet(on, host, guest) && host.heard == "<from a file>";
}

/// Takes the descriptors that come along, and says nothing.
struct porter {
    explicit porter(std::size_t& count) : taken(count) {}
    void on_data(stream&, bytes, std::vector<unique_fd> descriptors) {
        taken += descriptors.size();
        const spared_allocations own;
        descriptors.clear();
    }
    std::size_t& taken;
};

bool descriptors_along(stage& on) {
    std::size_t taken = 0;
    auto server = serve<porter>(on.loop(), on.local(transport::unix_stream), {}, std::ref(taken));
    const auto where = server ? server->local_endpoint() : server.error();
    if (!where) {
        return false;
    }
    party guest;
    guest.on_open = [](stream& link) {
        std::vector<unique_fd> given;
        {
            const spared_allocations own;
            auto pipe = make_pipe();
            given.push_back(std::move(pipe.first));
            given.push_back(std::move(pipe.second));
        }
        link.write("two", std::move(given));
        link.close();
    };
    const auto client = visit(on, *where, guest);
    // Who was shed was never there.
    bool has_given_up = false;
    timer patience(on.loop());
    patience.start(3s, [&] { has_given_up = true; });
    on.until([&] {
        const bool is_over = guest.closed == 1 && server->connection_count() == 0;
        return is_over && (taken == 2 || has_given_up);
    });
    return taken == 2;
}

/// What a program may ask of a connection, and set. A system need not have all of it.
bool options_and_facts(stage& on) {
    party host;
    party guest;
    bool is_right = false;
    guest.on_open = [&](stream& link) {
        const auto set = link.set_options({.no_delay = true, .congestion_control = "reno"});
        const auto options = link.options();
        is_right = !set && options && options->no_delay == true && link.info() &&
                   link.local_endpoint() && link.peer_endpoint();
        link.close();
    };
    return meet(on, host, guest) && is_right;
}

/// A server at a path that one left behind which is gone; its file says who may come.
bool left_behind(stage& on) {
    const auto where = on.local(transport::unix_stream);
    const auto path = endpoint::parse(where);
    {
        const spared_allocations own;
        const auto gone = on.system().socket(transport::unix_stream, AF_UNIX);
        if (!gone || !path || on.system().bind(gone->get(), *path)) {
            return false;
        }
    }
    party host;
    serve_options options;
    options.mode = 0600;
    options.replace_stale = true;
    auto server = serve<actor>(on.loop(), where, options, std::ref(on), std::ref(host));
    party guest;
    guest.on_open = [&](stream& link) { link.close(); };
    bool has_met = false;
    if (server) {
        const auto client = visit(on, *path, guest, {.deadline = 5s});
        bool has_given_up = false;
        timer patience(on.loop());
        patience.start(8s, [&] { has_given_up = true; });
        on.until([&] {
            const bool is_over = guest.closed == 1 && server->connection_count() == 0;
            return is_over && (host.opened == 1 || has_given_up);
        });
        has_met = guest.opened == 1;
    }
    const spared_allocations own;
    if (!server) {
        static_cast<void>(on.system().remove_file(path->path()));
    }
    return has_met && host.opened == 1;
}

/// Datagrams in trains, with all that can be told of them, and errors of those that nobody hears.
bool datagrams_in_full(stage& on) {
    std::size_t echoed = 0;
    int errors = 0;
    const datagram_options full = {
        .tells_local = true, .tells_ttl = true, .tells_overflow = true, .offload = true, .ttl = 9};
    auto server =
        datagram_socket::open(on.loop(), on.local(transport::udp), full,
                              [](datagram_socket& s, std::span<const datagram> in) { s.send(in); });
    auto client = datagram_socket::open(
        on.loop(), on.local(transport::udp), full,
        [&](datagram_socket&, std::span<const datagram> in) { echoed += in.size(); });
    const auto where = server ? server->local_endpoint() : server.error();
    if (!where || !client) {
        return false;
    }
    bool has_given_up = false;
    timer patience(on.loop());
    patience.start(3s, [&] { has_given_up = true; });
    bool is_right = !client->on_error(
        [&](datagram_socket&, const datagram_error& told) { errors += told.error ? 1 : 0; });
    is_right = !client->connect(*where) && client->path_mtu() && is_right;
    std::vector<datagram> all(4, {.data = as_bytes("datagram"), .peer = nullptr});
    client->send(all);
    on.until([&] { return echoed == all.size() || has_given_up; });
    server->close();
    on.settle();
    client->send(as_bytes("nobody hears this"));
    on.until([&] { return errors != 0 || has_given_up; });
    is_right = !client->disconnect() && is_right;
    is_right =
        !client->join("udp://239.1.2.3:0") && !client->leave("udp://239.1.2.3:0") && is_right;
    return is_right && echoed == all.size() && errors != 0;
}

/// A timer by the time of day.
bool time_of_day(stage& on) {
    int fired = 0;
    auto made = timer::open(on.loop(), timer_clock::wall);
    if (!made) {
        return false;
    }
    auto later = timer::open(on.loop(), timer_clock::wall);
    if (!later) {
        return false;
    }
    later->start(1h, [] {});
    made->start_at(std::chrono::system_clock::now() - 1s, [&] { ++fired; });
    on.until([&] { return fired == 1; });
    return fired == 1 && later->is_armed();
}

constexpr scenario all[] = {
    {"echo over TCP", echo_tcp},
    {"echo over Unix", echo_unix},
    {"half-close", half_close},
    {"both shut down", both_shut_down},
    {"connect and write early", early_write},
    {"connect refused, TCP", refused_tcp},
    {"connect refused, Unix", refused_unix},
    {"connect by name", connect_by_name},
    {"resolve", resolve_name},
    {"accept burst", burst},
    {"accept burst at a limit", burst_at_limit},
    {"big write over TCP", big_write_tcp},
    {"big write over Unix", big_write_unix},
    {"gathered write", gathered_write},
    {"close with a queue", close_with_queue},
    {"abort", abort_one},
    {"pause and resume, TCP", pause_tcp},
    {"pause and resume, Unix", pause_unix},
    {"slow reader", slow_reader},
    {"datagram echo", datagram_echo},
    {"datagram burst", datagram_burst},
    {"datagram echo over Unix", datagram_echo_unix},
    {"server drain", drain},
    {"server pause", server_pause},
    {"listener and attach", listen_and_attach},
    {"upgrade", upgrade},
    {"adopt and release", adopt_and_release, true, false, true},
    {"timers and posts", timers_and_posts},
    {"signals", signals, true},
    {"watching", watching},
    {"owners go", owners_go, false, true},
    {"detached", detached},
    {"echo of packets", echo_packets},
    {"through a pipe", through_a_pipe, true},
    {"a file between writes", file_between},
    {"descriptors along", descriptors_along, true},
    {"options and facts", options_and_facts, true, false, false, true},
    {"a file left behind", left_behind, true, false, false, true},
    {"datagrams in full", datagrams_in_full, true, false, false, true},
    {"time of day", time_of_day, true},
};

} // namespace

std::span<const scenario> scenarios() noexcept {
    return all;
}

} // namespace support
