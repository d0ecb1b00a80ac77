#include "net/sending.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using sockeye::owned_bytes;
using sockeye::write_status;
using support::stream_places;
using support::mebibyte;
using support::network;
using support::pair_of_streams;
using support::pattern;
using support::raw_peer;
using support::script;

namespace {

/// Counts the send calls, and notes where the bytes that they were given lie.
class watched_sends final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;
    sockeye::result<std::size_t> send(int fd, sockeye::bytes source) override {
        note({&source, 1});
        return forwarding_kernel::send(fd, source);
    }
    sockeye::result<std::size_t> send_gathered(int fd,
                                               std::span<const sockeye::bytes> sources) override {
        note(sources);
        return forwarding_kernel::send_gathered(fd, sources);
    }
    /// Whether some call was given bytes that lie in `memory`.
    [[nodiscard]] bool has_seen(sockeye::bytes memory) const {
        const auto lies_there = [&](const std::byte* at) {
            return at >= memory.data() && at < memory.data() + memory.size();
        };
        return std::ranges::any_of(places_, lies_there);
    }

    std::size_t calls = 0;
    std::size_t parts_max = 0;

private:
    void note(std::span<const sockeye::bytes> sources) {
        ++calls;
        parts_max = std::max(parts_max, sources.size());
        for (const auto part : sources) {
            places_.push_back(part.data());
        }
    }
    std::vector<const std::byte*> places_;
};

std::vector<sockeye::bytes> parts_of(const std::vector<std::string>& texts) {
    std::vector<sockeye::bytes> parts;
    for (const auto& text : texts) {
        parts.push_back(sockeye::as_bytes(text));
    }
    return parts;
}

/// Bytes that note when they are given back.
owned_bytes lent(const std::string& content, int& released) {
    return {sockeye::as_bytes(content), [](void* count) noexcept { ++*static_cast<int*>(count); },
            &released};
}

} // namespace

