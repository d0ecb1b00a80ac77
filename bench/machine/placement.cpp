#include "bench/machine/placement.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string>
#include <utility>

namespace sockeye::bench {
namespace {

/// The lowest CPU of a list in a file; `otherwise` where there is none.
unsigned lowest(const system_files& files, const std::string& path, unsigned otherwise) {
    const auto sharing = parse_cpus(files.line(path).value_or(""));
    return sharing.empty() ? otherwise : *std::min_element(sharing.begin(), sharing.end());
}

/// Whether the whole name is `word` and digits.
bool is_numbered(const std::string& name, std::string_view word) {
    return name.size() > word.size() && name.starts_with(word) &&
           name.find_first_not_of("0123456789", word.size()) == std::string::npos;
}

cpu_place read_place(const system_files& files, const std::string& folder, unsigned cpu) {
    cpu_place place = {.cpu = cpu, .core = cpu, .socket = 0, .node = 0, .last_cache = cpu};
    place.core = lowest(files, folder + "/topology/thread_siblings_list", cpu);
    const auto socket = files.number(folder + "/topology/physical_package_id");
    place.socket = static_cast<unsigned>(socket.value_or(0));
    std::uint64_t deepest = 0;
    for (const auto& name : files.names(folder + "/cache")) {
        const auto cache = folder + "/cache/" + name;
        const auto level = files.number(cache + "/level").value_or(0);
        if (level > deepest) {
            deepest = level;
            place.last_cache = lowest(files, cache + "/shared_cpu_list", cpu);
        }
    }
    for (const auto& name : files.names(folder)) {
        if (is_numbered(name, "node")) {
            place.node = static_cast<unsigned>(std::stoul(name.substr(4, 6)));
        }
    }
    return place;
}

bool shares_core(unsigned cpu, const host::cpu_list& others, const topology& known) {
    return std::any_of(others.begin(), others.end(),
                       [&](unsigned other) { return known.share_core(cpu, other); });
}

/// How good a further CPU of the client is, the weightiest first; compared from the left.
std::array<bool, 5> score_of_client(unsigned cpu, unsigned first, const cpu_choice& chosen,
                                    const topology& known) {
    const auto* one = known.find(cpu);
    const auto* other = known.find(chosen.client.front());
    const bool is_known = one != nullptr && other != nullptr;
    return {!shares_core(cpu, chosen.server, known), !shares_core(cpu, chosen.client, known),
            !known.share_core(cpu, first), !is_known || one->node == other->node,
            !is_known || one->last_cache == other->last_cache};
}

/// How good a pair is, the weightiest first; compared from the left.
using score = std::array<bool, 7>;

score score_of(unsigned server, unsigned client, unsigned first, const topology& known) {
    const auto* one = known.find(server);
    const auto* other = known.find(client);
    const bool is_known = one != nullptr && other != nullptr;
    return {!known.share_core(server, client),
            server != client,
            server != first && client != first,
            server != first,
            !known.share_core(server, first) && !known.share_core(client, first),
            !is_known || one->node == other->node,
            !is_known || one->last_cache == other->last_cache};
}

} // namespace

const cpu_place* topology::find(unsigned cpu) const noexcept {
    const auto at =
        std::lower_bound(cpus.begin(), cpus.end(), cpu,
                         [](const cpu_place& each, unsigned wanted) { return each.cpu < wanted; });
    return at == cpus.end() || at->cpu != cpu ? nullptr : &*at;
}

bool topology::share_core(unsigned one, unsigned other) const noexcept {
    const auto* first = find(one);
    const auto* second = find(other);
    return one == other || (first != nullptr && second != nullptr && first->core == second->core);
}

std::size_t topology::count_cores() const {
    std::set<unsigned> cores;
    for (const auto& each : cpus) {
        cores.insert(each.core);
    }
    return cores.size();
}

std::size_t topology::count_sockets() const {
    std::set<unsigned> sockets;
    for (const auto& each : cpus) {
        sockets.insert(each.socket);
    }
    return sockets.size();
}

topology read_topology(const system_files& files) {
    const std::string folder = "/sys/devices/system/cpu";
    topology known;
    for (const auto& name : files.names(folder)) {
        const auto place = folder + "/" + name;
        // One that is offline has no topology.
        if (is_numbered(name, "cpu") && files.line(place + "/topology/thread_siblings_list")) {
            const auto cpu = parse_cpus(name.substr(3));
            if (!cpu.empty()) {
                known.cpus.push_back(read_place(files, place, cpu.front()));
            }
        }
    }
    std::sort(known.cpus.begin(), known.cpus.end(),
              [](const cpu_place& a, const cpu_place& b) { return a.cpu < b.cpu; });
    return known;
}

cpu_choice choose_cpus(const host::cpu_list& allowed, const topology& known,
                       const cpu_choice& given) {
    cpu_choice made = given;
    if (allowed.empty()) {
        return made;
    }
    // Where one side is given, its first CPU stands for it.
    const auto servers = given.server.empty() ? allowed : host::cpu_list{given.server.front()};
    const auto clients = given.client.empty() ? allowed : host::cpu_list{given.client.front()};
    std::pair<unsigned, unsigned> best = {servers.front(), clients.front()};
    auto best_score = score_of(best.first, best.second, allowed.front(), known);
    for (const unsigned server : servers) {
        for (const unsigned client : clients) {
            const auto found = score_of(server, client, allowed.front(), known);
            if (found > best_score) {
                best = {server, client};
                best_score = found;
            }
        }
    }
    if (made.server.empty()) {
        made.server = {best.first};
    }
    if (made.client.empty()) {
        made.client = {best.second};
    }
    return made;
}

void add_client_cpus(const host::cpu_list& allowed, const topology& known, std::size_t count,
                     cpu_choice& chosen) {
    const auto is_taken = [&chosen](unsigned cpu) {
        const auto in = [cpu](const host::cpu_list& list) {
            return std::find(list.begin(), list.end(), cpu) != list.end();
        };
        return in(chosen.server) || in(chosen.client);
    };
    host::cpu_list left;
    std::remove_copy_if(allowed.begin(), allowed.end(), std::back_inserter(left), is_taken);
    while (chosen.client.size() < count && !left.empty() && !chosen.client.empty()) {
        const auto best = std::max_element(left.begin(), left.end(), [&](unsigned a, unsigned b) {
            return score_of_client(a, allowed.front(), chosen, known) <
                   score_of_client(b, allowed.front(), chosen, known);
        });
        chosen.client.push_back(*best);
        left.erase(best);
    }
}

} // namespace sockeye::bench
