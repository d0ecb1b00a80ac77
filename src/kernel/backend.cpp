#include "kernel/backend.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace sockeye {
namespace {

constexpr backend_features none = {};
constexpr backend_features level_only = {.edge = false, .early_close = true, .exclusive = false};
constexpr backend_features all = {.edge = true, .early_close = true, .exclusive = true};

constexpr backend_entry table[] = {
#if defined(__linux__)
    {backend_kind::epoll, "epoll", all, "any number of descriptors", make_epoll_backend},
#else
    {backend_kind::epoll, "epoll", all, "needs Linux", nullptr},
#endif
#if defined(SOCKEYE_HAVE_KQUEUE)
    {backend_kind::kqueue,
     "kqueue",
     {.edge = true, .early_close = false, .exclusive = false},
     "any number of descriptors",
     make_kqueue_backend},
#else
    {backend_kind::kqueue, "kqueue", none, "needs macOS, a BSD, or a build with libkqueue",
     nullptr},
#endif
    {backend_kind::poll, "poll", level_only, "each wait costs time proportional to the descriptors",
     make_poll_backend},
    {backend_kind::select, "select", none,
     "each wait costs time proportional to the highest descriptor", make_select_backend},
};

bool is_usable(const backend_entry& entry) {
    return entry.make != nullptr && entry.make().has_value();
}

std::vector<backend_info> probe_all() {
    std::vector<backend_info> found;
    for (const auto& entry : table) {
        found.push_back({entry.kind, entry.name, is_usable(entry), entry.notes, entry.features});
    }
    return found;
}

} // namespace

std::span<const backend_entry> backend_table() noexcept {
    return table;
}

std::span<const backend_info> backends() {
    static const std::vector<backend_info> found = probe_all();
    return found;
}

result<backend_kind> parse_backend(std::string_view name) {
    if (name == "auto") {
        return backend_kind::automatic;
    }
    const auto* entry = std::ranges::find(table, name, &backend_entry::name);
    if (entry == std::end(table)) {
        return errc::backend_unknown;
    }
    return entry->kind;
}

std::string_view to_string(backend_kind kind) noexcept {
    const auto* entry = std::ranges::find(table, kind, &backend_entry::kind);
    return entry == std::end(table) ? "auto" : entry->name;
}

result<const backend_entry*> choose_backend(backend_kind kind) {
    const char* named = std::getenv("SOCKEYE_BACKEND");
    if (kind == backend_kind::automatic && named != nullptr && *named != '\0') {
        const auto parsed = parse_backend(named);
        if (!parsed) {
            return parsed.error();
        }
        kind = *parsed;
    }
    for (const auto& entry : table) {
        const bool is_chosen =
            kind == backend_kind::automatic ? is_usable(entry) : kind == entry.kind && entry.make;
        if (is_chosen) {
            return &entry;
        }
    }
    return errc::backend_unavailable;
}

} // namespace sockeye
