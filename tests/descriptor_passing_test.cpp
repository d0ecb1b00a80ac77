#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using sockeye::unique_fd;
using support::network;
using support::raw_peer;
using support::script;

namespace {

const support::needs_real_system real_descriptors = {
    "a simulation passes no descriptors: those of its hosts are of no use to a program"};

std::vector<unique_fd> make_descriptors(std::size_t count) {
    std::vector<unique_fd> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.emplace_back(::open("/dev/null", O_RDONLY));
        REQUIRE(made.back());
    }
    return made;
}

std::vector<int> numbers_of(const std::vector<unique_fd>& owned) {
    std::vector<int> numbers;
    std::transform(owned.begin(), owned.end(), std::back_inserter(numbers),
                   [](const unique_fd& one) { return one.get(); });
    return numbers;
}

bool is_close_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

bool is_same_file(int first, int second) {
    struct stat one = {};
    struct stat other = {};
    REQUIRE(::fstat(first, &one) == 0);
    REQUIRE(::fstat(second, &other) == 0);
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Sends `text` with copies of `descriptors`, all of it at once.
void send_all(sockeye::kernel& system, int fd, std::string_view text,
              const std::vector<unique_fd>& descriptors) {
    const auto sent =
        system.send_with_descriptors(fd, sockeye::as_bytes(text), numbers_of(descriptors));
    REQUIRE(sent.value() == text.size());
}

/// A session that takes what comes along.
struct taker {
    struct log {
        std::string data;
        std::vector<unique_fd> descriptors;
        std::vector<std::size_t> offsets; ///< how many bytes had come before each
        sockeye::close_info info;
        bool is_closed = false;
        bool keeps = true;
    };

    explicit taker(log& told) : told_(told) {}

    void on_data(sockeye::stream&, sockeye::bytes in, std::vector<unique_fd> descriptors) {
        for (auto& one : descriptors) {
            if (told_.keeps) {
                told_.descriptors.push_back(std::move(one));
                told_.offsets.push_back(told_.data.size());
            }
        }
        told_.data += sockeye::as_text(in);
    }
    void on_close(sockeye::stream&, const sockeye::close_info& info) {
        told_.info = info;
        told_.is_closed = true;
    }

private:
    log& told_;
};

sockeye::server serve_taker(network& on, taker::log& told,
                            const sockeye::serve_options& options = {}) {
    return sockeye::serve<taker>(on.loop(), on.local(), options, std::ref(told)).value();
}

/// What the system says of the files that are passed, so that they are known again.
std::vector<unique_fd> make_files(std::size_t count) {
    std::vector<unique_fd> made;
    while (made.size() < count) {
        auto ends = support::make_pipe();
        made.push_back(std::move(ends.first));
        if (made.size() < count) {
            made.push_back(std::move(ends.second));
        }
    }
    return made;
}

std::vector<unique_fd> copies_of(const std::vector<unique_fd>& owned, std::size_t begin,
                                 std::size_t count) {
    std::vector<unique_fd> made;
    for (std::size_t i = begin; i < begin + count; ++i) {
        made.push_back(support::make_duplicate(owned[i].get()));
    }
    return made;
}

} // namespace

TEST_CASE("[193] kernel: descriptors arrive with their byte, close-on-exec, the same files") {
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        auto ends = support::make_pipe();
        std::vector<unique_fd> given;
        given.push_back(std::move(ends.first));
        given.push_back(std::move(ends.second));
        send_all(system, pair.first.get(), "two", given);

        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 3);
        REQUIRE(came.size() == 2);
        for (std::size_t i = 0; i < came.size(); ++i) {
            CHECK(is_close_on_exec(came[i].get()));
            CHECK(is_same_file(came[i].get(), given[i].get()));
        }
        const auto nothing = system.receive_with_descriptors(pair.second.get(), target, came);
        CHECK(nothing.error() == std::errc::operation_would_block);
        pair.first.reset();
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 0);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("F75: kernel: other control messages beside the descriptors are passed over") {
    const support::rows covered({support::fault_row(75)});
    auto& system = sockeye::system_kernel();
    auto pair = support::make_stream_pair(system, sockeye::transport::unix_seqpacket);
    const int on = 1;
    REQUIRE(::setsockopt(pair.second.get(), SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0);
    std::array<std::byte, 64> target;
    std::vector<unique_fd> came;
    send_all(system, pair.first.get(), "with a time", make_descriptors(3));
    CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 11);
    CHECK(came.size() == 3);
    send_all(system, pair.first.get(), "only a time", {});
    CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 11);
    CHECK(came.size() == 3);
}

