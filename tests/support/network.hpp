#pragma once

#include "kernel/backend.hpp"
#include "kernel/kernel.hpp"
#include "support/conformance.hpp"
#include "support/ground.hpp"

#include <sockeye/sockeye.hpp>

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// Where streams over a network and streams over a file listen.
inline const std::initializer_list<std::string_view> stream_places = {"tcp://127.0.0.1:0", "unix:"};

/// A loop under test on some ground, and what carries the bytes in this run of the test case.
class network {
public:
    network(ground& on, std::string local, rows& covered);
    /// Its loop runs over `altered`.
    network(ground& on, std::string local, rows& covered, sockeye::kernel& altered);

    sockeye::loop& loop() noexcept { return loop_; }
    [[nodiscard]] ground& on() noexcept { return ground_; }
    /// The kernel of the ground: what the other side of a connection is made by.
    [[nodiscard]] sockeye::kernel& system() noexcept { return ground_.system(); }
    [[nodiscard]] const sockeye::backend_entry& entry() const noexcept { return ground_.entry(); }
    /// Where to serve: a port that the system chooses, or a path of the ground.
    [[nodiscard]] const std::string& local() const noexcept { return local_; }
    /// The path of local(), where it has one.
    [[nodiscard]] std::string path() const;
    /// Whether there is a file, of whatever kind.
    [[nodiscard]] bool has_file(std::string_view path);
    [[nodiscard]] bool is_unix() const noexcept { return local_.starts_with("unix"); }
    [[nodiscard]] sockeye::time_point now() { return system().now(); }
    /// The descriptor under a connection that lives.
    [[nodiscard]] int fd_of(const sockeye::stream& link);

    /// One turn that waits for a moment at most.
    void turn();
    /// Turns until `fact` holds; false when it does not within a time that no machine needs.
    [[nodiscard]] bool until(const std::function<bool()>& fact);
    /// A few turns, for what must not happen.
    void settle();
    /// Turns until that much time has passed on this ground.
    void pass(sockeye::duration time);

    void does_not_apply(std::string reason) { covered_.do_not_apply(std::move(reason)); }
    /// The test leaves that many objects to the loop; else none may be left when its owners are
    /// gone.
    void leaves_to_the_loop(std::size_t objects) noexcept { left_ = objects; }
    /// Turns until what the owners left behind is through, and asserts that nothing of it is left:
    /// no slot, no timer, no byte that is queued, no connection that did not close.
    void check_nothing_is_left();

private:
    [[nodiscard]] sockeye::loop_core& core() noexcept;

    ground& ground_;
    sockeye::loop loop_;
    std::string local_;
    rows& covered_;
    std::size_t own_slots_;
    std::size_t left_ = 0;
};

/// Runs `body` on every ground over each of `locals`, as subcases. Afterwards the same descriptors
/// are open as before, and the loop holds what it held before.
void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(network&)>& body,
                      const std::optional<needs_real_system>& need = {});
/// Over TCP on IPv4 and IPv6 and over a Unix path.
void on_every_stream(std::initializer_list<int> numbers, const std::function<void(network&)>& body,
                     const std::optional<needs_real_system>& need = {});
/// Over TCP on IPv4 alone.
void on_every_backend_with_tcp(std::initializer_list<int> numbers,
                               const std::function<void(network&)>& body,
                               const std::optional<needs_real_system>& need = {});

/// The part of on_every_altered_network that is no template.
void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(ground&, std::string, rows&)>& run,
                      const std::optional<needs_real_system>& need);

/// As on_every_network, with loops over a kernel that behaves like the ground's but for what the
/// class Altered overrides.
template <typename Altered, typename Body>
void on_every_altered_network(std::initializer_list<int> numbers,
                              std::initializer_list<std::string_view> locals, Body&& body) {
    on_every_network(numbers, locals,
                     [&](ground& on, std::string local, rows& covered) {
                         Altered altered(on.system());
                         network here(on, std::move(local), covered, altered);
                         if (run_guarded([&] { body(here, altered); })) {
                             here.check_nothing_is_left();
                         }
                     },
                     {});
}

/// The other side of a connection, made of the ground's calls alone, so that a fault of ours
/// cannot hide behind the same fault over there. Nothing waits: pump() does what is possible now,
/// beginning with the connection.
class raw_peer {
public:
    raw_peer() = default;
    raw_peer(sockeye::kernel& system, sockeye::owned_fd connected)
        : system_(&system), fd_(std::move(connected)) {}
    /// Starts to connect. Throws where the system refuses at once.
    raw_peer(sockeye::kernel& system, const sockeye::endpoint& server);

    void say(std::string_view text) { unsent_ += text; }
    /// FIN once all is said.
    void finish() noexcept { wants_fin_ = true; }
    /// Closes with a reset.
    void reset();
    void close() { fd_.reset(); }

