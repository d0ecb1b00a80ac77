#include "support/scripts.hpp"

#include "simulation/random.hpp"

#include <algorithm>
#include <array>
#include <ostream>
#include <sstream>
#include <string_view>

namespace scripts {
namespace {

using sockeye::simulated::random_source;

constexpr std::array<std::string_view, 3> carrier_names = {"tcp4", "tcp6", "local"};
constexpr std::array<std::string_view, manners> manner_names = {
    "raw",     "quiet",  "echo",    "greeter", "flooder",   "deaf",
    "endless", "closer", "aborter", "thrower", "destroyer", "taker"};
constexpr std::array<std::string_view, verbs> verb_names = {
    "serve",  "pause_server", "resume_server", "drain_server",  "close_server", "drop_server",
    "dial",   "call",         "say",           "finish",        "reset",        "hang_up",
    "ignore", "listen",       "write",         "shutdown",      "close",        "abort",
    "pause",  "resume",       "drop",          "take",          "renew",        "open",
    "join",   "send",         "pause_socket",  "resume_socket", "close_socket", "start",
    "repeat", "cancel",       "pass",          "post",          "turn"};

template <typename Name, typename Value>
std::string_view name_of(const Name& names, Value value) {
    return names[static_cast<std::size_t>(value)];
}

/// How often each verb is drawn.
struct weight {
    verb does;
    unsigned share;
};
constexpr weight weights[] = {
    {verb::dial, 8},          {verb::call, 8},         {verb::say, 16},
    {verb::finish, 4},        {verb::reset, 2},        {verb::hang_up, 3},
    {verb::ignore, 3},        {verb::listen, 3},       {verb::write, 14},
    {verb::shutdown, 4},      {verb::close, 3},        {verb::abort, 2},
    {verb::pause, 4},         {verb::resume, 4},       {verb::drop, 2},
    {verb::take, 3},          {verb::renew, 3},        {verb::pause_server, 2},
    {verb::resume_server, 2}, {verb::drain_server, 1}, {verb::close_server, 1},
    {verb::drop_server, 1},   {verb::serve, 2},        {verb::open, 3},
    {verb::join, 2},          {verb::send, 8},         {verb::pause_socket, 1},
    {verb::resume_socket, 1}, {verb::close_socket, 1}, {verb::start, 3},
    {verb::repeat, 2},        {verb::cancel, 1},       {verb::post, 3},
    {verb::pass, 2},
};

/// Draws one script.
class author {
public:
    explicit author(std::uint64_t seed) : random_(seed) {}

    script write() {
        made_.is_hasty = below(4) == 0;
        add(verb::serve).of = servers_++;
        const auto length = 4 + below(28);
        while (made_.operations.size() < length) {
            add(draw_verb());
            fill(made_.operations.back());
            if (made_.is_hasty) {
                for (auto turns = below(3); turns > 0; --turns) {
                    add(verb::turn);
                }
            }
        }
        return std::move(made_);
    }

private:
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(bound)); }
    int index(int bound) { return static_cast<int>(below(static_cast<std::size_t>(bound))); }

    operation& add(verb does) {
        auto& one = made_.operations.emplace_back();
        one.does = does;
        if (does == verb::serve) {
            one.over = static_cast<carrier>(below(3));
            one.as = static_cast<manner>(below(manners));
        }
        return one;
    }

    verb draw_verb() {
        unsigned all = 0;
        for (const auto& [does, share] : weights) {
            all += share;
        }
        auto at = below(all);
        for (const auto& [does, share] : weights) {
            if (at < share) {
                return does;
            }
            at -= share;
        }
        return verb::turn;
    }

    /// Most are small; some are more than a buffer of the loop or of the system holds.
    std::size_t bytes() {
        constexpr std::size_t magnitudes[] = {10, 10, 1000, 1000, 16384, 16384, 100'000, 300'000};
        return 1 + below(magnitudes[below(std::size(magnitudes))]);
    }

    void fill(operation& one) {
        switch (one.does) {
        case verb::serve:
            one.of = servers_ < servers_max ? servers_++ : index(servers_max);
            break;
        case verb::pause_server:
        case verb::resume_server:
        case verb::drain_server:
        case verb::close_server:
        case verb::drop_server:
            one.of = index(servers_);
            if (one.does == verb::drain_server) {
                one.size = below(2) == 0 ? below(1000) : 3'600'000;
            }
            break;
        case verb::dial:
        case verb::call:
            one.of = links_ < links_max ? links_++ : index(links_max);
            one.to = index(servers_);
            break;
        default:
            one.of = index(std::max(links_, 1));
            one.side = static_cast<side>(below(2));
            break;
        }
        fill_size(one);
        if (one.does == verb::call || one.does == verb::take || one.does == verb::renew) {
            one.as = static_cast<manner>(1 + below(manners - 1));
        }
    }

