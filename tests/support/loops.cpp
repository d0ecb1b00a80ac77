#include "support/loops.hpp"

#include "loop/loop_core.hpp"
#include "support/support.hpp"

#include <chrono>
#include <exception>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace support {

using namespace std::chrono_literals;

void for_every_backend(std::initializer_list<int> numbers,
                       const std::function<void(const sockeye::backend_entry&)>& body) {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            const auto before = open_descriptors();
            rows covered(numbers, entry.name);
            try {
                body(entry);
            } catch (const std::exception& error) {
                FAIL_CHECK("threw: " << error.what());
            } catch (...) {
                // A failed REQUIRE, which is reported already. The other backends go on.
            }
            CHECK(open_descriptors() == before);
        }
    }
}

void on_every_loop(std::initializer_list<int> numbers,
                   const std::function<void(sockeye::loop&)>& body) {
    for_every_backend(numbers, [&](const sockeye::backend_entry& entry) {
        sockeye::loop owner({.backend = entry.kind});
        body(owner);
    });
}

std::size_t turn(sockeye::loop& owner, std::optional<sockeye::duration> timeout) {
    return owner.run_once(timeout).value();
}

bool turn_until(sockeye::loop& owner, const std::function<bool()>& fact) {
    return turn_until(fact, [&] { static_cast<void>(owner.run_once(20ms)); });
}

sockeye::loop make_loop(sockeye::kernel& system, std::unique_ptr<sockeye::backend> source,
                        sockeye::backend_entry row, sockeye::loop_options options) {
    auto core =
        std::make_unique<sockeye::loop_core>(system, std::move(source), row, std::move(options));
    if (const auto error = core->start()) {
        throw std::system_error(error);
    }
    return sockeye::loop_access::make(std::move(core));
}

namespace {

sockeye::loop make_clocked_loop(clocked_loop& of, const sockeye::backend_entry& entry,
                                sockeye::loop_options options) {
    of.system.stop_clock();
    auto waits = std::make_unique<clocked_backend>(entry.make().value(), of.system);
    of.waits = waits.get();
    return make_loop(of.system, std::move(waits), entry, std::move(options));
}

} // namespace

clocked_loop::clocked_loop(const sockeye::backend_entry& entry, sockeye::loop_options options)
    : loop(make_clocked_loop(*this, entry, std::move(options))) {}

void on_every_clocked_loop(std::initializer_list<int> numbers,
                           const std::function<void(clocked_loop&)>& body) {
    for_every_backend(numbers, [&](const sockeye::backend_entry& entry) {
        clocked_loop on(entry);
        body(on);
    });
}

} // namespace support
