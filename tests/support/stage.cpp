#include "support/stage.hpp"

#include "loop/loop_core.hpp"
#include "support/network.hpp"

#include <sockeye/sockeye.hpp>

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace scripts {
namespace {

using namespace std::chrono_literals;

/// What one session was told, from its making to on_close.
struct life {
    std::string told;
    std::size_t run = 0; ///< bytes since something else than data was told
    int closes = 0;
    int crowded = 0; ///< writes that went above the high mark, or may have
    bool is_of_server = false;
    bool is_silenced = false; ///< its owner is gone
};

struct link_end {
    std::optional<support::raw_peer> raw;
    sockeye::stream owner;
    bool is_owned = false;
    sockeye::stream_ref ref;
    manner as = manner::raw;
    bool is_paused = false;
    bool has_finished = false; ///< the raw one
    std::deque<life> lives;
    std::string said;  ///< what was handed to write
    std::string heard; ///< of a raw one: see content()
    std::string refused;

    [[nodiscard]] const std::string& content() const noexcept { return raw ? raw->heard() : heard; }
};

/// A connection: the calling end first.
struct link {
    bool is_there = false;
    int server = 0;
    std::array<link_end, 2> ends;
    bool is_sure = true;
    bool is_calm = true; ///< nothing ended it: all that was said must be heard
    bool is_big = false; ///< more was said at once than one call is sure to carry
    bool is_unsettled = false;
    int endings = 0;

    [[nodiscard]] link_end& other(const link_end& than) noexcept {
        return ends[&than == ends.data() ? 1 : 0];
    }
};

struct server_place {
    std::optional<sockeye::server> served;
    std::optional<support::raw_listener> raw;
    sockeye::endpoint where;
    manner as = manner::raw;
    bool is_paused = false;
    std::deque<link*> waiting; ///< called, and not accepted yet

    [[nodiscard]] bool is_listening() const noexcept {
        return raw || (served && served->is_listening());
    }
};

struct socket_place {
    sockeye::datagram_socket socket;
    sockeye::endpoint where;
    carrier over = carrier::tcp4;
    bool is_echo = false;
    bool is_joined = false;
    std::string told;
};

bool ends_at_first_byte(manner as) noexcept {
    return as >= manner::closer;
}

bool is_echo(manner as) noexcept {
    return as == manner::echo || as == manner::endless;
}

std::string digest(std::string_view content) {
    return std::to_string(content.size()) + " bytes #" +
           std::to_string(std::hash<std::string_view>()(content) % 100'000);
}

std::string name_of(std::error_code error) {
    return error ? std::string(error.category().name()) + ' ' + std::to_string(error.value())
                 : "ok";
}

class stage {
public:
    /// While it lives no handler may be called.
    class call_guard {
    public:
        explicit call_guard(stage& on) noexcept
            : flag_(on.is_calling_), before_(std::exchange(on.is_calling_, true)) {}
        call_guard(const call_guard&) = delete;
        call_guard& operator=(const call_guard&) = delete;
        ~call_guard() { flag_ = before_; }

    private:
        bool& flag_;
        bool before_;
    };

    stage(const script& what, support::ground& on, stopped_clock& system, int patience);

    outcome perform();

    // For the sessions.
    std::pair<link*, link_end*> welcome(int server);
    link& link_of(link_end& at);
    void tell(life& one, std::string_view what);
    void hear(link_end& at, life& one, sockeye::bytes in);
    void write(link_end& at, life& one, sockeye::stream& to, std::string_view text);
    void take(link_end& at, sockeye::stream& view, manner as);
    void destroy_owner(link_end& at, sockeye::stream& view);
    void problem(std::string what);
    [[nodiscard]] bool answers(link_end& at);

private:
    void act(const operation& one);
    void act_on_server(const operation& one);
    void act_on_raw(const operation& one);
    void act_on_session(const operation& one);
    void act_on_socket(const operation& one);
    void act_on_timer(const operation& one);
    void serve(const operation& one);
    void dial(const operation& one);
    void call(const operation& one);
    void renew(link_end& at, sockeye::stream& view, manner as);
    void open_socket(const operation& one);
    void send(const operation& one);
    void attach(sockeye::stream& to, link_end& at);
    void silence(int dropped);
    void stir(link& one);
    void no_delay(support::raw_peer& peer);
    void roughen(link& one);

    void round();
    void rest();
    void settle();
    void pass(sockeye::duration time);
    [[nodiscard]] std::uint64_t motion();
    [[nodiscard]] bool is_owed();
    [[nodiscard]] bool is_owed(link& of, link_end& reader);
    [[nodiscard]] bool is_connecting(link_end& at);
    [[nodiscard]] bool is_reading(link_end& at);
    [[nodiscard]] bool is_gone(link_end& at);
    void judge(link& one);

    void open_all();
    void end_all();
    void check_lives();
    void check_nothing_is_left();
    void observe();
    void observe(const std::string& name, link& one);

    const script& script_;
    support::ground& on_;
    stopped_clock& system_;
    int patience_;
    std::size_t descriptors_;
    sockeye::time_point began_;
    sockeye::time_point drained_at_; ///< the last time limit of a drain
    outcome found_;
    bool is_calling_ = false;
    std::size_t handlers_ = 0;
    bool was_socket_closed_ = false;
    std::string timers_told_;
    std::string posts_told_;
    std::size_t step_ = 0;

    std::optional<sockeye::loop> loop_;
    std::size_t own_slots_ = 0;
    std::deque<link> strays_;
    std::array<server_place, servers_max> servers_;
    std::array<link, links_max> links_;
    std::array<socket_place, sockets_max> sockets_;
    std::array<std::optional<sockeye::timer>, timers_max> timers_;
};

/// A session of either end.
template <bool hears_end>
class actor {
public:
    actor(stage& on, link_end& at) : on_(on), at_(at), life_(at.lives.emplace_back()) {}
    actor(stage& on, int server) : actor(on, *on.welcome(server).second) {
        life_.is_of_server = true;
    }

    void on_open(sockeye::stream& link) {
        on_.tell(life_, "open");
        at_.ref = link.ref();
        const stage::call_guard guard(on_);
        if (at_.as == manner::greeter) {
            on_.write(at_, life_, link, "hello");
        } else if (at_.as == manner::flooder) {
            on_.write(at_, life_, link, support::pattern(200'000));
        }
    }

    void on_data(sockeye::stream& link, sockeye::bytes in) {
        on_.hear(at_, life_, in);
        const stage::call_guard guard(on_);
        switch (at_.as) {
        case manner::echo:
        case manner::endless:
            if (on_.answers(at_)) {
                on_.write(at_, life_, link, sockeye::as_text(in));
            }
            break;
        case manner::deaf:
            link.pause();
            at_.is_paused = true;
            break;
        case manner::closer:
            on_.write(at_, life_, link, "bye");
            link.close();
            break;
        case manner::aborter:
            link.abort();
            break;
        case manner::thrower:
            throw std::runtime_error("on_data");
        case manner::destroyer:
            on_.destroy_owner(at_, link);
            break;
        case manner::taker:
            on_.take(at_, link, manner::echo);
            break;
        default:
            break;
        }
    }

    void on_end(sockeye::stream& link) requires hears_end {
        on_.tell(life_, "end");
        const stage::call_guard guard(on_);
        if (at_.as == manner::greeter) {
            link.close();
        } else if (at_.as == manner::thrower) {
            throw std::runtime_error("on_end");
        } else if (at_.as != manner::quiet) {
            link.shutdown();
        }
    }

    void on_writable(sockeye::stream&) {
        on_.tell(life_, "");
        if (life_.crowded == 0) {
            on_.problem("on_writable without a write above the high mark");
        }
    }

    void on_close(sockeye::stream&, sockeye::close_info info) {
        auto what =
            "close " + std::to_string(static_cast<int>(info.reason)) + ' ' + name_of(info.error);
        if (at_.said.size() <= sure_bytes) {
            what += " dropped " + std::to_string(info.dropped_bytes);
        }
        on_.tell(life_, what);
        ++life_.closes;
    }

private:
    stage& on_;
    link_end& at_;
    life& life_;
};

stage::stage(const script& what, support::ground& on, stopped_clock& system, int patience)
    : script_(what), on_(on), system_(system), patience_(patience), descriptors_(on.descriptors()),
      began_(system.now()) {
    sockeye::loop_options options;
    options.on_exception = [](std::exception_ptr) {};
    loop_.emplace(on.make_loop(system, std::move(options)));
    own_slots_ = sockeye::loop_access::core(*loop_).io().slots().used();
}

outcome stage::perform() {
    for (const auto& one : script_.operations) {
        ++step_;
        act(one);
        if (!script_.is_hasty) {
            settle();
        }
    }
    open_all();
    end_all();
    observe();
    check_lives();
    check_nothing_is_left();
    return std::move(found_);
}

void stage::problem(std::string what) {
    found_.problems.push_back("after step " + std::to_string(step_) + ": " + std::move(what));
}

// What sessions do.

std::pair<link*, link_end*> stage::welcome(int server) {
    auto& from = servers_[static_cast<std::size_t>(server)];
    if (from.waiting.empty()) {
        problem("a connection that nobody called");
        from.waiting.push_back(&strays_.emplace_back());
    }
    auto* const made = from.waiting.front();
    from.waiting.pop_front();
    made->ends[1].as = from.as;
    roughen(*made);
    return {made, &made->ends[1]};
}

link& stage::link_of(link_end& at) {
    for (auto& one : links_) {
        if (&at == &one.ends[0] || &at == &one.ends[1]) {
            return one;
        }
    }
    return strays_.back();
}

/// Two that echo would never come to rest: one of them listens.
bool stage::answers(link_end& at) {
    auto& of = link_of(at);
    return &at == &of.ends[1] || !is_echo(of.ends[1].as);
}

void stage::tell(life& one, std::string_view what) {
    ++handlers_;
    if (is_calling_) {
        problem("a handler ran inside a call");
    }
    if (one.closes != 0) {
        problem("told after on_close: " + std::string(what));
    }
    if (one.is_silenced) {
        problem("told after its owner was destroyed: " + std::string(what));
    }
    if (!what.empty()) {
        if (one.run != 0) {
            one.told += "data " + std::to_string(std::exchange(one.run, 0)) + ", ";
        }
        one.told += std::string(what) + ", ";
    }
}

void stage::hear(link_end& at, life& one, sockeye::bytes in) {
    tell(one, "");
    const auto text = sockeye::as_text(in);
    const auto& said = link_of(at).other(at).said;
    if (text.empty() || at.heard.size() > said.size() ||
        std::string_view(said).substr(at.heard.size(), text.size()) != text) {
        problem("heard what was not said, at byte " + std::to_string(at.heard.size()));
    }
    at.heard += text;
    one.run += text.size();
}

void stage::write(link_end& at, life& one, sockeye::stream& to, std::string_view text) {
    const auto status = to.write(text);
    if (status == sockeye::write_status::refused) {
        one.told += "refused, ";
        return;
    }
    at.said += text;
    one.crowded += status == sockeye::write_status::above_high_mark ? 1 : 0;
}

void stage::attach(sockeye::stream& to, link_end& at) {
    at.ref = to.ref();
    if (at.as == manner::endless) {
        to.attach<actor<false>>(std::ref(*this), std::ref(at));
    } else {
        to.attach<actor<true>>(std::ref(*this), std::ref(at));
    }
}

void stage::take(link_end& at, sockeye::stream& view, manner as) {
    sockeye::stream mine(std::move(view));
    if (!mine.is_open()) {
        return;
    }
    at.lives.back().is_of_server = false;
    at.owner = std::move(mine);
    at.is_owned = true;
    at.as = as;
    roughen(link_of(at));
    attach(at.owner, at);
}

void stage::destroy_owner(link_end& at, sockeye::stream& view) {
    if (at.is_owned) {
        at.lives.back().is_silenced = true;
        at.owner = sockeye::stream();
    } else {
        const sockeye::stream mine(std::move(view));
        at.lives.back().is_of_server = at.lives.back().is_of_server && !mine.is_open();
    }
}

// Operations.

void stage::act(const operation& one) {
    std::optional<call_guard> guard(*this);
    if (one.does <= verb::drop_server) {
        act_on_server(one);
    } else if (one.does == verb::dial) {
        dial(one);
    } else if (one.does == verb::call) {
        call(one);
    } else if (one.does <= verb::listen) {
        act_on_raw(one);
    } else if (one.does <= verb::renew) {
        act_on_session(one);
    } else if (one.does <= verb::close_socket) {
        act_on_socket(one);
    } else {
        act_on_timer(one);
    }
    guard.reset();
    if (one.does == verb::turn) {
        round();
    } else if (one.does == verb::pass) {
        pass(std::chrono::milliseconds(one.size));
    }
}

void stage::serve(const operation& one) {
    auto& place = servers_[static_cast<std::size_t>(one.of)];
    if (place.served || place.raw) {
        return;
    }
    static unsigned names = 0;
    const std::array<std::string, 3> where = {"tcp://127.0.0.1:0", "tcp://[::1]:0",
                                              "unix:" + on_.path("s" + std::to_string(++names))};
    const auto& local = where[static_cast<std::size_t>(one.over)];
    place.as = one.as;
    if (one.as == manner::raw) {
        place.raw.emplace(on_.system(), sockeye::endpoint::parse(local).value(), 64);
        place.where = place.raw->local();
        return;
    }
    place.served =
        one.as == manner::endless
            ? sockeye::serve<actor<false>>(*loop_, local, std::ref(*this), one.of).value()
            : sockeye::serve<actor<true>>(*loop_, local, std::ref(*this), one.of).value();
    place.where = place.served->local_endpoint().value();
}

/// The sessions of a server that goes hear no more.
void stage::silence(int dropped) {
    for (auto& one : links_) {
        for (auto& life : one.ends[1].lives) {
            life.is_silenced |= life.is_of_server && one.server == dropped;
        }
    }
}

void stage::act_on_server(const operation& one) {
    if (one.does == verb::serve) {
        serve(one);
        return;
    }
    auto& place = servers_[static_cast<std::size_t>(one.of)];
    if (one.does == verb::pause_server || one.does == verb::resume_server) {
        place.is_paused = one.does == verb::pause_server;
        if (place.served) {
            place.is_paused ? place.served->pause() : place.served->resume();
        }
        return;
    }
    for (auto& link : links_) {
        if (link.is_there && link.server == one.of) {
            stir(link);
        }
    }
    place.waiting.clear();
    place.raw.reset();
    if (!place.served) {
        return;
    }
    if (one.does == verb::drain_server) {
        place.served->drain(std::chrono::milliseconds(one.size));
        drained_at_ = system_.now() + std::chrono::milliseconds(one.size);
    } else if (one.does == verb::close_server) {
        place.served->close();
    } else {
        silence(one.of);
        place.served.reset();
    }
}

void stage::dial(const operation& one) {
    auto& made = links_[static_cast<std::size_t>(one.of)];
    auto& target = servers_[static_cast<std::size_t>(one.to)];
    if (made.is_there || !target.where.is_known()) {
        return;
    }
    made.is_there = true;
    made.server = one.to;
    auto& calling = made.ends[0];
    try {
        calling.raw.emplace(on_.system(), target.where);
        no_delay(*calling.raw);
    } catch (const std::system_error& refusal) {
        calling.raw.emplace();
        calling.refused = name_of(refusal.code());
        return;
    }
    if (target.is_listening()) {
        target.waiting.push_back(&made);
    }
}

void stage::call(const operation& one) {
    auto& made = links_[static_cast<std::size_t>(one.of)];
    auto& target = servers_[static_cast<std::size_t>(one.to)];
    if (made.is_there || !target.where.is_known()) {
        return;
    }
    made.is_there = true;
    made.server = one.to;
    auto& calling = made.ends[0];
    calling.as = one.as;
    calling.is_owned = true;
    calling.owner = one.as == manner::endless
                        ? sockeye::connect<actor<false>>(*loop_, target.where, {}, std::ref(*this),
                                                         std::ref(calling))
                        : sockeye::connect<actor<true>>(*loop_, target.where, {}, std::ref(*this),
                                                        std::ref(calling));
    calling.ref = calling.owner.ref();
    roughen(made);
    if (target.is_listening()) {
        target.waiting.push_back(&made);
    }
}

/// Something ends this connection, or one side of it, while it may be on its way.
void stage::stir(link& one) {
    one.is_calm = false;
    one.is_sure = one.is_sure && !one.is_unsettled && !script_.is_hasty;
}

/// How much has come when a session hears its first bytes is sure where they are few.
void stage::roughen(link& one) {
    for (const auto& at : one.ends) {
        one.is_big = one.is_big || at.as == manner::flooder;
    }
    for (const auto& at : one.ends) {
        if (ends_at_first_byte(at.as)) {
            one.is_calm = false;
            one.is_sure = one.is_sure && !one.is_big && !script_.is_hasty;
        }
    }
}

void stage::act_on_raw(const operation& one) {
    auto& of = links_[static_cast<std::size_t>(one.of)];
    auto* const at = of.ends[0].raw ? &of.ends[0] : of.ends[1].raw ? &of.ends[1] : nullptr;
    if (at == nullptr || at->raw->fd() < 0) {
        return;
    }
    switch (one.does) {
    case verb::say:
        if (!at->has_finished && !at->raw->error()) {
            const auto text = support::pattern(one.size, step_);
            of.is_big = of.is_big || one.size > sure_bytes;
            roughen(of);
            at->said += text;
            at->raw->say(text);
        }
        break;
    case verb::finish:
        at->has_finished = true;
        at->raw->finish();
        break;
    case verb::reset:
        stir(of);
        at->raw->reset();
        break;
    case verb::hang_up:
        stir(of);
        at->raw->close();
        break;
    default:
        at->raw->is_deaf = one.does == verb::ignore;
        break;
    }
    if (!at->raw->error()) {
        at->raw->pump();
    }
}

void stage::act_on_session(const operation& one) {
    auto& of = links_[static_cast<std::size_t>(one.of)];
    auto* at = &of.ends[static_cast<std::size_t>(one.side)];
    if (at->lives.empty()) {
        at = &of.other(*at);
    }
    auto* const view = loop_->find(at->ref);
    if (at->lives.empty() || view == nullptr) {
        return;
    }
    if (one.does >= verb::close && one.does != verb::pause && one.does != verb::resume) {
        stir(of);
    }
    switch (one.does) {
    case verb::write:
        of.is_sure = of.is_sure && !of.is_unsettled;
        of.is_big = of.is_big || one.size > sure_bytes;
        roughen(of);
        write(*at, at->lives.back(), *view, support::pattern(one.size, step_));
        break;
    case verb::shutdown:
        view->shutdown();
        break;
    case verb::close:
        view->close();
        break;
    case verb::abort:
        view->abort();
        break;
    case verb::pause:
    case verb::resume:
        at->is_paused = one.does == verb::pause;
        at->is_paused ? view->pause() : view->resume();
        break;
    case verb::drop:
        destroy_owner(*at, *view);
        break;
    case verb::take:
        take(*at, *view, one.as);
        break;
    default:
        renew(*at, *view, one.as);
        break;
    }
}

void stage::renew(link_end& at, sockeye::stream& view, manner as) {
    auto fd = view.release();
    if (!fd) {
        at.lives.back().told += "not released: " + name_of(fd.error()) + ", ";
        return;
    }
    auto made = sockeye::adopt(*loop_, std::move(*fd));
    at.lives.back().is_silenced = at.is_owned; // with the former owner
    at.owner = std::move(made.value());
    at.is_owned = true;
    at.is_paused = false;
    at.as = as;
    roughen(link_of(at));
    attach(at.owner, at);
}

void stage::act_on_socket(const operation& one) {
    auto& place = sockets_[static_cast<std::size_t>(one.of)];
    switch (one.does) {
    case verb::open:
    case verb::join:
        open_socket(one);
        break;
    case verb::send:
        send(one);
        break;
    case verb::pause_socket:
        place.socket.pause();
        break;
    case verb::resume_socket:
        place.socket.resume();
        break;
    default:
        was_socket_closed_ = true;
        place.socket.close();
        break;
    }
}

void stage::open_socket(const operation& one) {
    auto& place = sockets_[static_cast<std::size_t>(one.of)];
    auto& target = sockets_[static_cast<std::size_t>(one.to)];
    if (place.where.is_known() || (one.does == verb::join && !target.where.is_known())) {
        return;
    }
    static unsigned names = 0;
    const std::array<std::string, 3> where = {"udp://127.0.0.1:0", "udp://[::1]:0",
                                              "unix-dgram:" +
                                                  on_.path("d" + std::to_string(++names))};
    const auto hear = [this, &place](sockeye::datagram_socket& socket,
                                     std::span<const sockeye::datagram> in) {
        ++handlers_;
        if (is_calling_) {
            problem("a handler of datagrams ran inside a call");
        }
        for (const auto& each : in) {
            const std::string text(sockeye::as_text(each.data));
            place.told += digest(text) + (each.is_truncated ? " truncated, " : ", ");
            if (place.is_echo && text.starts_with('?')) {
                const std::string answer = '!' + text.substr(1);
                const sockeye::datagram out = {sockeye::as_bytes(answer), each.peer};
                place.told += socket.send({&out, 1}) == 1 ? "" : "not answered, ";
            }
        }
    };
    place.is_joined = one.does == verb::join;
    place.is_echo = one.as == manner::echo;
    place.over = place.is_joined ? target.over : one.over;
    auto made = place.is_joined ? sockeye::datagram_socket::connect(*loop_, target.where, {}, hear)
                                : sockeye::datagram_socket::open(
                                      *loop_, where[static_cast<std::size_t>(one.over)], {}, hear);
    if (!made) {
        place.told += "not opened: " + name_of(made.error()) + ", ";
        return;
    }
    place.socket = std::move(*made);
    place.where = place.socket.local_endpoint().value();
}

void stage::send(const operation& one) {
    auto& place = sockets_[static_cast<std::size_t>(one.of)];
    auto& target = sockets_[static_cast<std::size_t>(one.to)];
    auto text = support::pattern(one.size, step_);
    if (!text.empty()) {
        text.front() = '?';
    }
    if (place.is_joined) {
        place.told += place.socket.send(sockeye::as_bytes(text)) ? "" : "not sent, ";
    } else if (target.where.is_known()) {
        place.told += place.socket.send(sockeye::as_bytes(text), target.where) ? "" : "not sent, ";
    }
}

void stage::act_on_timer(const operation& one) {
    const auto delay = std::chrono::milliseconds(one.size);
    auto& timer = timers_[static_cast<std::size_t>(one.of)];
    if (!timer) {
        timer.emplace(*loop_);
    }
    const auto fire = [this, of = one.of] {
        ++handlers_;
        if (is_calling_) {
            problem("a timer fired inside a call");
        }
        timers_told_ +=
            std::to_string(of) + " at " + std::to_string((system_.now() - began_) / 1ms) + ", ";
    };
    if (one.does == verb::start) {
        timer->start(delay, fire);
    } else if (one.does == verb::repeat) {
        timer->start_every(delay, fire);
    } else if (one.does == verb::cancel) {
        timer->cancel();
    } else if (one.does == verb::post) {
        static_cast<void>(loop_->remote().post([this, step = step_] {
            ++handlers_;
            if (is_calling_) {
                problem("a posted task ran inside a call");
            }
            posts_told_ += std::to_string(step) + ", ";
        }));
    }
}

/// What it says goes at once.
void stage::no_delay(support::raw_peer& peer) {
    static_cast<void>(on_.system().set_option(peer.fd(), sockeye::socket_option::no_delay, 1));
}

// Time.

/// One turn of the loop, and of the peers beside it.
void stage::round() {
    for (auto& place : servers_) {
        while (place.raw && !place.is_paused && !place.waiting.empty()) {
            auto peer = place.raw->accept();
            if (!peer) {
                break;
            }
            no_delay(*peer);
            place.waiting.front()->ends[1].raw = std::move(peer);
            place.waiting.pop_front();
        }
    }
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            if (at.raw && !at.raw->error()) {
                at.raw->pump();
            }
        }
    }
    if (const auto turned = loop_->run_once(0s); !turned) {
        problem("run_once: " + name_of(turned.error()));
    }
}

/// A sum that changes with everything that happens.
std::uint64_t stage::motion() {
    const auto& counters = loop_->counters();
    auto sum = counters.bytes_read + counters.bytes_written + counters.accepted + counters.opened +
               counters.closed + counters.posts + counters.timers_fired + counters.datagrams_read +
               counters.datagrams_written + counters.datagrams_dropped + handlers_;
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            if (at.raw) {
                sum += at.raw->heard().size() + (at.raw->is_over() ? 1 : 0) +
                       (at.raw->has_said_all() ? 1 : 0);
            }
        }
    }
    return sum;
}

bool stage::is_reading(link_end& at) {
    if (at.raw) {
        return at.raw->fd() >= 0 && !at.raw->error() && !at.raw->is_deaf && !at.raw->is_over();
    }
    const auto* const view = loop_->find(at.ref);
    return view != nullptr && view->is_open() && !at.is_paused && view->queued_bytes() == 0;
}

bool stage::is_gone(link_end& at) {
    if (at.raw) {
        return at.raw->fd() < 0 || at.raw->error();
    }
    return !at.lives.empty() && loop_->find(at.ref) == nullptr;
}

bool stage::is_connecting(link_end& at) {
    if (at.raw) {
        return at.raw->fd() >= 0 && !at.raw->error() && !at.raw->is_up() && !at.raw->error();
    }
    const auto* const view = loop_->find(at.ref);
    return view != nullptr && view->is_connecting();
}

/// Whether something that is surely under way has not come yet.
bool stage::is_owed(link& of, link_end& reader) {
    auto& writer = of.other(reader);
    if (is_connecting(reader)) {
        return true;
    }
    if (!is_reading(reader) || (writer.lives.empty() && !writer.raw)) {
        return false;
    }
    const bool has_met_end =
        !reader.raw && reader.lives.back().told.find("end, ") != std::string::npos;
    if (is_gone(writer)) {
        return !has_met_end;
    }
    return reader.content().size() < writer.said.size() ||
           (writer.has_finished && writer.raw->has_said_all() && !has_met_end);
}

bool stage::is_owed() {
    for (const auto& place : servers_) {
        if (place.is_listening() && !place.is_paused && !place.waiting.empty()) {
            return true;
        }
    }
    for (auto& one : links_) {
        if (one.is_there && (is_owed(one, one.ends[0]) || is_owed(one, one.ends[1]))) {
            return true;
        }
    }
    return false;
}

/// Turns until nothing happens any more.
void stage::rest() {
    constexpr int rounds_max = 20'000;
    const int moments_max = 100 * (1 + patience_);
    auto moments = patience_;
    int waited = 0;
    auto events = loop_->counters().events;
    for (int rounds = 0, idle = 0; idle < 2; ++rounds) {
        if (rounds == rounds_max) {
            problem("never comes to rest");
            return;
        }
        const auto before = motion();
        events = loop_->counters().events;
        round();
        idle = motion() == before ? idle + 1 : 0;
        if (idle == 2 && (moments > 0 || (is_owed() && waited < moments_max))) {
            --moments;
            if (++waited == moments_max) {
                problem("what is under way never comes");
            }
            on_.pass();
            idle = 0;
        }
    }
    if (loop_->counters().events != events) {
        problem("is told of something again and again");
    }
}

/// A little longer than the period of the look at half-closed streams of backends that need it.
/// What a drain ends meanwhile is to be seen as well.
void stage::settle() {
    rest();
    const auto before = system_.now();
    pass(1100ms);
    if (before <= drained_at_ && drained_at_ <= system_.now()) {
        pass(1100ms);
    }
    for (auto& one : links_) {
        if (one.is_there) {
            judge(one);
        }
    }
}

void stage::pass(sockeye::duration time) {
    system_.advance(time);
    if (script_.is_hasty) {
        round();
    } else {
        rest();
    }
}

/// Where an end came while much was under way, how much of it was heard hangs on the system.
void stage::judge(link& one) {
    int endings = 0;
    bool is_unsettled = false;
    for (auto& at : one.ends) {
        endings += is_gone(at) ? 1 : 0;
        auto& reader = one.other(at);
        const auto outstanding = at.said.size() - std::min(at.said.size(), reader.content().size());
        const auto* const view = at.raw ? nullptr : loop_->find(at.ref);
        is_unsettled |= outstanding > (one.is_big ? 0 : sure_bytes) ||
                        (at.raw && !at.raw->has_said_all()) ||
                        (view != nullptr && view->queued_bytes() != 0);
    }
    if (one.is_unsettled && endings != one.endings) {
        one.is_sure = false;
        one.is_calm = false;
    }
    one.endings = endings;
    one.is_unsettled = is_unsettled;
}

// The end of a script.

/// Everybody reads, and all that was said is heard.
void stage::open_all() {
    for (auto& place : servers_) {
        place.is_paused = false;
        if (place.served) {
            place.served->resume();
        }
    }
    rest();
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            at.as = at.as == manner::deaf ? manner::quiet : at.as;
            at.is_paused = false;
            if (auto* const view = loop_->find(at.ref)) {
                view->resume();
            }
            if (at.raw) {
                at.raw->is_deaf = false;
            }
        }
    }
    for (auto& place : sockets_) {
        place.socket.resume();
    }
    settle();
    for (auto& one : links_) {
        const bool is_up = (one.ends[0].raw || !one.ends[0].lives.empty()) &&
                           (one.ends[1].raw || !one.ends[1].lives.empty());
        for (auto& at : one.ends) {
            if (one.is_calm && is_up && at.content() != one.other(at).said) {
                problem("not all was heard that was said: " + digest(at.content()) + " of " +
                        digest(one.other(at).said));
            }
        }
    }
}

