#include "cli/method.hpp"

#include "bench/judge/checks.hpp"
#include "cli/roff.hpp"
#include "cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <span>
#include <vector>

namespace sockeye::cli {
namespace {

/// A word and what it means.
struct term {
    std::string_view name;
    std::string_view meaning;
};

struct section {
    std::string_view title;
    std::string_view text; ///< paragraphs, apart by a newline
    std::span<const term> terms = {};
};

constexpr std::string_view summary = "how sockeye bench measures, and what its words mean";

constexpr term definitions[] = {
    {"message", "So many bytes that the client sends and the server sends back. It is answered "
                "when its last byte is back and all of them are right."},
    {"service time", "From handing a message to the kernel to its answer."},
    {"response time", "From the moment a message was due to its answer. Only an open loop has it: "
                      "there the schedule says when each message is due."},
    {"send lag", "From the moment a message was due to the moment the client tried to send it: "
                 "the client's own lateness. It is part of the response time, and shown beside it "
                 "so that it can be judged."},
    {"percentile", "p99 is the time within which 99 of 100 messages were answered. It is shown "
                   "only where at least ten messages lie beyond it, and never averaged: the "
                   "messages of all rounds are counted together. It is at most 0.1 % too high, "
                   "and never too low."},
    {"rate", "Messages that were answered in the window, by its length."},
    {"CPU/msg", "User and system time of the server in the window, by the messages."},
    {"calls/msg", "Waits, reads, writes, registrations and accepts of the server, by the messages. "
                  "Servers on other libraries do not tell theirs."},
    {"sleeps/s, preempted/s", "How often the server waited, having nothing to do, and how often it "
                              "had to leave its CPU to another (voluntary and involuntary context "
                              "switches). Shown with -v, beside its page faults."},
    {"instr/msg, instr/cycle", "Instructions of the server in user space, by the messages and by "
                               "the cycles. Shown with -v where the CPU counts them and the kernel "
                               "lets us ask: many virtual machines have no counters."},
    {"ratio", "Times the baseline; above 1 is always better, whatever is compared."},
    {"control", "The baseline once more, as if it were another server. What the two differ by is "
                "the noise of the machine."},
};

constexpr term verdicts[] = {
    {"faster, slower", "The interval of the ratio leaves 1 out, lies wholly outside that of the "
                       "control, and the ratio is at least 2 % off."},
    {"same", "The interval lies within 3 % of 1, or within that of the control where this one is "
             "within 10 %."},
    {"unclear", "Neither: the interval is too wide. More rounds make it narrower."},
};

constexpr section sections[] = {
    {"DESCRIPTION",
     "sockeye bench starts a small echo server for each backend, sends it messages, and counts. "
     "This page says what the numbers of a result mean, how they were come by, and how far they "
     "can be trusted.",
     {}},
    {"DEFINITIONS", "", definitions},
    {"OPEN AND CLOSED LOOP",
     "In a closed loop each connection sends its next message when the last one is answered. It "
     "shows what a server can do at most. It is blind to waiting: where the server pauses, the "
     "client pauses too, and the messages that users would have sent meanwhile are never counted. "
     "Its times are therefore service times, and say little of what users would wait.\n"
     "In an open loop (--rate) messages are due at times that do not depend on the server. The "
     "schedule is made of a seed, a rate and a law of arrival, random (poisson) or even "
     "(constant), and is the same for every server. Each message is timed from the moment it was "
     "due, however late it was sent. Nothing is left out and no value is corrected afterwards. "
     "Messages without an answer at the end count with their age.\n"
     "Where more is offered than is answered, a queue grows for as long as the run lasts, and "
     "its percentiles would only tell how long that was. Then overload is shown in their place. "
     "So it is where --max-in-flight messages are on their way: then no more are sent, and the "
     "round ends with their answers.\n"
     "Times of an open and of a closed loop are never compared.",
     {}},
    {"ROUNDS AND ORDER",
     "A test is made of rounds, and each round runs every server once: a fresh process, then its "
     "connections, a warm-up that is not counted, the window that is, and an end in which nothing "
     "new is sent. Fresh processes matter because where memory happens to lie makes one process "
     "faster than the next, all its life.\n"
     "The order changes from round to round so that, as nearly as the rounds allow, every server "
     "takes every place and follows every other equally often. What the machine does for a while, "
     "such as warming up, then meets all of them alike. Servers are compared within a round, so "
     "that what changes between rounds falls out.\n"
     "The bytes of every answer are compared with what was sent, unless --no-verify is given; the "
     "first wrong one ends the run.",
     {}},
    {"STATISTICS",
     "Of each server the median of the rounds is shown, which one wild round does not move.\n"
     "For a ratio each round gives one: server by baseline. The estimate is the median of all "
     "means of two rounds (Hodges and Lehmann), and the interval that of the signed-rank test of "
     "Wilcoxon, exact and not approximated. It holds the true ratio in 95 of 100 runs; of the "
     "noise it assumes only that it leans to neither side. Six rounds are the least that have "
     "one.\n"
     "--rounds auto goes on until the interval of every ratio that a test is judged by reaches at "
     "most 2 % to either side, from 6 to 40 rounds, or until the test has taken 5 minutes. Who "
     "looks after every round, and stops when it looks good, is wrong more often than who decides "
     "before: its intervals are therefore of 99 %, which eight rounds are the least to have. The "
     "result says why each test ended.",
     {}},
    {"VERDICTS",
     "A verdict is given by a rule, not by eye. Where the interval of the control leaves 1 out, "
     "two identical servers can be told apart, so that nothing can be told: no verdicts.",
     verdicts},
    {"CPU TIME",
     "The server is a process of its own, so that the kernel tells its CPU time apart from the "
     "client's. It is read at the first and the last moment of the window. A server that runs "
     "already tells its own over sockeye serve --control.\n"
     "The sum of user and system time is exact, the split between the two is often only sampled "
     "at the tick of the clock. On loopback the kernel does the receiver's part of TCP in the "
     "sender's call: the sum over client and server is firm, the split is not. Interrupts count "
     "for whom they interrupt. Threads that the kernel makes for io_uring are the server's.\n"
     "On one core (--one-core) server and client take turns and nobody waits for another CPU: CPU "
     "per message is sharpest there, and a rate says nothing.",
     {}},
    {"PLACEMENT",
     "Unless --pin says otherwise, server and client get a core each, of the same memory and "
     "cache where that can be, never two threads of one core, and not the first CPU, which serves "
     "most interrupts. With two CPUs the server has the second and the client the first. What was "
     "measured in different places is not comparable.\n"
     "The client has one thread, or as many as --threads says, each on a CPU of its own where "
     "there "
     "are enough. --threads auto doubles them for as long as that brings at least 3 % more, in "
     "short rounds of the first test, as a closed loop against the baseline, before anything else "
     "is measured. With fewer than four CPUs it stays at one.",
     {}},
    {"TRUST",
     "Every result has a grade: A, nothing is to be said against it; B, there are notes; C, no "
     "verdicts. The grade is that of the worst flag. sockeye doctor looks for many of them before "
     "anything is measured, and names what mends them.",
     {}},
    {"LIMITS",
     "A loopback has no cable: loss, distance and network cards are not in the numbers.\n"
     "Echo is the least a server can do, so that differences between event loops are as large as "
     "they can be. Where a service does real work, they are smaller.\n"
     "A result is of one machine, one kernel and one day. The saved run holds what the machine "
     "was; sockeye compare shows what differs between two.\n"
     "A virtual machine shares its CPUs with strangers, and no tool inside can see all they do.",
     {}},
};

/// Calls `visit` for each paragraph.
template <typename Visit>
void for_each_paragraph(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const auto paragraph = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(paragraph.size() + 1, text.size()));
        visit(paragraph);
    }
}

