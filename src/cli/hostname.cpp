#include "cli/commands.hpp"
#include "cli/host.hpp"

#include <memory>
#include <string>

namespace sockeye::cli {
namespace {

/// What was asked for on the command line.
struct hostname_request {
    bool wants_full_name = false;
    bool wants_addresses = false;
};

std::string name_or_error(const result<std::string>& name) {
    if (!name) {
        throw command_error(exit_failed, "the name of this machine: " + name.error().message());
    }
    return escape(*name, 1024) + "\n";
}

/// `192.0.2.1` of `tcp://192.0.2.1:0`, and `2001:db8::1` of `tcp://[2001:db8::1]:0`.
std::string host_of(const endpoint& address) {
    const auto text = address.to_string();
    const bool is_bracketed = address.family() == AF_INET6;
    const std::size_t first = text.find("://") + (is_bracketed ? 4 : 3);
    return text.substr(first, text.rfind(is_bracketed ? ']' : ':') - first);
}

std::string address_lines(ip_family wanted) {
    std::string page;
    for (const auto& one : interface_addresses()) {
        const auto family = one.family() == AF_INET6 ? ip_family::ipv6 : ip_family::ipv4;
        if (wanted == ip_family::any || wanted == family) {
            page += host_of(one) + "\n";
        }
    }
    if (page.empty()) {
        throw command_error(exit_failed, "no interface that is up has such an address, but for "
                                         "loopback and link-local ones");
    }
    return page;
}

std::string answer(const common_options& common, const hostname_request& asked) {
    if (asked.wants_addresses) {
        return address_lines(common.family);
    }
    if (common.family != ip_family::any) {
        throw command_error(exit_usage, "-4 and -6 choose among --addresses");
    }
    return name_or_error(asked.wants_full_name ? full_host_name() : host_name());
}

} // namespace

void add_hostname_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("hostname", "print this machine's name");
    command->footer("  sockeye hostname\n"
                    "  sockeye hostname --fqdn           with its domain\n"
                    "  sockeye hostname --addresses -4   under which others may reach it");
    auto asked = std::make_shared<hostname_request>();
    auto* full = command->add_flag("--fqdn", asked->wants_full_name,
                                   "the whole name, as the name service has it");
    command
        ->add_flag("--addresses", asked->wants_addresses,
                   "the addresses of its interfaces, one per line, without loopback and "
                   "link-local ones")
        ->excludes(full);
    add_family_options(*command, common);
    add_common_options(*command, common);
    command->callback([&common, asked, &exit_code] {
        print(answer(common, *asked));
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