TEST_CASE("[193] kernel: a message carries 253 descriptors, and no more") {
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        auto given = make_descriptors(sockeye::descriptors_per_message);
        send_all(system, pair.first.get(), "all", given);
        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        CHECK(system.receive_with_descriptors(pair.second.get(), target, came).value() == 3);
        CHECK(came.size() == 253);

        given.push_back(std::move(came.back()));
        const auto refused = system.send_with_descriptors(
            pair.first.get(), sockeye::as_bytes("one too many"), numbers_of(given));
        CHECK(refused.error() == std::errc::invalid_argument);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE(
    "[194] F74: kernel: of descriptors that find no room none stays open, and it is an error") {
    const support::rows covered({194, support::fault_row(74)});
    auto& system = sockeye::system_kernel();
    const auto before = support::open_descriptors();
    {
        auto pair = support::make_stream_pair(system, sockeye::transport::unix_stream);
        send_all(system, pair.first.get(), "some", make_descriptors(5));
        std::array<std::byte, 64> target;
        std::vector<unique_fd> came;
        const auto beside = support::open_descriptors();
        {
            // There is room for two, so that the system installs them and cuts off the others.
            const support::lowered_descriptor_limit room_for_two(2);
            const auto got = system.receive_with_descriptors(pair.second.get(), target, came);
            CHECK(got.error() == std::errc::too_many_files_open);
        }
        CHECK(came.empty());
        CHECK(support::open_descriptors() == beside);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("[193] stream: a session that takes descriptors gets them with their bytes, in order") {
    support::on_every_network(
        {193}, {"unix:"},
        [](network& on) {
            const auto files = make_files(6);
            taker::log told;
            auto server = serve_taker(on, told);
            script connected;
            auto client =
                sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(connected));
            client.write("early", copies_of(files, 0, 1)); // waits for the connection
            client.write(" plain");
            REQUIRE(on.until([&] { return connected.link != nullptr; }));
            client.write(" pending");
            client.write(" two", copies_of(files, 1, 2));
            client.write(" three", copies_of(files, 3, 3));
            const std::string all = "early plain pending two three";
            REQUIRE(on.until([&] { return told.data.size() == all.size(); }));
            CHECK(told.data == all);
            REQUIRE(told.descriptors.size() == files.size());
            for (std::size_t i = 0; i < files.size(); ++i) {
                CHECK(is_same_file(told.descriptors[i].get(), files[i].get()));
                CHECK(is_close_on_exec(told.descriptors[i].get()));
            }
            for (const std::size_t i : {1U, 2U}) {
                CHECK(told.offsets[i] <= all.find("two"));
            }
            CHECK(told.offsets[3] <= all.find("three"));
        },
        real_descriptors);
}

TEST_CASE("[193] stream: descriptors that a session does not take are closed") {
    support::on_every_network(
        {193}, {"unix:"},
        [](network& on) {
            taker::log told;
            told.keeps = false;
            auto server = serve_taker(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return peer.is_up() && server.connection_count() == 1; }));
            const auto before = support::open_descriptors();
            send_all(on.system(), peer.fd(), "look", make_descriptors(7));
            CHECK(on.until([&] { return told.data == "look"; }));
            CHECK(support::open_descriptors() == before);
        },
        real_descriptors);
}

TEST_CASE("[193] [196] stream: descriptors keep their places through a queue and short writes") {
    support::on_every_network(
        {193, 196}, {"unix:"},
        [](network& on) {
            constexpr std::size_t count = 40;
            const auto files = make_files(count);
            taker::log told;
            taker::log back;
            auto server = serve_taker(on, told, {.limits = {.queue_max = 64 << 20}});
            auto client = sockeye::connect<taker>(
                on.loop(), on.local(), {.limits = {.queue_max = 64 << 20}}, std::ref(back));
            REQUIRE(on.until([&] { return server.connection_count() == 1; }));
            std::string all;
            std::vector<std::size_t> places;
            for (std::size_t i = 0; i < count; ++i) {
                const auto part = support::pattern(i * 3000 + 1, i);
                client.write(part);
                places.push_back(all.size() + part.size());
                const auto with = support::pattern(i * 1000 + 1, i + count);
                CHECK(client.write(with, copies_of(files, i, 1)) != sockeye::write_status::refused);
                all += part + with;
            }
            REQUIRE(on.until([&] { return told.data.size() == all.size(); }));
            CHECK(told.data == all);
            REQUIRE(told.descriptors.size() == count);
            for (std::size_t i = 0; i < count; ++i) {
                CHECK(is_same_file(told.descriptors[i].get(), files[i].get()));
                CHECK(told.offsets[i] <= places[i]);
                CHECK((i == 0 || told.offsets[i] > places[i - 1]));
            }
        },
        real_descriptors);
}