void stage::end_all() {
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            if (at.raw && at.raw->fd() >= 0) {
                at.has_finished = true;
                at.raw->finish();
            }
        }
    }
    settle();
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            if (auto* const view = loop_->find(at.ref)) {
                view->close();
            }
        }
    }
    settle();
    for (auto& timer : timers_) {
        timer.reset();
    }
    for (auto& place : servers_) {
        if (place.served) {
            place.served->close();
        }
    }
    pass(11s);
    settle();
}

void stage::check_lives() {
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            for (const auto& life : at.lives) {
                if (life.closes != 1 && !life.is_silenced) {
                    problem("on_close was called " + std::to_string(life.closes) +
                            " times: " + life.told);
                }
            }
            if (one.other(at).said.compare(0, at.content().size(), at.content()) != 0) {
                problem("what was heard is not the beginning of what was said");
            }
        }
    }
}

void stage::check_nothing_is_left() {
    for (auto& one : links_) {
        for (auto& at : one.ends) {
            at.owner = sockeye::stream();
            at.raw.reset();
        }
    }
    for (auto& place : servers_) {
        place.served.reset();
        place.raw.reset();
    }
    for (auto& place : sockets_) {
        place.socket = sockeye::datagram_socket();
    }
    settle();
    auto& core = sockeye::loop_access::core(*loop_);
    const auto& counters = loop_->counters();
    const auto expect = [this](bool holds, const char* what) {
        if (!holds) {
            problem(what);
        }
    };
    expect(core.io().slots().used() == own_slots_, "slots are left");
    expect(core.lives() == 0, "objects are left");
    expect(!core.next_deadline(), "a timer is left");
    expect(counters.queued_bytes == 0, "bytes are left in queues");
    expect(counters.opened == counters.closed, "connections are left");
    loop_.reset();
    expect(on_.descriptors() == descriptors_, "descriptors are left");
}

