#pragma once

#include "bench/saved_run.hpp"
#include "support/program.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

// What the tests of `sockeye bench` share.
namespace support {

/// An echo server in a thread of this process, wrong in the way of its callable.
class test_server {
public:
    template <typename Callable>
    test_server(const std::string& address, Callable callable) {
        std::promise<std::string> bound;
        auto where = bound.get_future();
        thread_ = std::thread([this, address, callable, &bound] {
            sockeye::loop own;
            auto server = sockeye::serve(own, address, callable).value();
            stopper_ = std::make_unique<sockeye::remote>(own.remote());
            loop_ = &own;
            bound.set_value(server.local_endpoint().value().to_string());
            CHECK_FALSE(own.run());
        });
        address_ = where.get();
    }
    ~test_server() {
        stopper_->post([this] { loop_->stop(); });
        thread_.join();
    }

    [[nodiscard]] const std::string& address() const { return address_; }

private:
    std::string address_;
    sockeye::loop* loop_ = nullptr;
    std::unique_ptr<sockeye::remote> stopper_;
    std::thread thread_;
};

/// Short enough for a test, long enough to answer something under any sanitizer.
inline words quick(words more) {
    words all = {"bench", "--rounds", "1", "--warmup", "10ms", "-d", "100ms", "--no-save"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// The document of a run, which is what the schema says.
inline nlohmann::json read_document(const std::string& text) {
    const scratch_directory folder;
    const auto path = folder.file("run.json");
    std::ofstream(path) << text;
    CHECK_NOTHROW(static_cast<void>(sockeye::bench::read_run(path)));
    auto document = nlohmann::json::parse(text, nullptr, false);
    REQUIRE_FALSE(document.is_discarded());
    return document;
}

} // namespace support
