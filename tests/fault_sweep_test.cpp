#include "support/fault_rows.hpp"
#include "support/scenarios.hpp"

#include <chrono>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

// Every scenario is run once for each call that it makes and each result that this call may have,
// with that one result.

namespace {

using namespace std::chrono_literals;
using support::fault;
using support::faulty_loop;
using support::ground;
using support::scenario;
using support::seam_call;

/// What one bad result may cost.
enum class cost : std::uint8_t {
    nothing,  ///< the scenario brings about what it always does
    its_end,  ///< it ends otherwise, but it ends
    unending, ///< what the system did is not what it said: the scenario may wait for ever
};

struct answer {
    seam_call where;
    cost most;
    std::vector<std::error_code> errors;
    std::vector<std::size_t> at_most = {};
};

std::vector<std::error_code> codes(std::initializer_list<std::errc> errors) {
    std::vector<std::error_code> made;
    for (const auto error : errors) {
        made.push_back(make_error_code(error));
    }
    return made;
}

/// The results that are legal for each call, and that are not its success.
const std::vector<answer>& answers() {
    using enum seam_call;
    using enum std::errc;
    static const std::vector<answer> all = {
        {socket, cost::its_end,
         codes({too_many_files_open, no_buffer_space, address_family_not_supported,
                permission_denied})},
        {bind, cost::its_end, codes({address_in_use, address_not_available, permission_denied})},
        {listen, cost::its_end, codes({address_in_use})},
        {accept, cost::nothing,
         codes({operation_would_block, connection_aborted, protocol_error, network_down,
                host_unreachable, operation_not_permitted})},
        {accept, cost::its_end,
         codes({too_many_files_open, too_many_files_open_in_system, no_buffer_space,
                not_enough_memory, invalid_argument})},
        {connect, cost::nothing, codes({operation_in_progress})},
        {connect, cost::its_end,
         codes({operation_would_block, address_not_available, connection_refused,
                network_unreachable, host_unreachable, timed_out, permission_denied,
                already_connected})},
        {shutdown_write, cost::unending, codes({not_connected, invalid_argument})},
        {receive,
         cost::nothing,
         codes({operation_would_block, no_buffer_space, not_enough_memory}),
         {1}},
        {receive, cost::its_end,
         codes({connection_reset, timed_out, host_unreachable, network_down, io_error})},
        {send,
         cost::nothing,
         codes({operation_would_block, no_buffer_space, not_enough_memory}),
         {0, 1}},
        {send, cost::its_end,
         codes({broken_pipe, connection_reset, timed_out, host_unreachable, network_down})},
        {send_gathered,
         cost::nothing,
         codes({operation_would_block, no_buffer_space, not_enough_memory}),
         {0, 1, 7}},
        {send_gathered, cost::its_end, codes({broken_pipe, connection_reset, timed_out})},
        {receive_datagrams, cost::nothing,
         codes({operation_would_block, connection_refused, host_unreachable, no_buffer_space,
                not_enough_memory})},
        {receive_datagrams, cost::its_end, codes({bad_file_descriptor})},
        {send_datagrams, cost::nothing, codes({operation_would_block, connection_refused}), {1}},
        {send_datagrams, cost::its_end,
         codes({no_buffer_space, message_size, operation_not_permitted, permission_denied,
                invalid_argument, network_unreachable})},
        {set_option, cost::nothing, codes({no_protocol_option, invalid_argument})},
        {pending_error, cost::its_end,
         codes({connection_refused, timed_out, connection_reset, bad_file_descriptor})},
        {local_endpoint, cost::its_end, codes({no_buffer_space, connection_reset})},
        {peer_endpoint, cost::nothing, codes({not_connected})},
        {peer_endpoint, cost::its_end, codes({no_buffer_space, invalid_argument})},
        {transport_of, cost::its_end, codes({bad_file_descriptor, not_a_socket})},
        {prepare, cost::its_end, codes({bad_file_descriptor})},
        {identify, cost::nothing, codes({no_such_file_or_directory, permission_denied})},
        {remove_file, cost::nothing, codes({no_such_file_or_directory, permission_denied})},
        {reserve, cost::nothing, codes({too_many_files_open, too_many_files_open_in_system})},
        {make_wake_channel, cost::its_end,
         codes({too_many_files_open, too_many_files_open_in_system, not_enough_memory})},
        {add_signal, cost::its_end, codes({invalid_argument})},
        {add, cost::its_end,
         codes({no_space_on_device, not_enough_memory, bad_file_descriptor, file_exists})},
        {modify, cost::its_end,
         codes({no_space_on_device, not_enough_memory, no_such_file_or_directory})},
        {remove, cost::nothing, codes({no_such_file_or_directory, bad_file_descriptor})},
        {wait, cost::nothing, codes({not_enough_memory, bad_file_descriptor}), {0, 1}},
    };
    return all;
}

std::string shown(const fault& one) {
    std::ostringstream text;
    text << support::name_of(one.where) << " no. " << one.nth << " -> ";
    if (one.error) {
        text << one.error.message();
    } else {
        text << "at most " << one.at_most;
    }
    return text.str();
}

/// What a run came to.
struct run_report {
    bool was_made = false; ///< the loop was
    bool went_well = false;
    bool has_stalled = false;
    support::fault_plan plan; ///< how often each call was made
    std::vector<std::string> wrongs;
};

/// Everything that must hold whatever fails.
void check_end(faulty_loop& at, const support::stage& on, const scenario& played,
               run_report& report) {
    const auto expect = [&](bool holds, const char* wrong) {
        if (!holds) {
            report.wrongs.emplace_back(wrong);
        }
    };
    report.wrongs = on.wrongs();
    expect(at.until([&] { return at.slots() == 0; }, 20s), "a slot is still in use");
    expect(at.until([&] { return at.timers() == 0; }, 1s), "a timer is still armed");
    expect(at.queued_bytes() == 0, "bytes are still counted as queued");
    expect(on.made == on.destroyed, "a session is still there");
    expect(on.closed <= on.made, "more closes than sessions");
    expect(on.closed == on.made || on.has_stalled() || played.leaves_in_silence,
           "a session did not hear on_close");
    expect(at.system.strays().empty(), "a descriptor that was not open was used");
}

run_report run(ground& on, const scenario& played, const std::vector<fault>& planned) {
    static unsigned runs = 0;
    run_report report;
    const auto before = on.descriptors();
    try {
        faulty_loop at(on, {}, planned);
        report.was_made = true;
        support::stage stage(on, at, ++runs);
        report.went_well = played.play(stage);
        report.has_stalled = stage.has_stalled();
        check_end(at, stage, played, report);
        report.plan = at.system.plan;
    } catch (const std::system_error& error) {
        if (report.was_made) {
            report.wrongs.push_back(std::string("threw: ") + error.what());
        }
    }
    if (on.descriptors() != before) {
        report.wrongs.emplace_back("a descriptor leaked");
    }
    return report;
}

/// How many runs there were, for the one line that the sweep says.
struct tally {
    std::map<std::string, int> by_call;
    std::map<std::string, int> by_result;
    int runs = 0;
    int unmet = 0; ///< in which the call was not made so often as in the first one