void stage::observe() {
    bool is_all_sure = true;
    for (std::size_t at = 0; at < links_.size(); ++at) {
        if (links_[at].is_there) {
            observe("link " + std::to_string(at), links_[at]);
            is_all_sure = is_all_sure && links_[at].is_sure;
        }
    }
    const bool are_sockets_sure = !script_.is_hasty || !was_socket_closed_;
    for (std::size_t at = 0; at < sockets_.size(); ++at) {
        found_.seen.push_back(
            {"socket " + std::to_string(at), sockets_[at].told, are_sockets_sure});
    }
    found_.seen.push_back({"timers", timers_told_, true});
    found_.seen.push_back({"posts", posts_told_, true});
    const auto& counters = loop_->counters();
    found_.seen.push_back(
        {"counters",
         "accepted " + std::to_string(counters.accepted) + ", opened " +
             std::to_string(counters.opened) + ", closed " + std::to_string(counters.closed) +
             ", read " + std::to_string(counters.bytes_read) + ", written " +
             std::to_string(counters.bytes_written) + ", shed " + std::to_string(counters.shed) +
             ", accept errors " + std::to_string(counters.accept_errors),
         is_all_sure && are_sockets_sure});
    found_.seen.push_back({"counters of datagrams",
                           "read " + std::to_string(counters.datagrams_read) + ", written " +
                               std::to_string(counters.datagrams_written) + ", dropped " +
                               std::to_string(counters.datagrams_dropped) + ", errors " +
                               std::to_string(counters.datagram_errors),
                           are_sockets_sure});
    found_.seen.push_back(
        {"counters of the loop", "posts " + std::to_string(counters.posts), true});
}

