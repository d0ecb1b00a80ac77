#include "support/scripted_server.hpp"

namespace support {
namespace {

constexpr const char* prelude = R"(
import socket, struct, sys, time
def tcp():
    made = socket.socket()
    made.bind(('127.0.0.1', 0))
    made.listen()
    print('tcp://127.0.0.1:%d' % made.getsockname()[1], flush=True)
    return made
def udp():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(('127.0.0.1', 0))
    print('udp://127.0.0.1:%d' % made.getsockname()[1], flush=True)
    return made
def local(path, kind):
    made = socket.socket(socket.AF_UNIX, {'unix': socket.SOCK_STREAM, 'unix-dgram':
        socket.SOCK_DGRAM, 'unix-seqpacket': socket.SOCK_SEQPACKET}[kind])
    made.bind(path)
    if kind != 'unix-dgram': made.listen()
    print('%s:%s' % (kind, path), flush=True)
    return made
def reset(link):
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    link.close()
)";

words python(const std::string& script, const words& arguments) {
    words all = {"python3", "-c", prelude + script};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
}

} // namespace

scripted_server::scripted_server(const std::string& script, const words& arguments)
    : process_(python(script, arguments)), place_(process_.output_line()) {}

} // namespace support
