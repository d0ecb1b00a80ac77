#include "support/ground.hpp"

#include "loop/loop_core.hpp"
#include "support/support.hpp"

#include <exception>
#include <functional>
#include <system_error>

#include <doctest/doctest.h>
#include <sys/socket.h>

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
    std::string path(std::string_view name) override { return folder_.path(name); }

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

void for_each_ground(const std::function<void(ground&)>& visit) {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make != nullptr) {
            SUBCASE(std::string(entry.name).c_str()) {
                real_ground on(entry);
                visit(on);
            }
        }
    }
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
            covered.do_not_apply(std::string(need->reason));
            return;
        }
        const auto before = on.descriptors();
        run_guarded([&] { body(on, covered); });
        CHECK(on.descriptors() == before);
    });
}

stream_pair make_stream_pair(sockeye::kernel& system, sockeye::transport kind) {
    const auto local = any_local(kind);
    const auto listening = system.socket(kind, local.family()).value();
    throw_if(system.bind(listening.get(), local));
    throw_if(system.listen(listening.get(), 1));
    const auto name = system.local_endpoint(listening.get(), kind).value();
    auto first = system.socket(kind, local.family()).value();
    throw_if(system.connect(first.get(), name));
    sockeye::endpoint peer;
    auto second = system.accept(listening.get(), kind, peer).value();
    return {std::move(first), std::move(second)};
}

} // namespace support