    void pump();
    /// Reads no more while it is set.
    bool is_deaf = false;

    /// Whether the connection is up by now.
    [[nodiscard]] bool is_up();
    [[nodiscard]] const std::string& heard() const noexcept { return heard_; }
    void forget() noexcept { heard_.clear(); }
    [[nodiscard]] bool has_said_all() const noexcept { return unsent_.empty(); }
    /// The end of the stream was read.
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
    /// What ended it, if anything did.
    [[nodiscard]] std::error_code error() const noexcept { return error_; }
    [[nodiscard]] bool is_over() const noexcept { return has_ended_ || error_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    enum class state : std::uint8_t { up, in_progress, to_be_tried };

    void start();
    void push();
    void pull();

    sockeye::kernel* system_ = nullptr;
    sockeye::owned_fd fd_;
    sockeye::endpoint server_;
    state is_ = state::up;
    std::string unsent_;
    std::size_t sent_ = 0; ///< of `unsent_`
    std::string heard_;
    bool wants_fin_ = false;
    bool has_ended_ = false;
    std::error_code error_;
};

[[nodiscard]] std::vector<raw_peer> many_peers(network& on, std::size_t count,
                                               const sockeye::endpoint& server);
/// How many of `peers` are over, after a pump of each.
[[nodiscard]] std::size_t count_over(std::vector<raw_peer>& peers);

/// A listening socket made of the ground's calls alone.
class raw_listener {
public:
    /// Throws where the system refuses.
    raw_listener(sockeye::kernel& system, const sockeye::endpoint& local, int backlog);

    [[nodiscard]] sockeye::endpoint local() const;
    /// The connection that waits longest; nothing where none does.
    [[nodiscard]] std::optional<raw_peer> accept();

private:
    sockeye::kernel& system_;
    sockeye::transport kind_;
    sockeye::owned_fd fd_;
};

/// A listener that accepts nobody, with as many clients waiting as it takes: TCP does not answer
/// whoever comes now.
struct full_backlog {
    full_backlog(network& on, const sockeye::endpoint& local);
    explicit full_backlog(network& on);

    raw_listener listener;
    std::vector<raw_peer> waiting;
};

/// A socket with that name, and nothing more: TCP refuses connections to it.
[[nodiscard]] sockeye::owned_fd make_bound(sockeye::kernel& system, const sockeye::endpoint& local);

/// What a hooked session heard, and what it is to do then.
struct script {
    std::function<void(sockeye::stream&)> on_open;
    std::function<void(sockeye::stream&, sockeye::bytes)> on_data; ///< else: kept in `data`
    std::function<void(sockeye::stream&)> on_end;
    std::function<void(sockeye::stream&)> on_writable;
    std::function<void(sockeye::stream&, const sockeye::close_info&)> on_close;

    std::vector<std::string> heard; ///< open, data (once for a run of them), end, writable, close
    std::string data;
    sockeye::close_info info;
    sockeye::stream* link = nullptr; ///< of the last session that opened
    int sessions = 0;                ///< alive now
    int made = 0;
    int closes = 0;

    [[nodiscard]] int count(std::string_view what) const;
    [[nodiscard]] bool is_closed() const noexcept { return closes != 0; }
};

/// A session that notes everything and then does what its script says.
class hooked {
public:
    explicit hooked(script& told) : told_(told) {
        ++told_.sessions;
        ++told_.made;
    }
    hooked(const hooked&) = delete;
    hooked& operator=(const hooked&) = delete;
    ~hooked() { --told_.sessions; }

    void on_open(sockeye::stream& link);
    void on_data(sockeye::stream& link, sockeye::bytes in);
    void on_end(sockeye::stream& link);
    void on_writable(sockeye::stream& link);
    void on_close(sockeye::stream& link, sockeye::close_info info);

private:
    script& told_;
};

/// Serves with hooked sessions. Throws where the system refuses.
[[nodiscard]] sockeye::server serve_script(network& on, script& told,
                                           const sockeye::serve_options& options = {});

[[nodiscard]] sockeye::endpoint local_of(const sockeye::server& of);

/// A connection: the server's end as a stream, the peer's as system calls.
struct pair_of_streams {
    explicit pair_of_streams(network& on, const sockeye::serve_options& options = {});

    [[nodiscard]] sockeye::stream& link() const { return *told.link; }
    /// Turns until the peer has heard that much, or it is over.
    [[nodiscard]] bool is_heard(std::size_t size);

    network& on_;
    script told;
    sockeye::server server;
    raw_peer peer;
};

/// Bytes that repeat nowhere soon, so that loss, doubling and reordering show.
[[nodiscard]] std::string pattern(std::size_t size, std::uint64_t seed = 1);

} // namespace support