    void fill_size(operation& one) {
        switch (one.does) {
        case verb::say:
        case verb::write:
            one.size = bytes();
            break;
        case verb::open:
        case verb::join:
        case verb::send:
        case verb::pause_socket:
        case verb::resume_socket:
        case verb::close_socket:
            one.side = {};
            one.of = index(sockets_max);
            one.to = one.does == verb::open ? 0 : index(sockets_max);
            one.over = one.does == verb::open ? static_cast<carrier>(below(3)) : carrier::tcp4;
            one.as = one.does != verb::send && below(3) == 0 ? manner::echo : manner::quiet;
            one.size = one.does == verb::send ? below(4) * below(500) : 0;
            break;
        case verb::start:
        case verb::repeat:
        case verb::cancel:
        case verb::pass:
        case verb::post:
            one.side = {};
            one.of = index(timers_max);
            one.size = 1 + below(3000);
            break;
        default:
            break;
        }
    }

    random_source random_;
    script made_;
    int servers_ = 0;
    int links_ = 0;
};

/// What is left of `what` without `count` steps from `first` on.
script without(const script& what, std::size_t first, std::size_t count) {
    auto left = what;
    const auto begin = left.operations.begin() + static_cast<std::ptrdiff_t>(first);
    left.operations.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
    return left;
}

/// Leaves out as many steps as can be, in groups that halve. False where none could.
bool leave_out(script& what, const std::function<bool(const script&)>& fails) {
    const auto before = what.operations.size();
    for (auto group = std::max<std::size_t>(before / 2, 1); group > 0; group /= 2) {
        for (auto end = what.operations.size(); end > 0;) {
            const auto first = end - std::min(group, end);
            auto smaller = without(what, first, end - first);
            if (fails(smaller)) {
                what = std::move(smaller);
            }
            end = first;
        }
    }
    return what.operations.size() != before;
}

/// Plainer forms of a step, the plainest first.
std::vector<operation> plainer(const operation& one) {
    std::vector<operation> forms;
    const auto add = [&](auto&& change) {
        auto form = one;
        change(form);
        if (!(form == one)) {
            forms.push_back(form);
        }
    };
    for (const auto size : {std::size_t{1}, one.size / 2, one.size - one.size / 10}) {
        if (one.size > 1 && size > 0 && size < one.size) {
            add([&](operation& form) { form.size = size; });
        }
    }
    add([](operation& form) { form.over = carrier::tcp4; });
    add([](operation& form) { form.side = side::calling; });
    if (one.as != manner::raw) {
        add([](operation& form) { form.as = manner::echo; });
    }
    return forms;
}

bool make_plainer(script& what, const std::function<bool(const script&)>& fails) {
    bool did = false;
    for (std::size_t at = 0; at < what.operations.size(); ++at) {
        for (const auto& form : plainer(what.operations[at])) {
            auto other = what;
            other.operations[at] = form;
            if (fails(other)) {
                what = std::move(other);
                did = true;
                break;
            }
        }
    }
    return did;
}

void print(std::ostream& out, const operation& one) {
    const operation plain;
    out << "{.does = verb::" << name_of(verb_names, one.does);
    if (one.of != plain.of) {
        out << ", .of = " << one.of;
    }
    if (one.to != plain.to) {
        out << ", .to = " << one.to;
    }
    if (one.side != plain.side) {
        out << ", .side = side::accepting";
    }
    if (one.over != plain.over) {
        out << ", .over = carrier::" << name_of(carrier_names, one.over);
    }
    if (one.as != plain.as) {
        out << ", .as = manner::" << name_of(manner_names, one.as);
    }
    if (one.size != plain.size) {
        out << ", .size = " << one.size;
    }
    out << "}";
}

} // namespace

script draw(std::uint64_t seed) {
    return author(seed).write();
}

std::ostream& operator<<(std::ostream& out, const script& what) {
    out << "run_script({.is_hasty = " << (what.is_hasty ? "true" : "false")
        << ",\n            .operations = {\n";
    for (const auto& one : what.operations) {
        out << "                ";
        print(out, one);
        out << ",\n";
    }
    return out << "            }});\n";
}

std::string listing(const script& what) {
    std::ostringstream out;
    out << what;
    return out.str();
}

script shrink(script what, const std::function<bool(const script&)>& fails) {
    while (leave_out(what, fails) || make_plainer(what, fails)) {
    }
    return what;
}

} // namespace scripts