TEST_CASE("[193] stream: descriptors that were not sent are closed with the connection") {
    support::on_every_network(
        {193}, {"unix:"},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            peer.is_deaf = true;
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            const auto before = support::open_descriptors();
            CHECK(told.link->write(std::string(900'000, 'x')) != sockeye::write_status::refused);
            CHECK(told.link->write("along", make_descriptors(5)) != sockeye::write_status::refused);
            CHECK(support::open_descriptors().size() == before.size() + 5);
            told.link->abort();
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(support::open_descriptors().size() == before.size() - 1);
            CHECK(told.info.dropped_bytes > 0);
        },
        real_descriptors);
}

TEST_CASE("[195] stream: descriptors for a session that takes none leave nothing open") {
    support::on_every_network(
        {195}, {"unix:"},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            const auto before = support::open_descriptors();
            for (int message = 0; message < 20; ++message) {
                send_all(on.system(), peer.fd(), "take these", make_descriptors(253));
            }
            CHECK(on.until([&] { return told.data.size() == 200; }));
            CHECK(support::open_descriptors() == before);
        },
        real_descriptors);
}

TEST_CASE("[194] stream: more descriptors than the limit end the connection, and all are closed") {
    support::on_every_network(
        {194}, {"unix:"},
        [](network& on) {
            taker::log told;
            auto server = serve_taker(on, told, {.limits = {.descriptors_max = 1}});
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return server.connection_count() == 1; }));
            const auto before = support::open_descriptors();
            send_all(on.system(), peer.fd(), "two where one was meant", make_descriptors(2));
            send_all(on.system(), peer.fd(), "and many more", make_descriptors(253));
            CHECK(on.until([&] { return told.is_closed; }));
            CHECK(told.info.error == sockeye::errc::descriptor_limit);
            CHECK(told.data.empty());
            CHECK(told.descriptors.empty());
            CHECK(support::open_descriptors().size() == before.size() - 1);
        },
        real_descriptors);
}

TEST_CASE("[194] stream: where the process has no room for what comes, only this connection ends") {
    support::on_every_network(
        {194}, {"unix:"},
        [](network& on) {
            taker::log told;
            taker::log other;
            auto server = serve_taker(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return server.connection_count() == 1; }));
            send_all(on.system(), peer.fd(), "five", make_descriptors(5));
            {
                const support::lowered_descriptor_limit room_for_two(2);
                CHECK(on.until([&] { return told.is_closed; }));
            }
            CHECK(told.info.error == std::errc::too_many_files_open);
            CHECK(told.descriptors.empty());
            raw_peer next(on.system(), support::local_of(server));
            next.say("next");
            CHECK(on.until([&] {
                next.pump();
                return told.data == "next";
            }));
        },
        real_descriptors);
}

TEST_CASE("[193] stream: what cannot carry descriptors says so, and loses no byte in silence") {
    support::on_every_network({}, {"tcp://127.0.0.1:0", "unix:"}, [](network& on) {
        if (on.is_unix() && !on.on().is_simulated()) {
            return;
        }
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto before = support::open_descriptors();
        static_cast<void>(told.link->write("along", make_descriptors(1)));
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.error == std::errc::not_supported);
        CHECK(support::open_descriptors().size() <= before.size());
    });
}

TEST_CASE("[193] stream: descriptors need a byte, at most 253 go with one, and 253 wait") {
    using sockeye::write_status;
    support::on_every_network(
        {193}, {"unix:"},
        [](network& on) {
            const auto refuse = [&](const std::function<void(sockeye::stream&)>& act) {
                script told;
                auto server = support::serve_script(on, told);
                raw_peer peer(on.system(), support::local_of(server));
                peer.is_deaf = true;
                REQUIRE(on.until([&] { return told.link != nullptr; }));
                act(*told.link);
                CHECK(on.until([&] { return told.is_closed(); }));
                return told.info.error;
            };
            CHECK(refuse([](sockeye::stream& link) {
                      CHECK(link.write("", make_descriptors(1)) == write_status::refused);
                  }) == std::errc::invalid_argument);
            CHECK(refuse([](sockeye::stream& link) {
                      CHECK(link.write("x", make_descriptors(254)) == write_status::refused);
                  }) == std::errc::invalid_argument);
            CHECK(refuse([](sockeye::stream& link) {
                      link.write(std::string(900'000, 'x'));
                      CHECK(link.write("x", make_descriptors(253)) != write_status::refused);
                      CHECK(link.write("y") != write_status::refused);
                      CHECK(link.write("x", make_descriptors(1)) == write_status::refused);
                  }) == sockeye::errc::send_queue_full);
        },
        real_descriptors);
}
