// An echo server on Asio, after the examples of its documentation (echo/async_tcp_echo_server,
// echo/async_udp_echo_server, local/stream_server): one read and one write at a time for each
// connection, so that a client that does not read is not read from. One thread runs it, so the
// context is told to do without locks, and handlers are no std::function.

extern "C" {
#include "control.h"
}

#include <asio.hpp>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

namespace {

constexpr std::size_t buffer_size = 64 * 1024;

/// One connection; it lives as long as an operation of its own waits.
template <typename Protocol>
class session : public std::enable_shared_from_this<session<Protocol>> {
public:
    explicit session(typename Protocol::socket socket) : socket_(std::move(socket)) {}

    void read() {
        socket_.async_read_some(
            asio::buffer(buffer_),
            [self = this->shared_from_this()](std::error_code error, std::size_t size) {
                if (!error) {
                    self->write(size);
                }
            });
    }

private:
    void write(std::size_t size) {
        asio::async_write(socket_, asio::buffer(buffer_, size),
                          [self = this->shared_from_this()](std::error_code error, std::size_t) {
                              if (!error) {
                                  self->read();
                              }
                          });
    }

    typename Protocol::socket socket_;
    std::array<char, buffer_size> buffer_;
};

template <typename Protocol>
class stream_server {
public:
    stream_server(asio::io_context& context, const typename Protocol::endpoint& local)
        : acceptor_(context) {
        acceptor_.open(local.protocol());
        acceptor_.bind(local);
        if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
            acceptor_.set_option(asio::ip::tcp::no_delay(true)); // inherited
        }
        acceptor_.listen(1024);
        accept();
    }

    [[nodiscard]] int fd() { return acceptor_.native_handle(); }

private:
    void accept() {
        acceptor_.async_accept([this](std::error_code error, typename Protocol::socket socket) {
            if (!error) {
                std::make_shared<session<Protocol>>(std::move(socket))->read();
            }
            accept();
        });
    }

    typename Protocol::acceptor acceptor_;
};

class datagram_server {
public:
    explicit datagram_server(asio::io_context& context)
        : socket_(context, {asio::ip::address_v4::loopback(), 0}) {
        receive();
    }

    [[nodiscard]] int fd() { return socket_.native_handle(); }

private:
    void receive() {
        socket_.async_receive_from(asio::buffer(buffer_), sender_,
                                   [this](std::error_code error, std::size_t size) {
                                       // An error is one of an earlier datagram.
                                       error ? receive() : send(size);
                                   });
    }

    void send(std::size_t size) {
        socket_.async_send_to(asio::buffer(buffer_, size), sender_,
                              [this](std::error_code, std::size_t) { receive(); });
    }

    asio::ip::udp::socket socket_;
    asio::ip::udp::endpoint sender_;
    std::array<char, buffer_size> buffer_ = {};
};

/// Answers what the bench asks.
class control {
public:
    explicit control(asio::io_context& context) : input_(context, STDIN_FILENO) { hear(); }

private:
    void hear() {
        input_.async_wait(asio::posix::stream_descriptor::wait_read, [this](std::error_code error) {
            if (error || control_hear(nullptr) == 0) {
                asio::query(input_.get_executor(), asio::execution::context).stop();
            } else {
                hear();
            }
        });
    }

    asio::posix::basic_stream_descriptor<asio::io_context::executor_type> input_;
};

void run(asio::io_context& context, control_carrier carrier, int fd) {
    const control talk(context);
    control_say_ready(carrier, fd);
    context.run();
}

} // namespace

int main(int count, char** arguments) {
    const auto version = std::to_string(ASIO_VERSION / 100000) + "." +
                         std::to_string(ASIO_VERSION / 100 % 1000) + "." +
                         std::to_string(ASIO_VERSION % 100);
    control_tell_version(count, arguments, version.c_str());
    const control_carrier carrier = control_carrier_of(count, arguments);
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    if (carrier == control_tcp) {
        using asio::ip::tcp;
        stream_server<tcp> server(context, {asio::ip::address_v4::loopback(), 0});
        run(context, carrier, server.fd());
    } else if (carrier == control_unix) {
        using asio::local::stream_protocol;
        stream_server<stream_protocol> server(context, {}); // the system chooses a name
        run(context, carrier, server.fd());
    } else {
        datagram_server server(context);
        run(context, carrier, server.fd());
    }
}
