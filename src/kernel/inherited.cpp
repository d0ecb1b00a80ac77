#include <sockeye/inherited.hpp>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace sockeye {
namespace {

constexpr int first_descriptor = 3;
constexpr int descriptors_max = 65'536; // more than a service manager gives; bounds a wrong number

/// What the variables say; they are gone when it goes.
struct variables {
    std::optional<std::string> process = get("LISTEN_PID");
    std::optional<std::string> count = get("LISTEN_FDS");
    std::optional<std::string> names = get("LISTEN_FDNAMES");

    variables() = default;
    variables(const variables&) = delete;
    variables& operator=(const variables&) = delete;
    ~variables() {
        for (const auto* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
            ::unsetenv(name);
        }
    }

    static std::optional<std::string> get(const char* name) {
        const char* value = std::getenv(name);
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    }
};

/// The whole of `text` as a number from 0 to `most`.
std::optional<long> number_in(std::string_view text, long most) {
    long value = 0;
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end || value < 0 || value > most) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::string> split(std::string_view names) {
    std::vector<std::string> parts;
    for (;;) {
        const auto end = names.find(':');
        parts.emplace_back(names.substr(0, end));
        if (end == std::string_view::npos) {
            return parts;
        }
        names.remove_prefix(end + 1);
    }
}

/// All of them, or none where one is not open.
std::error_code close_on_exec(int count) {
    for (int fd = first_descriptor; fd < first_descriptor + count; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) {
            return {errno, std::system_category()};
        }
    }
    for (int fd = first_descriptor; fd < first_descriptor + count; ++fd) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return {};
}

} // namespace

result<std::vector<inherited_descriptor>> inherited_listeners() {
    std::vector<inherited_descriptor> found;
    const variables said;
    if (!said.process || !said.count) {
        return found;
    }
    const auto process = number_in(*said.process, std::numeric_limits<pid_t>::max());
    const auto count = number_in(*said.count, descriptors_max);
    if (!process || !count) {
        return std::errc::invalid_argument;
    }
    if (*process != ::getpid()) {
        return found;
    }
    auto names = said.names ? split(*said.names)
                            : std::vector<std::string>(static_cast<std::size_t>(*count), "unknown");
    if (names.size() != static_cast<std::size_t>(*count)) {
        return std::errc::invalid_argument;
    }
    found.resize(names.size());
    if (const auto error = close_on_exec(static_cast<int>(*count))) {
        return error;
    }
    int fd = first_descriptor;
    for (std::size_t at = 0; at < names.size(); ++at) {
        found[at].name = std::move(names[at]);
        found[at].fd.reset(fd++);
    }
    return found;
}

} // namespace sockeye
