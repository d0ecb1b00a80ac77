#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

// Scripts of operations, drawn from a seed: what differential_test performs on every ground. It is
// a namespace of its own because support::script is what one session is to do.
namespace scripts {

/// What carries the bytes of a server's connections; for a socket, its datagrams.
enum class carrier : std::uint8_t { tcp4, tcp6, local };

/// How a session behaves; of a server, its sessions. `raw` is none: a listener of system calls.
enum class manner : std::uint8_t {
    raw,
    quiet,   ///< listens, and ends when the peer has ended
    echo,    ///< answers what it hears, and ends when the peer has ended
    greeter, ///< speaks first, and closes at the end
    flooder, ///< speaks first, and much
    deaf,    ///< pauses after each piece that it hears
    endless, ///< an echo without on_end
    closer,  ///< from here on: what it does when it hears the first byte
    aborter,
    thrower,
    destroyer, ///< ends the owner of its connection
    taker,     ///< moves the connection out of itself, to an echo
};
inline constexpr int manners = 12;

enum class verb : std::uint8_t {
    // `of` is a server, `over` and `as` say what kind of one.
    serve,
    pause_server,
    resume_server,
    drain_server,
    close_server,
    drop_server,
    // `of` is a connection, `to` the server that it goes to.
    dial, ///< from a peer made of system calls
    call, ///< from a session that is `as`
    // `of` is a connection: its end, or one of its ends, that is made of system calls.
    say,
    finish,
    reset,
    hang_up,
    ignore,
    listen,
    // `of` is a connection: its end that has a session; where both have, `side` says which.
    write,
    shutdown,
    close,
    abort,
    pause,
    resume,
    drop,  ///< its owner is destroyed
    take,  ///< moved out of its session, to another that is `as`
    renew, ///< released, adopted, and given a session that is `as`
    // `of` is a socket of datagrams, `to` another one.
    open,
    join, ///< as open, but connected to `to`
    send,
    pause_socket,
    resume_socket,
    close_socket,
    // `of` is a timer; `size` is milliseconds.
    start,
    repeat,
    cancel,
    // `size` is milliseconds.
    pass,
    post,
    turn,
};
inline constexpr int verbs = 35;

enum class side : std::uint8_t { calling, accepting };

/// One step of a script. What it names need not be there: then it does nothing, so that a script
/// from which steps were taken away is still one.
struct operation {
    verb does = verb::turn;
    int of = 0;
    int to = 0;
    scripts::side side = scripts::side::calling;
    carrier over = carrier::tcp4;
    manner as = manner::echo;
    std::size_t size = 0;

    bool operator==(const operation&) const = default;
};

struct script {
    /// Nothing rests between the operations: scheduling shows.
    bool is_hasty = false;
    std::vector<operation> operations;
};

inline constexpr int servers_max = 3;
inline constexpr int links_max = 6;
inline constexpr int sockets_max = 3;
inline constexpr int timers_max = 3;

/// What every system takes in one call, and gives in one: more comes in pieces of its choice.
inline constexpr std::size_t sure_bytes = 16 * 1024;

[[nodiscard]] script draw(std::uint64_t seed);

/// The script as C++: the argument of run_script.
std::ostream& operator<<(std::ostream& out, const script& what);
[[nodiscard]] std::string listing(const script& what);

/// The smallest script that `fails`, found by leaving out steps and making them plainer.
/// Requires: `what` fails.
[[nodiscard]] script shrink(script what, const std::function<bool(const script&)>& fails);

} // namespace scripts