TEST_CASE("[111] writes: many small ones of one handler leave as one send") {
    support::on_every_altered_network<watched_sends>(
        {111}, stream_places, [](network& on, watched_sends& watched) {
            pair_of_streams both(on);
            both.told.on_data = [](sockeye::stream& link, sockeye::bytes) {
                for (int i = 0; i < 1000; ++i) {
                    CHECK(link.write("0123456789") == write_status::ok);
                }
            };
            both.peer.say("go");
            CHECK(both.is_heard(10'000));
            CHECK(watched.calls == 1);
            CHECK(both.peer.heard().size() == 10'000);
        });
}

TEST_CASE("[112] [113] gather: parts leave as one write, whatever their sizes") {
    support::on_every_altered_network<watched_sends>(
        {112, 113}, stream_places, [](network& on, watched_sends& watched) {
            pair_of_streams both(on);
            SUBCASE("small ones wait for the end of the turn, behind what was written before") {
                both.link().write("head ");
                CHECK(both.link().write({sockeye::as_bytes("one "), sockeye::as_bytes(""),
                                         sockeye::as_bytes("two")}) == write_status::ok);
                CHECK(watched.calls == 0);
                CHECK(both.is_heard(12));
                CHECK(both.peer.heard() == "head one two");
            }
            SUBCASE("large ones leave at once, and together with what waited") {
                const auto body = pattern(60'000);
                both.link().write("head ");
                CHECK(both.link().write({sockeye::as_bytes(body), sockeye::as_bytes(" tail")}) !=
                      write_status::refused);
                CHECK(watched.calls == 1);
                CHECK(watched.parts_max == 3);
                CHECK(both.is_heard(body.size() + 10));
                CHECK((both.peer.heard() == "head " + body + " tail"));
                CHECK(watched.has_seen(sockeye::as_bytes(body)));
            }
            SUBCASE("nothing is nothing") {
                CHECK(both.link().write(std::span<const sockeye::bytes>()) == write_status::ok);
                CHECK(both.link().write({sockeye::bytes(), sockeye::bytes()}) == write_status::ok);
                on.settle();
                CHECK(watched.calls == 0);
            }
        });
}

TEST_CASE("[114] [F93] gather: more parts than one call takes leave in several") {
    support::on_every_altered_network<watched_sends>(
        {114, support::fault_row(93)}, stream_places, [](network& on, watched_sends& watched) {
            pair_of_streams both(on);
            std::vector<std::string> texts;
            std::string whole;
            for (std::size_t i = 0; i < 4096; ++i) {
                texts.push_back(pattern(5 + i % 3, i));
                whole += texts.back();
            }
            CHECK(both.link().write(parts_of(texts)) != write_status::refused);
            CHECK(both.is_heard(whole.size()));
            CHECK((both.peer.heard() == whole));
            CHECK(watched.parts_max == sockeye::parts_per_call);
            CHECK(watched.calls >= 4096 / sockeye::parts_per_call);
        });
}

TEST_CASE("[121] gather: what the kernel does not take is queued in order, and counts") {
    support::on_every_network({121, 122}, stream_places, [](network& on) {
        pair_of_streams both(on);
        const auto big = pattern(9 * mebibyte);
        const std::vector<std::string> texts = {big, "|", big.substr(0, 77'777), "|"};
        CHECK(both.link().write(parts_of(texts)) == write_status::above_high_mark);
        const auto queued = both.link().queued_bytes();
        CHECK(queued > mebibyte);
        CHECK(on.loop().counters().queued_bytes == queued);
        SUBCASE("a further one is refused whole, and the connection ends") {
            CHECK(both.link().write(parts_of({"a", "b"})) == write_status::refused);
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.error == sockeye::errc::send_queue_full);
            CHECK(both.told.info.dropped_bytes == queued);
            both.peer.pump();
        }
        SUBCASE("all of it arrives") {
            const auto whole = texts[0] + texts[1] + texts[2] + texts[3];
            CHECK(both.is_heard(whole.size()));
            CHECK((both.peer.heard() == whole));
            CHECK(on.loop().counters().queued_bytes == 0);
            CHECK(on.until([&] { return both.told.count("writable") == 1; }));
        }
    });
}

TEST_CASE("[115] try_write: sends what fits now, and queues nothing") {
    support::on_every_network({115}, stream_places, [](network& on) {
        pair_of_streams both(on);
        CHECK(both.link().try_write("").value() == 0);
        CHECK(both.link().try_write("first").value() == 5);
        const auto big = pattern(16 * mebibyte);
        std::size_t taken = 0;
        // A kernel may find more room while it sends; at last it has none.
        for (;;) {
            const auto sent = both.link().try_write(std::string_view(big).substr(taken));
            if (!sent) {
                CHECK(sent.error() == std::errc::operation_would_block);
                break;
            }
            REQUIRE(*sent > 0);
            taken += *sent;
            REQUIRE(taken < big.size());
        }
        CHECK(both.link().queued_bytes() == 0);
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(both.is_heard(5 + taken));
        CHECK((both.peer.heard() == "first" + big.substr(0, taken)));
        CHECK(both.link().try_write("again").value() == 5);
        CHECK(both.is_heard(5 + taken + 5));
    });
}

TEST_CASE("[115] try_write: older bytes go first; behind a queue it would block") {
    support::on_every_network({115}, stream_places, [](network& on) {
        pair_of_streams both(on);
        both.link().write("written, ");
        CHECK(both.link().try_write("tried").value() == 5);
        CHECK(both.is_heard(14));
        CHECK(both.peer.heard() == "written, tried");
        both.peer.forget();
        const auto big = pattern(12 * mebibyte);
        both.link().write(big);
        CHECK(both.link().queued_bytes() > 0);
        CHECK(both.link().try_write("no").error() == std::errc::operation_would_block);
        CHECK(both.is_heard(big.size()));
        CHECK((both.peer.heard() == big));
    });
}

TEST_CASE("[115] [116] [118] try_write: on a dead or closed stream it is an error") {
    support::on_every_network({115, 116, 118}, stream_places, [](network& on) {
        script told;
        {
            auto early =
                sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(told));
            CHECK(early.try_write("x").error() == (early.is_connecting()
                                                       ? std::errc::operation_would_block
                                                       : std::errc::not_connected));
        }
        pair_of_streams both(on);
        SUBCASE("the peer is gone") {
            both.peer.reset();
            std::error_code error;
            CHECK(on.until([&] {
                if (both.told.is_closed()) {
                    return true;
                }
                const auto sent = both.link().try_write("anybody?");
                error = sent ? std::error_code() : sent.error();
                CHECK(both.link().queued_bytes() == 0);
                return static_cast<bool>(error);
            }));
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.reason == sockeye::close_reason::failed);
        }
        SUBCASE("after shutdown") {
            both.link().shutdown();
            CHECK(both.link().try_write("late").error() == std::errc::broken_pipe);
        }
        SUBCASE("after close") {
            auto& link = both.link();
            link.close();
            CHECK(link.try_write("late").error() == std::errc::not_connected);
        }
        CHECK(sockeye::stream().try_write("nobody").error() == std::errc::not_connected);
    });
}

TEST_CASE("[121] owned buffers: are sent from where they lie, and given back when they are sent") {
    support::on_every_altered_network<watched_sends>(
        {121}, stream_places, [](network& on, watched_sends& watched) {
            pair_of_streams both(on);
            const auto big = pattern(8 * mebibyte);
            int released = 0;
            CHECK(both.link().write(lent(big, released)) == write_status::above_high_mark);
            CHECK(released == 0);
            CHECK(both.link().queued_bytes() > 0);
            CHECK(both.link().queued_bytes() < big.size());
            // Its place in the queue costs a little more than its bytes.
            const auto counted = on.loop().counters().queued_bytes;
            CHECK(counted > both.link().queued_bytes());
            CHECK(counted < both.link().queued_bytes() + 128);
            const auto heard = both.is_heard(big.size());
            CHECK(heard);
            CHECK((both.peer.heard() == big));
            CHECK(watched.has_seen(sockeye::as_bytes(big).subspan(1)));
            CHECK(on.until([&] { return released == 1; }));
            CHECK(on.loop().counters().queued_bytes == 0);
        });
}

TEST_CASE("[111] owned buffers: copied and given away, in the order of the writes") {
    support::on_every_network({111, 121}, stream_places, [](network& on) {
        pair_of_streams both(on, {.limits = {.queue_max = 64 * mebibyte}});
        std::string whole;
        const auto say = [&](std::size_t size, bool is_given) {
            auto text = pattern(size, whole.size() + 1);
            whole += text;
            const auto status = is_given ? both.link().write(owned_bytes(std::move(text)))
                                         : both.link().write(text);
            CHECK(status != write_status::refused);
        };
        say(10, false);
        say(10, true); // small: goes with the one before
        say(100'000, true);
        for (std::size_t i = 0; i < 300; ++i) {
            say(1 + i * 97 % 40'000, i % 3 != 0);
        }
        say(4 * mebibyte, true);
        for (std::size_t i = 0; i < 300; ++i) {
            say(1 + i % 5, i % 2 == 0);
        }
        both.link().write(owned_bytes(std::vector<std::byte>(3, std::byte{'!'})));
        whole += "!!!";
        both.link().write(owned_bytes());
        CHECK(both.is_heard(whole.size()));
        CHECK((both.peer.heard() == whole));
        CHECK(both.link().queued_bytes() == 0);
    });
}

TEST_CASE("[121] [122] owned buffers: count in full, and go when they are dropped or refused") {
    support::on_every_network({121, 122}, stream_places, [](network& on) {
        script told;
        script remote;
        auto server = support::serve_script(on, remote);
        // Until it is up nothing is sent.
        auto client = sockeye::connect<support::hooked>(
            on.loop(), support::local_of(server),
            {.limits = {.queue_high = 1100, .queue_max = 2100}}, std::ref(told));
        int released = 0;
        const auto text = pattern(950);
        CHECK(client.write(lent(text, released)) == write_status::ok);
        CHECK(client.write(lent(text, released)) == write_status::above_high_mark);
        CHECK(client.write(lent(text, released)) == write_status::above_high_mark);
        CHECK(client.queued_bytes() == 3 * text.size());
        CHECK(released == 0);
        CHECK(client.write(lent(text, released)) == write_status::refused);
        CHECK(released == 4); // dropped with the connection
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.error == sockeye::errc::send_queue_full);
        CHECK(told.info.dropped_bytes == 3 * text.size());
        on.settle();
        CHECK(client.write(lent(text, released)) == write_status::refused);
        CHECK(released == 5);
    });
}

TEST_CASE("owned bytes: hold what they were made of, and give it back once") {
    int released = 0;
    const std::string text = "content";
    {
        owned_bytes first = lent(text, released);
        owned_bytes second(std::move(first));
        CHECK(first.empty());
        CHECK(second.view().data() == sockeye::as_bytes(text).data());
        owned_bytes third;
        third = std::move(second);
        CHECK(released == 0);
        third = owned_bytes(std::string("other"));
        CHECK(released == 1);
        CHECK(sockeye::as_text(third.view()) == "other");
    }
    CHECK(released == 1);
    std::vector<std::byte> content(100'000, std::byte{7});
    const auto* const place = content.data();
    CHECK(owned_bytes(std::move(content)).view().data() == place);
}
