#pragma once

#include "posts.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace sockeye::micro {

/// What it costs to reach the loop of another thread, in each library that was found.
class post_table {
public:
    /// The libraries are made ready for threads, which some want before all else.
    post_table();

    /// One round, in which each library takes its turns with `count` posts.
    void take_turns(std::size_t count);
    /// The medians of all rounds.
    void print() const;

private:
    enum row : std::size_t { one_thread, across, wake, merged, back, rows };
    struct contender {
        make_posts* make;
        std::string name;
        bool coalesces;
        std::array<std::vector<double>, rows> figures;
    };

    void print_row(const char* title, row what, const char* unit) const;

    std::vector<contender> all_;
};

} // namespace sockeye::micro