    void add(const fault& one, bool is_met) {
        ++runs;
        unmet += is_met ? 0 : 1;
        ++by_call[std::string(support::name_of(one.where))];
        ++by_result[one.error ? one.error.message() : "at most " + std::to_string(one.at_most)];
    }
};

std::string shown(const tally& of) {
    std::ostringstream text;
    text << of.runs << " runs, in " << of.unmet << " of them the call was not made;";
    for (const auto* const counts : {&of.by_call, &of.by_result}) {
        for (const auto& [what, count] : *counts) {
            text << ' ' << what << ' ' << count << ',';
        }
        text << '\n';
    }
    return text.str();
}

void check(const run_report& report, const scenario& played, const fault& one, cost most) {
    auto wrongs = report.wrongs;
    if (report.was_made && most == cost::nothing && !report.went_well) {
        wrongs.emplace_back("it did not bring about what it should");
    }
    if (report.has_stalled && most != cost::unending) {
        wrongs.emplace_back("it did not end");
    }
    for (const auto& wrong : wrongs) {
        FAIL_CHECK(played.name << ": " << shown(one) << ": " << wrong);
    }
}

void sweep(ground& on, const scenario& played, tally& counted) {
    const auto plain = run(on, played, {});
    check(plain, played, {}, cost::nothing);
    REQUIRE(plain.went_well);
    for (const auto& [where, most, errors, shorts] : answers()) {
        const auto calls = plain.plan.count(where);
        std::vector<fault> each;
        for (const auto& error : errors) {
            each.push_back(support::failing(where, error));
        }
        for (const auto at_most : shorts) {
            each.push_back(support::falling_short(where, at_most));
        }
        for (auto& one : each) {
            for (one.nth = 1; one.nth <= calls; ++one.nth) {
                const auto report = run(on, played, {one});
                counted.add(one, !report.was_made || report.plan.met() != 0);
                check(report, played, one, most);
            }
        }
    }
}

} // namespace

TEST_CASE("fault sweep: whatever call fails in whatever way, all ends as it should") {
    support::on_every_ground({}, [](ground& on, support::rows&) {
        tally counted;
        for (const auto& played : support::scenarios()) {
            if (!played.needs_real_system || !on.is_simulated()) {
                sweep(on, played, counted);
            }
        }
        MESSAGE(on.name() << ": " << shown(counted));
        CHECK(counted.runs > 1000);
    });
}
