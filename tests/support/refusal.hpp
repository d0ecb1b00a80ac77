#pragma once

#include "support/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace support {

/// A command line that is to be refused.
struct malformed {
    words arguments;
    std::string message; ///< the whole line, or its beginning where it ends in `...`
};

/// A command line for a report.
inline std::string shown(const words& arguments) {
    std::string text;
    for (const auto& word : arguments) {
        text += " '" + word.substr(0, 60) + "'";
    }
    return text;
}

/// One line that says who speaks and what is wrong, and nothing on standard output.
inline void check_refusal(const outcome& ended, int status, std::string message) {
    CHECK(ended.status == status);
    CHECK(ended.output.empty());
    CHECK(std::ranges::count(ended.talk, '\n') == 1);
    CHECK(ended.talk.size() <= 400);
    CHECK(std::ranges::all_of(ended.talk,
                              [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
    if (message.ends_with("...")) {
        message.resize(message.size() - 3);
        CHECK(ended.talk.substr(0, message.size()) == message);
    } else {
        CHECK(ended.talk == message + "\n");
    }
}

} // namespace support
