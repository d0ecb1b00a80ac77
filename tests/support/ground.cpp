#include "support/ground.hpp"

#include "loop/loop_core.hpp"
#include "support/simulated_ground.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <stdexcept>
#include <system_error>

#include <doctest/doctest.h>

namespace support {
namespace {

/// A backend of this build over the kernel of this machine.
class real_ground final : public ground {
public:
    explicit real_ground(const sockeye::backend_entry& entry) : entry_(entry) {}

    const sockeye::backend_entry& entry() const noexcept override { return entry_; }
    bool is_simulated() const noexcept override { return false; }
    sockeye::kernel& system() noexcept override { return sockeye::system_kernel(); }
    std::unique_ptr<sockeye::backend> make_backend() override { return entry_.make().value(); }
    std::size_t descriptors() override { return open_descriptors().size(); }
    std::size_t room() override { return descriptor_room(); }
    std::string path(std::string_view name) override { return folder_.path(name); }
    void raise(int signal) override {
        if (::raise(signal) != 0) {
            throw std::runtime_error("raise");
        }
    }

private:
    const sockeye::backend_entry& entry_;
    scratch_folder folder_;
};

sockeye::endpoint any_local(sockeye::transport kind) {
    return sockeye::endpoint::parse(kind == sockeye::transport::tcp ? "tcp://127.0.0.1:0"
                                                                    : "unix:@")
        .value();
}

void throw_if(std::error_code error) {
    if (error && error != std::errc::operation_in_progress) {
        throw std::system_error(error);
    }
}

} // namespace

sockeye::loop ground::make_loop(sockeye::loop_options options) {
    return make_loop(system(), std::move(options));
}

sockeye::loop ground::make_loop(sockeye::kernel& altered, sockeye::loop_options options) {
    auto core =
        std::make_unique<sockeye::loop_core>(altered, make_backend(), entry(), std::move(options));
    throw_if(core->start());
    return sockeye::loop_access::make(std::move(core));
}

void ground::pass(sockeye::duration step) {
    std::array<sockeye::event, 1> ready;
    CHECK(make_backend()->wait(ready, step).value() == 0);
}

std::unique_ptr<ground> make_real_ground(const sockeye::backend_entry& entry) {
    return std::make_unique<real_ground>(entry);
}

std::vector<std::unique_ptr<ground>> make_real_grounds() {
    std::vector<std::unique_ptr<ground>> made;
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make != nullptr) {
            made.push_back(make_real_ground(entry));
        }
    }
    return made;
}

void for_each_ground(const std::function<void(ground&)>& visit) {
    for (const auto& on : make_real_grounds()) {
        SUBCASE(std::string(on->name()).c_str()) {
            visit(*on);
        }
    }
    SUBCASE("simulation") {
        const auto on = make_simulated_ground();
        visit(*on);
    }
}

pair_source::pair_source(sockeye::kernel& system, sockeye::transport kind)
    : system_(system), kind_(kind) {
    const auto local = any_local(kind);
    listening_ = system.socket(kind, local.family()).value();
    throw_if(system.bind(listening_.get(), local));
    throw_if(system.listen(listening_.get(), 1));
    name_ = system.local_endpoint(listening_.get(), kind).value();
}

stream_pair pair_source::make() {
    stream_pair made;
    made.first = system_.socket(kind_, name_.family()).value();
    throw_if(system_.connect(made.first.get(), name_));
    sockeye::endpoint peer;
    auto accepted = system_.accept(listening_.get(), kind_, peer);
    // The loopback of a busy machine may take a moment.
    static_cast<void>(
        turn_until([&] { return accepted || accepted.error() != std::errc::operation_would_block; },
                   [&] { accepted = system_.accept(listening_.get(), kind_, peer); }));
    made.second = std::move(accepted.value());
    return made;
}

bool run_guarded(const std::function<void()>& body) {
    try {
        body();
        return true;
    } catch (const std::exception& error) {
        FAIL_CHECK("threw: " << error.what());
    } catch (...) {
        // A failed REQUIRE, which is reported already. The others go on.
    }
    return false;
}

void on_every_ground(std::initializer_list<int> numbers,
                     const std::function<void(ground&, rows&)>& body,
                     const std::optional<needs_real_system>& need) {
    for_each_ground([&](ground& on) {
        rows covered(numbers, on.name());
        if (need && on.is_simulated()) {
            covered.do_not_apply(need->reason);
            return;
        }
        const auto before = on.descriptors();
        run_guarded([&] { body(on, covered); });
        CHECK(on.descriptors() == before);
    });
}

stream_pair make_stream_pair(sockeye::kernel& system, sockeye::transport kind) {
    return pair_source(system, kind).make();
}

bound_socket make_bound_tcp(sockeye::kernel& system) {
    const auto local = any_local(sockeye::transport::tcp);
    bound_socket made;
    made.fd = system.socket(sockeye::transport::tcp, local.family()).value();
    throw_if(system.bind(made.fd.get(), local));
    made.name = system.local_endpoint(made.fd.get(), sockeye::transport::tcp).value();
    return made;
}

refused_socket make_refused_udp(sockeye::kernel& system) {
    constexpr auto kind = sockeye::transport::udp;
    const auto local = sockeye::endpoint::parse("udp://127.0.0.1:0").value();
    refused_socket made = {system.socket(kind, local.family()).value(),
                           system.socket(kind, local.family()).value()};
    throw_if(system.bind(made.owner.get(), local));
    const auto name = system.local_endpoint(made.owner.get(), kind).value();
    // Connected to itself it keeps the port and hears nobody else.
    throw_if(system.connect(made.owner.get(), name));
    throw_if(system.connect(made.fd.get(), name));
    return made;
}

std::size_t put(sockeye::kernel& system, int fd, std::size_t count) {
    constexpr std::array<std::byte, 4096> source = {};
    std::size_t sent = 0;
    while (sent < count) {
        const auto size = std::min(source.size(), count - sent);
        const auto now = system.send(fd, sockeye::bytes(source.data(), size));
        if (!now) {
            break;
        }
        sent += *now;
    }
    return sent;
}

std::size_t take(sockeye::kernel& system, int fd) {
    std::array<std::byte, 65536> target;
    std::size_t got = 0;
    for (;;) {
        const auto now = system.receive(fd, target);
        if (!now || *now == 0) {
            return got;
        }
        got += *now;
    }
}

void fill(sockeye::kernel& system, int fd) {
    while (put(system, fd, 4096) > 0) {
    }
    while (put(system, fd, 1) > 0) {
    }
}

sockeye::result<std::size_t> receive_one(sockeye::kernel& system, int fd) {
    std::byte one = {};
    return system.receive(fd, std::span(&one, 1));
}

} // namespace support