void stage::observe(const std::string& name, link& one) {
    for (std::size_t side = 0; side < 2; ++side) {
        auto& at = one.ends[side];
        std::string text;
        for (const auto& life : at.lives) {
            text += "[" + life.told + "] ";
        }
        if (at.raw) {
            text += at.refused.empty() ? "" : "refused " + at.refused + ", ";
            text += at.raw->has_ended() ? "ended, " : "";
            text += at.raw->error() ? name_of(at.raw->error()) + ", " : "";
        }
        // In what order an echo and a write come is a matter of turns.
        text += "heard " +
                (script_.is_hasty ? std::to_string(at.content().size()) : digest(at.content()));
        found_.seen.push_back({name + (side == 0 ? " calling" : " accepting"), text, one.is_sure});
    }
}

} // namespace

outcome perform(const script& what, support::ground& on, stopped_clock& system, int patience) {
    return stage(what, on, system, patience).perform();
}

std::string difference(const outcome& one, const outcome& other) {
    for (std::size_t at = 0; at < std::min(one.seen.size(), other.seen.size()); ++at) {
        const auto& mine = one.seen[at];
        const auto& its = other.seen[at];
        if (mine.is_sure && its.is_sure && mine.text != its.text) {
            return mine.name + ":\n  " + mine.text + "\n  " + its.text;
        }
    }
    return one.seen.size() == other.seen.size() ? "" : "different objects";
}

} // namespace scripts
