#include <sockeye/sockeye.hpp>

int main() {
    sockeye::loop loop; // the best backend of this machine

    auto tcp = sockeye::serve(loop, "tcp://127.0.0.1:7007",
                              [](sockeye::stream& peer, sockeye::bytes in) { peer.write(in); })
                   .value();

    auto udp = sockeye::serve(loop, "udp://127.0.0.1:7007",
                              [](sockeye::datagram_socket& socket,
                                 std::span<const sockeye::datagram> in) { socket.send(in); })
                   .value();

    return loop.run() ? 1 : 0;
}
