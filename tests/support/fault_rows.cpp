#include "support/fault_rows.hpp"

#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

namespace support {

fault failing(seam_call where, std::error_code error, std::size_t nth, std::size_t times) {
    return {.where = where, .nth = nth, .times = times, .error = error};
}

fault failing(seam_call where, std::errc error, std::size_t nth, std::size_t times) {
    return failing(where, make_error_code(error), nth, times);
}

fault falling_short(seam_call where, std::size_t at_most, std::size_t nth, std::size_t times) {
    return {.where = where, .nth = nth, .times = times, .error = {}, .at_most = at_most};
}

namespace {

void run_on(ground& on, std::initializer_list<int> faults, bool needs_real_system,
            const std::function<void(faulty_loop&, ground&)>& body) {
    std::vector<int> numbers;
    for (const int fault : faults) {
        numbers.push_back(fault_row(fault));
    }
    rows covered(numbers, on.name());
    if (needs_real_system && on.is_simulated()) {
        covered.do_not_apply("it needs the descriptors of the process, or its time");
        return;
    }
    faulty_loop at(on);
    body(at, on);
    at.system.plan.clear();
    at.settle();
    CHECK(at.slots() == 0);
    CHECK(at.queued_bytes() == 0);
    CHECK(at.system.strays() == std::vector<std::string>());
}

} // namespace

void on_every_faulty_loop(std::initializer_list<int> faults,
                          const std::function<void(faulty_loop&, ground&)>& body) {
    on_every_ground({}, [&](ground& on, rows&) { run_on(on, faults, false, body); });
}

void on_every_real_loop(std::initializer_list<int> faults,
                        const std::function<void(faulty_loop&, ground&)>& body) {
    on_every_ground({}, [&](ground& on, rows&) { run_on(on, faults, true, body); });
}

descriptors_used_up::descriptors_used_up() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    auto lowered = before_;
    // The first number that is free: what is made from now on would get it or a higher one.
    const sockeye::unique_fd next(::dup(0));
    lowered.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &lowered);
}

descriptors_used_up::~descriptors_used_up() {
    ::setrlimit(RLIMIT_NOFILE, &before_);
}

conversation::conversation(faulty_loop& at, ground& on, const sockeye::serve_options& options,
                           const char* local)
    : server(sockeye::serve<hooked>(at.loop, local, options, std::ref(told)).value()),
      peer(on.system(), server.local_endpoint().value()), at_(at) {
    REQUIRE(until([&] { return told.link != nullptr; }));
    link_ = told.link->ref();
}

bool conversation::until(const std::function<bool()>& fact) {
    return at_.until([&] {
        peer.pump();
        return fact();
    });
}

bool conversation::hears(std::string_view text) {
    told.data.clear();
    peer.say(text);
    return until([&] { return told.data == text; });
}

std::error_code failure_of_connect(faulty_loop& at, const sockeye::endpoint_argument& peer,
                                   const sockeye::connect_options& options) {
    script told;
    auto client = sockeye::connect<hooked>(at.loop, peer, options, std::ref(told));
    CHECK(told.heard.empty());
    CHECK(at.until([&] { return told.is_closed(); }));
    at.settle();
    CHECK(told.heard == std::vector<std::string>{"close"});
    CHECK(told.sessions == 0);
    CHECK(told.info.reason == sockeye::close_reason::connect_failed);
    return told.info.error;
}

} // namespace support
