#include "support/faults.hpp"

namespace support {

namespace {

constexpr std::array<std::string_view, seam_calls> names = {"socket",
                                                            "bind",
                                                            "bind_with_mode",
                                                            "listen",
                                                            "accept",
                                                            "connect",
                                                            "shutdown_write",
                                                            "close",
                                                            "receive",
                                                            "send",
                                                            "send_gathered",
                                                            "send_file",
                                                            "read_at",
                                                            "send_with_descriptors",
                                                            "receive_with_descriptors",
                                                            "receive_message",
                                                            "credentials",
                                                            "describe",
                                                            "read",
                                                            "write",
                                                            "reopen",
                                                            "receive_datagrams",
                                                            "send_datagrams",
                                                            "set_option",
                                                            "get_option",
                                                            "info",
                                                            "pending_error",
                                                            "local_endpoint",
                                                            "peer_endpoint",
                                                            "transport_of",
                                                            "prepare",
                                                            "duplicate",
                                                            "steer_by_cpu",
                                                            "identify",
                                                            "remove_file",
                                                            "random_bits",
                                                            "remove_same_file",
                                                            "reserve",
                                                            "make_alarm",
                                                            "set_alarm",
                                                            "watch_process",
                                                            "resolve",
                                                            "make_wake_channel",
                                                            "wake",
                                                            "drain",
                                                            "add_signal",
                                                            "remove_signal",
                                                            "raw_socket",
                                                            "is_hung_up",
                                                            "identify_descriptor",
                                                            "make_blocking",
                                                            "fill_standard_descriptors",
                                                            "send_trains",
                                                            "receive_error",
                                                            "disconnect",
                                                            "set_datagram_option",
                                                            "get_datagram_option",
                                                            "change_membership",
                                                            "read_clock",
                                                            "reap_process",
                                                            "start_thread",
                                                            "add",
                                                            "modify",
                                                            "remove",
                                                            "wait"};

} // namespace

std::string_view name_of(seam_call call) noexcept {
    return names[static_cast<std::size_t>(call)];
}

const fault* fault_plan::meet(seam_call where, int fd) {
    ++counts_[static_cast<std::size_t>(where)];
    const fault* found = nullptr;
    for (auto& [what, matched] : planned_) {
        if (what.where != where || (what.fd != any_descriptor && what.fd != fd)) {
            continue;
        }
        ++matched;
        const bool is_met = matched >= what.nth && matched - what.nth < what.times;
        found = is_met && found == nullptr ? &what : found;
    }
    met_ += found == nullptr ? 0 : 1;
    return found;
}

} // namespace support
