#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::unique_fd;
using sockeye::write_status;
using support::stream_places;
using support::mebibyte;
using support::network;
using support::pair_of_streams;
using support::pattern;
using support::raw_peer;
using support::script;

namespace {

/// A file of its own, that goes with its last descriptor.
class file_without_name {
public:
    explicit file_without_name(const std::string& content) {
        std::string name = "/tmp/sockeye-file-XXXXXX";
        fd_ = unique_fd(::mkstemp(name.data()));
        REQUIRE(fd_.get() >= 0);
        ::unlink(name.c_str());
        std::size_t done = 0;
        while (done < content.size()) {
            const auto put = ::write(fd_.get(), content.data() + done, content.size() - done);
            REQUIRE(put > 0);
            done += static_cast<std::size_t>(put);
        }
    }
    [[nodiscard]] unique_fd open() const { return support::make_duplicate(fd_.get()); }
    void shorten(std::size_t size) const {
        REQUIRE(::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0);
    }

private:
    unique_fd fd_;
};

/// A system that sends no file by itself.
class without_sendfile final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;
    sockeye::result<std::size_t> send_file(int, int, std::uint64_t, std::size_t) override {
        ++refused;
        return std::errc::invalid_argument;
    }
    sockeye::result<std::size_t> read_at(int file, std::span<std::byte> target,
                                         std::uint64_t offset) override {
        read_max = std::max(read_max, target.size());
        return forwarding_kernel::read_at(file, target, offset);
    }

    std::size_t refused = 0;
    std::size_t read_max = 0;
};

/// Two parts of a file between copied writes and a buffer that is given away.
void send_mixture(network& on) {
    const auto content = pattern(5 * mebibyte);
    const file_without_name file(content);
    pair_of_streams both(on, {.limits = {.queue_max = 64 * mebibyte}});
    auto& link = both.link();
    link.write("head ");
    CHECK(link.send_file(file.open(), {.offset = 1000, .length = 4 * mebibyte}) ==
          write_status::above_high_mark);
    link.write(" between ");
    CHECK(link.send_file(file.open(), {.offset = 7, .length = 3}) != write_status::refused);
    link.write(sockeye::owned_bytes(pattern(100'000, 5)));
    CHECK(link.send_file(file.open(), {.offset = 7, .length = 0}) != write_status::refused);
    CHECK(link.send_file(file.open(), {.length = content.size()}) != write_status::refused);
    link.write(" tail");
    const auto whole = "head " + content.substr(1000, 4 * mebibyte) + " between " +
                       content.substr(7, 3) + pattern(100'000, 5) + content + " tail";
    CHECK(link.queued_bytes() <= whole.size());
    CHECK(both.is_heard(whole.size()));
    CHECK((both.peer.heard() == whole));
    CHECK(on.until([&] { return both.told.count("writable") == 1; }));
    CHECK(link.queued_bytes() == 0);
    CHECK(on.loop().counters().queued_bytes == 0);
    CHECK(on.loop().counters().bytes_written == whole.size());
}

} // namespace

TEST_CASE("[121] send_file: parts of files arrive in order with other writes") {
    support::on_every_stream({121}, send_mixture);
}

TEST_CASE("[121] send_file: the same where the system sends no file by itself") {
    support::on_every_altered_network<without_sendfile>(
        {121}, stream_places, [](network& on, without_sendfile& altered) {
            send_mixture(on);
            CHECK(altered.refused == 3); // asked once for each file
            CHECK(altered.read_max == 65536);
        });
}

TEST_CASE("send_file: a file that became shorter ends the stream with an error") {
    support::on_every_network({}, stream_places, [](network& on) {
        const file_without_name file(pattern(8 * mebibyte));
        pair_of_streams both(on);
        CHECK(both.link().send_file(file.open(), {.length = 8 * mebibyte}) ==
              write_status::above_high_mark);
        both.link().shutdown();
        CHECK(on.until([&] { return both.link().queued_bytes() < 8 * mebibyte; }));
        file.shorten(5 * mebibyte);
        CHECK(on.until([&] {
            both.peer.pump();
            return both.told.is_closed() && both.peer.is_over();
        }));
        CHECK(both.told.info.reason == sockeye::close_reason::failed);
        CHECK(both.told.info.error == sockeye::errc::file_truncated);
        CHECK(both.told.info.dropped_bytes >= 3 * mebibyte);
        if (!on.is_unix()) {
            CHECK_FALSE(both.peer.has_ended());
            CHECK(both.peer.error() == std::errc::connection_reset);
        }
    });
}

TEST_CASE("send_file: what cannot be read at a place ends the stream with what the system says") {
    support::on_every_network({}, stream_places, [](network& on) {
        pair_of_streams both(on);
        auto& link = both.link();
        SUBCASE("a pipe") {
            auto pipe = support::make_pipe();
            link.send_file(std::move(pipe.first), {.length = 5});
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.error == std::errc::invalid_seek);
        }
        SUBCASE("a folder") {
            link.send_file(unique_fd(::open("/", O_RDONLY | O_CLOEXEC)), {.length = 5});
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.error == std::errc::is_a_directory);
        }
        SUBCASE("nothing") {
            link.send_file(unique_fd(), {.length = 5});
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.error == std::errc::bad_file_descriptor);
        }
        CHECK(both.told.info.dropped_bytes == 5);
    });
}

