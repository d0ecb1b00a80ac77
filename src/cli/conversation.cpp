#include "cli/conversation.hpp"

namespace sockeye::cli {
namespace {

std::string_view name_of(deadline_kind passed) noexcept {
    switch (passed) {
    case deadline_kind::first_byte:
        return "it said nothing";
    case deadline_kind::idle:
        return "idle for too long";
    case deadline_kind::rate:
    case deadline_kind::write:
        return "it reads too slowly";
    case deadline_kind::lifetime:
        return "open for too long";
    case deadline_kind::none:
    case deadline_kind::connect:
    case deadline_kind::shutdown:
    case deadline_kind::linger:
        break;
    }
    return "it took too long";
}

} // namespace

std::string ending_of(const close_info& info) {
    if (!info.error) {
        return "closed";
    }
    return info.deadline == deadline_kind::none
               ? "failed: " + info.error.message()
               : "closed here: " + std::string(name_of(info.deadline));
}

} // namespace sockeye::cli
