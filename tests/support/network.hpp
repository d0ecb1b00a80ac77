#pragma once

#include "kernel/backend.hpp"
#include "support/conformance.hpp"
#include "support/support.hpp"

#include <sockeye/sockeye.hpp>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// A loop under test, and what carries the bytes in this run of the test case.
class network {
public:
    network(const sockeye::backend_entry& entry, std::string local, rows& covered);

    sockeye::loop& loop() noexcept { return loop_; }
    [[nodiscard]] const sockeye::backend_entry& entry() const noexcept { return entry_; }
    /// Where to serve: a port that the system chooses, or a path in a folder of this test.
    [[nodiscard]] const std::string& local() const noexcept { return local_; }
    [[nodiscard]] bool is_unix() const noexcept { return local_.starts_with("unix"); }

    /// One turn that waits for a moment at most.
    void turn();
    /// Turns until `fact` holds; false when it does not within a time that no machine needs.
    [[nodiscard]] bool until(const std::function<bool()>& fact);
    /// A few turns, for what must not happen.
    void settle();

    void does_not_apply(std::string reason) { covered_.do_not_apply(std::move(reason)); }

private:
    const sockeye::backend_entry& entry_;
    sockeye::loop loop_;
    std::string local_;
    rows& covered_;
};

/// Runs `body` on every backend of this build over each of `locals`, as subcases. Afterwards the
/// process has the same descriptors as before.
void on_every_network(std::initializer_list<int> numbers,
                      std::initializer_list<std::string_view> locals,
                      const std::function<void(network&)>& body);
/// Over TCP on IPv4 and IPv6 and over a Unix path.
void on_every_stream(std::initializer_list<int> numbers, const std::function<void(network&)>& body);
/// Over TCP on IPv4 alone.
void on_every_backend_with_tcp(std::initializer_list<int> numbers,
                               const std::function<void(network&)>& body);

/// The other side of a connection, made of system calls alone, so that a fault of ours cannot
/// hide behind the same fault over there. Non-blocking: pump() does what is possible now.
class raw_peer {
public:
    raw_peer() = default;
    explicit raw_peer(sockeye::unique_fd fd) : fd_(std::move(fd)) {}
    /// Connects, blocking for as long as the system takes. Throws where that fails.
    explicit raw_peer(const sockeye::endpoint& server);

    void say(std::string_view text) { unsent_ += text; }
    /// FIN once all is said.
    void finish() noexcept { wants_fin_ = true; }
    /// Closes with a reset.
    void reset();
    void close() { fd_.reset(); }

    void pump();
    /// Reads no more while it is set.
    bool is_deaf = false;

    [[nodiscard]] const std::string& heard() const noexcept { return heard_; }
    void forget() noexcept { heard_.clear(); }
    [[nodiscard]] bool has_said_all() const noexcept { return unsent_.empty(); }
    /// The end of the stream was read.
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
    /// The errno that ended it, or 0.
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] bool is_over() const noexcept { return has_ended_ || error_ != 0; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    void push();
    void pull();

    sockeye::unique_fd fd_;
    std::string unsent_;
    std::size_t sent_ = 0; ///< of `unsent_`
    std::string heard_;
    bool wants_fin_ = false;
    bool has_ended_ = false;
    int error_ = 0;
};

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
[[nodiscard]] std::string_view text_of(sockeye::bytes data) noexcept;

/// Bytes that repeat nowhere soon, so that loss, doubling and reordering show.
[[nodiscard]] std::string pattern(std::size_t size, std::uint64_t seed = 1);

} // namespace support
