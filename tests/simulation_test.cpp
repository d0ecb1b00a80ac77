#include "simulation/backend.hpp"
#include "simulation/host.hpp"
#include "simulation/network.hpp"
#include "support/ground.hpp"

#include <sockeye/sockeye.hpp>

#include <array>
#include <chrono>
#include <string>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using support::ground;
using support::on_every_ground;

namespace {

/// Sends `text`, waits for as much, and says what came.
struct asker {
    asker(std::string& heard, std::size_t size) : heard_(heard), size_(size) {}
    void on_data(sockeye::stream& link, sockeye::bytes in) {
        heard_ += sockeye::as_text(in);
        if (heard_.size() == size_) {
            link.close();
        }
    }

    std::string& heard_;
    std::size_t size_;
};

} // namespace

TEST_CASE("ground: a server and a client of one loop") {
    on_every_ground({}, [](ground& on, support::rows&) {
        auto loop = on.make_loop();
        for (const std::string& where :
             {std::string("tcp://127.0.0.1:0"), std::string("tcp://[::1]:0"),
              "unix:" + on.path("echo"), std::string("unix:@")}) {
            CAPTURE(where);
            auto server = sockeye::serve(loop, where, [](sockeye::stream& peer, sockeye::bytes in) {
                              peer.write(in);
                          }).value();
            const std::string text(100'000, 'x');
            std::string heard;
            auto link = sockeye::connect<asker>(loop, server.local_endpoint().value(),
                                                {.deadline = 5s}, std::ref(heard), text.size());
            link.write(sockeye::as_bytes(text));
            for (int turns = 0; turns < 1000 && heard.size() < text.size(); ++turns) {
                REQUIRE(loop.run_once(100ms));
            }
            CHECK(heard == text);
            server.close();
            REQUIRE(loop.run_once(10ms));
        }
    });
}
