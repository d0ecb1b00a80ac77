#include "cli/common.hpp"

#include "cli/host.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace sockeye::cli {
namespace {

std::vector<std::string_view> backend_names() {
    std::vector<std::string_view> names = {"auto"};
    for (const auto& entry : backends()) {
        names.push_back(entry.name);
    }
    return names;
}

/// The backend of that name; `source` says where the name comes from: `--backend`.
backend_kind named_backend(std::string_view source, std::string_view name) {
    const auto kind = parse_backend(name);
    if (!kind) {
        const auto hint = did_you_mean(name, backend_names());
        refuse_value(source, name,
                     hint.empty() ? kind.error().message() : "no backend has this name" + hint);
    }
    return *kind;
}

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view() : value;
}

color_choice parse_color(std::string_view text) {
    if (text == "auto") {
        return color_choice::automatic;
    }
    if (text == "always") {
        return color_choice::always;
    }
    if (text == "never") {
        return color_choice::never;
    }
    refuse_value("--color", text, "use auto, always or never");
}

/// The text with the host that IPv6 has in place of the one that is missing, `*` or `localhost`.
std::string with_ip6_host(const std::string& text) {
    const auto scheme = text.find("://");
    const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
    const auto port = text.find(':', host);
    if (port == std::string::npos || text.starts_with("unix")) {
        return text;
    }
    const auto named = text.substr(host, port - host);
    const std::string_view ip6 = named == "*" ? "[::]" : "[::1]";
    return named.empty() || named == "*" || named == "localhost"
               ? fmt::format("{}{}{}", text.substr(0, host), ip6, text.substr(port))
               : text;
}

void check_family(const endpoint& given, const std::string& text, ip_family wanted) {
    const bool is_ip = given.family() == AF_INET || given.family() == AF_INET6;
    if (wanted == ip_family::any || !is_ip) {
        return;
    }
    if ((given.family() == AF_INET6) != (wanted == ip_family::ipv6)) {
        refuse_value("endpoint", text,
                     wanted == ip_family::ipv6 ? "is an IPv4 address, and -6 asks for IPv6"
                                               : "is an IPv6 address, and -4 asks for IPv4");
    }
}

} // namespace

void add_common_options(CLI::App& command, common_options& common) {
    auto* quiet =
        command.add_flag("-q,--quiet", common.is_quiet, "print only the result or the error");
    auto* verbose = command.add_flag("-v,--verbose", common.is_verbose, "say more");
    quiet->excludes(verbose);
    command
        .add_option_function<std::string>(
            "--color", [&common](const std::string& text) { common.color = parse_color(text); },
            "colours: auto, always or never")
        ->type_name("WHEN");
}

void add_backend_option(CLI::App& command, common_options& common) {
    command
        .add_option_function<std::string>(
            "-b,--backend",
            [&common](const std::string& text) {
                common.backend = named_backend("--backend", text);
            },
            "what waits for events: auto, or a name that 'sockeye backends' prints; "
            "without it SOCKEYE_BACKEND decides")
        ->type_name("NAME");
}

void add_family_options(CLI::App& command, common_options& common) {
    auto* four = command.add_flag_callback(
        "-4,--ipv4", [&common] { common.family = ip_family::ipv4; }, "IPv4 addresses only");
    auto* six = command.add_flag_callback(
        "-6,--ipv6", [&common] { common.family = ip_family::ipv6; }, "IPv6 addresses only");
    four->excludes(six);
}

endpoint_argument parse_address(const std::string& text, const common_options& common) {
    endpoint_argument given(common.family == ip_family::ipv6 ? with_ip6_host(text) : text);
    if (given.get()) {
        check_family(*given.get(), text, common.family);
    } else if (given.host() == nullptr) {
        refuse_value("endpoint", text, given.get().error().message());
    }
    return given;
}

endpoint parse_endpoint(const std::string& text, const common_options& common) {
    const auto given = parse_address(text, common);
    if (!given.get()) {
        refuse_value("endpoint", text, given.get().error().message());
    }
    return *given.get();
}

std::string name_of(const endpoint_argument& address) {
    if (const auto* host = address.host()) {
        const auto name = escape(host->name);
        if (host->kind == transport::icmp) {
            return fmt::format("icmp://{}", name);
        }
        return fmt::format("{}://{}:{}", host->kind == transport::udp ? "udp" : "tcp", name,
                           host->port);
    }
    return address.get()->to_string();
}

bool is_public_udp(const endpoint& local) {
    return local.kind() == transport::udp && !local.is_loopback();
}

transport carrier_of(const endpoint_argument& address) {
    return address.host() != nullptr ? address.host()->kind : address.get()->kind();
}

backend_kind chosen_backend(const common_options& common) {
    if (common.backend != backend_kind::automatic) {
        return common.backend;
    }
    const auto named = variable("SOCKEYE_BACKEND");
    return named.empty() ? backend_kind::automatic : named_backend("SOCKEYE_BACKEND", named);
}

void require_usable(backend_kind kind) {
    const auto all = backends();
    const auto entry = std::ranges::find(all, kind, &backend_info::kind);
    if (entry != all.end() && !entry->is_usable) {
        throw command_error(exit_unavailable,
                            fmt::format("backend '{}' is not available here: {} (see 'sockeye "
                                        "backends')",
                                        entry->name, entry->reason));
    }
}

loop open_loop(const common_options& common, std::size_t queued_bytes_max) {
    const auto kind = chosen_backend(common);
    require_usable(kind);
    auto opened = loop::open({.backend = kind, .queued_bytes_max = queued_bytes_max});
    if (!opened) {
        throw command_error(exit_failed, "cannot make an event loop: " + opened.error().message());
    }
    return std::move(opened).value();
}

bool wants_color(const common_options& common, int fd) {
    if (common.color != color_choice::automatic) {
        return common.color == color_choice::always;
    }
    if (!variable("NO_COLOR").empty()) {
        return false;
    }
    const auto forced = variable("CLICOLOR_FORCE");
    if (!forced.empty() && forced != "0") {
        return true;
    }
    return is_terminal(fd) && variable("TERM") != "dumb";
}

bool shows_utf8(int fd) {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (const auto locale = variable(name); !locale.empty()) {
            return is_terminal(fd) && variable("TERM") != "dumb" && names_utf8(locale);
        }
    }
    return false;
}

std::string shown_on(int fd, std::string text) {
    return shows_utf8(fd) ? with_micro(std::move(text)) : text;
}

void print(std::string_view text) {
    if (const auto error = write_output(text)) {
        throw command_error(exit_failed, "standard output: " + error.message());
    }
}

void refuse_value(std::string_view option, std::string_view text, std::string_view why) {
    throw command_error(exit_usage, fmt::format("{} '{}': {}", option, escape(text, 60), why));
}

} // namespace sockeye::cli