TEST_CASE("[121] [122] send_file: counts little towards the marks, so that many are refused") {
    support::on_every_network({121, 122}, stream_places, [](network& on) {
        const file_without_name file(pattern(mebibyte));
        script remote;
        auto server = support::serve_script(on, remote);
        script told;
        // Until it is up nothing is sent.
        auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server), {},
                                                        std::ref(told));
        CHECK(client.send_file(file.open(), {.length = 1000}) == write_status::ok);
        CHECK(client.send_file(file.open(), {.length = mebibyte}) == write_status::above_high_mark);
        CHECK(client.queued_bytes() == mebibyte + 1000);
        CHECK(on.loop().counters().queued_bytes < 200'000);
        SUBCASE("it arrives") {
            CHECK(on.until([&] { return remote.data.size() == mebibyte + 1000; }));
            CHECK(on.until([&] { return told.count("writable") == 1; }));
        }
        SUBCASE("at last one is refused") {
            int taken = 2;
            while (client.send_file(file.open(), {.length = mebibyte}) != write_status::refused) {
                ++taken;
                REQUIRE(taken < 20);
            }
            CHECK(taken == 9);
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == sockeye::errc::send_queue_full);
        }
        SUBCASE("after shutdown it is refused, and what was taken is sent") {
            client.shutdown();
            CHECK(client.send_file(file.open(), {.length = 5}) == write_status::refused);
            CHECK(on.until([&] { return remote.count("end") == 1; }));
            CHECK(remote.data.size() == mebibyte + 1000);
        }
    });
}

TEST_CASE("[117] send_file: a peer that goes in the middle is an error and no signal") {
    support::on_every_network({117}, stream_places, [](network& on) {
        const file_without_name file(pattern(16 * mebibyte));
        pair_of_streams both(on);
        CHECK(both.link().send_file(file.open(), {.length = 16 * mebibyte}) ==
              write_status::above_high_mark);
        CHECK(on.until([&] {
            both.peer.pump();
            return both.peer.heard().size() > 100'000;
        }));
        both.peer.reset();
        CHECK(on.until([&] { return both.told.is_closed(); }));
        CHECK(both.told.info.reason == sockeye::close_reason::failed);
        CHECK((both.told.info.error == std::errc::connection_reset ||
               both.told.info.error == std::errc::broken_pipe));
        CHECK(both.told.info.dropped_bytes > 0);
    });
}

TEST_CASE("send_file: close sends it to its end; others are served meanwhile") {
    support::on_every_network({}, stream_places, [](network& on) {
        const auto content = pattern(20 * mebibyte);
        const file_without_name file(content);
        pair_of_streams both(on);
        auto& busy = both.link();
        raw_peer calm(on.system(), support::local_of(both.server));
        REQUIRE(on.until([&] { return both.told.count("open") == 2; }));
        busy.send_file(file.open(), {.length = content.size()});
        busy.close();
        both.link().write("meanwhile");
        CHECK(on.until([&] {
            calm.pump();
            return calm.heard() == "meanwhile";
        }));
        CHECK(busy.queued_bytes() > 0);
        CHECK(both.is_heard(content.size()));
        CHECK((both.peer.heard() == content));
        CHECK(on.until([&] { return both.told.is_closed(); }));
        CHECK(both.told.info.dropped_bytes == 0);
    });
}
