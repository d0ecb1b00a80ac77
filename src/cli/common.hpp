#pragma once

#include "cli/text.hpp"
#include "cli/values.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/interest.hpp>
#include <sockeye/loop.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace sockeye::cli {

/// What the program tells the shell that started it.
enum exit_code : int {
    exit_done = 0,          ///< done; servers: stopped as asked
    exit_failed = 1,        ///< it ran and failed
    exit_usage = 2,         ///< bad command line, nothing was done
    exit_limit_crossed = 3, ///< a --fail-if limit was crossed
    exit_untrusted = 4,     ///< --strict or doctor: the result is not to be trusted
    exit_unavailable = 5,   ///< not available here: backend, kernel, transport
};

/// Ends a command: main prints `sockeye COMMAND: what()` as one line and exits with the code.
class command_error : public std::runtime_error {
public:
    command_error(exit_code code, const std::string& message)
        : std::runtime_error(message), code_(code) {}

    [[nodiscard]] exit_code code() const noexcept { return code_; }

private:
    exit_code code_;
};

enum class color_choice : std::uint8_t { automatic, always, never };

/// The options that every command knows, as they were given.
struct common_options {
    /// `automatic` where neither -b nor SOCKEYE_BACKEND named one.
    backend_kind backend = backend_kind::automatic;
    bool is_quiet = false;
    bool is_verbose = false;
    color_choice color = color_choice::automatic;
    /// Which addresses are wanted: -4, -6.
    ip_family family = ip_family::any;
};

/// Declares -q, -v and --color on `command`; the reader of the command line knows -h and -V.
void add_common_options(CLI::App& command, common_options& common);

/// Declares -b, --backend for a command that uses one backend.
void add_backend_option(CLI::App& command, common_options& common);

/// Declares -4 and -6 for a command that is given addresses.
void add_family_options(CLI::App& command, common_options& common);

/// An endpoint, or a host to be looked up, as it was typed behind a command.
///
/// With -6 a missing host, `*` and `localhost` are those of IPv6. Throws command_error with
/// exit_usage where it is none of the forms of endpoint::parse or not of the family asked for.
[[nodiscard]] endpoint_argument parse_address(const std::string& text,
                                              const common_options& common);

/// As above, for those that cannot look names up. Throws likewise.
[[nodiscard]] endpoint parse_endpoint(const std::string& text, const common_options& common);

/// How an address is shown: `tcp://example.org:80`.
[[nodiscard]] std::string name_of(const endpoint_argument& address);

/// A socket of datagrams that other machines can send to.
[[nodiscard]] bool is_public_udp(const endpoint& local);

/// What carries the bytes to an address that parse_address gave.
[[nodiscard]] transport carrier_of(const endpoint_argument& address);

/// The backend that -b, or else SOCKEYE_BACKEND, names. Throws command_error: exit_usage where
/// the variable names none, exit_unavailable where it cannot be used here.
[[nodiscard]] backend_kind chosen_backend(const common_options& common);

/// Throws command_error with exit_unavailable and the reason, where `kind` cannot be used here.
void require_usable(backend_kind kind);

/// A loop on chosen_backend() that queues at most so many bytes for all its peers together.
/// Throws command_error.
[[nodiscard]] loop open_loop(const common_options& common,
                             std::size_t queued_bytes_max = loop_options().queued_bytes_max);

/// Whether output to `fd` (1 or 2) may hold colours: --color, NO_COLOR, CLICOLOR_FORCE, TERM.
[[nodiscard]] bool wants_color(const common_options& common, int fd);

/// Whether what is written to `fd` is shown as UTF-8: it is a terminal, and the first of LC_ALL,
/// LC_CTYPE and LANG that is not empty names that. Elsewhere only ASCII is written, so that what
/// a script reads does not change with the locale.
[[nodiscard]] bool shows_utf8(int fd);

/// `text` for `fd`: where that shows UTF-8, its times have the sign for micro.
[[nodiscard]] std::string shown_on(int fd, std::string text);

/// Writes to standard output. Throws command_error where that fails.
void print(std::string_view text);

/// Throws the command_error of an option whose value is wrong: `--size '-5': must be ...`.
[[noreturn]] void refuse_value(std::string_view option, std::string_view text,
                               std::string_view why);

/// Declares an option whose value `parse`, a function as those of values.hpp, reads into `target`.
///
/// `names` is as CLI11 has it, the long name last: `-s,--size`. Example:
///     add_value(command, "-s,--size", plan.size, "SIZE", "bytes of a message",
///               [](std::string_view text) { return parse_size(text, {.least = 1}); });
template <typename T, typename Parse>
CLI::Option* add_value(CLI::App& command, const std::string& names, T& target,
                       const std::string& value_name, const std::string& help, Parse parse) {
    const auto read = [&target, names, parse](const std::string& text) {
        auto value = parse(std::string_view(text));
        if (!value) {
            refuse_value(names.substr(names.find("--")), text, value.message());
        }
        target = *value;
    };
    return command.add_option_function<std::string>(names, read, help)->type_name(value_name);
}

} // namespace sockeye::cli