struct flag_text {
    std::string name;
    std::string meaning;
};

flag_text describe_flag(const bench::flag_meaning& flag) {
    return {fmt::format("{}", flag.id),
            fmt::format("(grade {}) {} What to do: {}", flag.grade, flag.meaning, flag.remedy)};
}

std::string list_item(std::string_view name, std::string_view meaning) {
    return fmt::format(".It {}\n{}", roff_argument(name), roff_lines(meaning));
}

std::string terms_manual(const section& each) {
    std::string lines = ".Bl -tag -width Ds\n";
    for (const auto& one : each.terms) {
        lines += list_item(one.name, one.meaning);
    }
    return lines + ".El\n";
}

std::string flags_manual() {
    std::string lines = ".Pp\nThe flags are as follows:\n.Bl -tag -width Ds\n";
    for (const auto& flag : bench::flag_meanings()) {
        const auto told = describe_flag(flag);
        lines += list_item(told.name, told.meaning);
    }
    return lines + ".El\n";
}

std::string list_text(std::string_view name, std::string_view meaning) {
    constexpr std::size_t indent = 18;
    const auto left = fmt::format("  {}", name);
    const bool is_long = left.size() + 1 > indent;
    return left +
           (is_long ? "\n" + std::string(indent, ' ') : std::string(indent - left.size(), ' ')) +
           wrapped(meaning, indent);
}

} // namespace

std::string method_manual() {
    std::string page = fmt::format(".Dd {}\n.Dt SOCKEYE-METHOD 7\n.Os\n.Sh NAME\n"
                                   ".Nm sockeye-method\n.Nd {}\n",
                                   page_date, summary);
    for (const auto& each : sections) {
        page += fmt::format(".Sh {}\n", each.title);
        bool is_first = true;
        for_each_paragraph(each.text, [&](std::string_view paragraph) {
            page += (is_first ? "" : ".Pp\n") + roff_lines(paragraph);
            is_first = false;
        });
        page += each.terms.empty() ? "" : terms_manual(each);
        page += each.title == "TRUST" ? flags_manual() : "";
    }
    return page + ".Sh SEE ALSO\n.Xr sockeye 1 ,\n.Xr sockeye-bench 1 ,\n.Xr sockeye-compare 1 ,\n"
                  ".Xr sockeye-doctor 1\n";
}

std::string method_text() {
    auto page = fmt::format("sockeye-method: {}\n", summary);
    for (const auto& each : sections) {
        page += fmt::format("\n{}\n", each.title);
        bool is_first = true;
        for_each_paragraph(each.text, [&](std::string_view paragraph) {
            page += (is_first ? "  " : "\n  ") + wrapped(paragraph, 2);
            is_first = false;
        });
        page += each.terms.empty() || each.text.empty() ? "" : "\n";
        for (const auto& one : each.terms) {
            page += list_text(one.name, one.meaning);
        }
        if (each.title == "TRUST") {
            page += "\n";
            for (const auto& flag : bench::flag_meanings()) {
                const auto told = describe_flag(flag);
                page += list_text(told.name, told.meaning);
            }
        }
    }
    return page;
}

} // namespace sockeye::cli
