#include "cli/service.hpp"

namespace sockeye::cli {

std::span<const service> services() {
    static constexpr service table[] = {
        {.name = "echo",
         .summary = "bytes and datagrams back",
         .default_port = 7007,
         .has_datagrams = true,
         .waits_for_client = true,
         .start = start_echo},
        {.name = "discard",
         .summary = "reads and says nothing",
         .default_port = 7009,
         .has_datagrams = true,
         .waits_for_client = true,
         .start = start_discard},
        {.name = "chargen",
         .summary = "a pattern of characters without end",
         .default_port = 7019,
         .has_datagrams = true,
         .waits_for_client = false,
         .start = start_chargen},
        {.name = "daytime",
         .summary = "the time as a line",
         .default_port = 7013,
         .has_datagrams = true,
         .waits_for_client = false,
         .start = start_daytime},
        {.name = "time",
         .summary = "the time as four bytes",
         .default_port = 7037,
         .has_datagrams = true,
         .waits_for_client = false,
         .start = start_time},
        {.name = "timestamp",
         .summary = "what comes, behind the time",
         .default_port = 7070,
         .has_datagrams = true,
         .waits_for_client = true,
         .start = start_timestamp},
        {.name = "greet",
         .summary = "one line to whoever connects",
         .default_port = 7071,
         .has_datagrams = false,
         .waits_for_client = false,
         .start = start_greet},
        {.name = "hello",
         .summary = "greets each name",
         .default_port = 7072,
         .has_datagrams = true,
         .waits_for_client = true,
         .start = start_hello},
    };
    return table;
}

std::span<const std::string_view> small_services() {
    static constexpr std::string_view names[] = {"echo", "discard", "chargen", "daytime", "time"};
    return names;
}

} // namespace sockeye::cli
