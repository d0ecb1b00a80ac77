#pragma once

#include "bench/plan.hpp"

#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sockeye::bench {

/// Tells on the standard error how far the run is: on a terminal in one line that is written
/// anew four times a second, elsewhere in one plain line for each finished round, or for programs
/// in lines of JSON.
class progress {
public:
    enum class form : std::uint8_t {
        none,
        terminal,
        lines,
        objects, ///< a line of JSON for each tenth of a second of a window
    };

    progress(form how, duration total);
    ~progress() { erase(); }
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    void begin_round(std::string_view test, std::size_t round, const round_count& rounds);
    void begin_lane(std::string_view name);
    /// Shows the rate of now; `messages` is what the window has brought so far. Cheap when called
    /// too often.
    void tick(std::uint64_t messages, duration since_start);
    void end_lane(double rate, duration planned);
    void end_round();
    /// So much of the plan is not needed.
    void skip(duration planned) noexcept { done_ += planned; }
    /// Takes the line away, before something else is printed.
    void erase();

private:
    void show(std::string_view detail);

    form form_;
    bool is_smooth_; ///< the bar, where blocks of an eighth can be shown
    duration total_;
    duration done_ = {}; ///< of the plan
    time_point last_shown_ = {};
    void tell_object(std::uint64_t messages, duration since_start);

    std::string test_;
    std::string round_;
    std::size_t round_number_ = 0;
    std::uint64_t told_messages_ = 0;
    duration told_until_ = {};
    std::string lane_;
    std::string lanes_done_;
    bool is_shown_ = false;
};

/// A bar so many columns wide, `share` of it filled: with `#`, or smoothly in blocks of UTF-8 that
/// are eighths of a column wide.
[[nodiscard]] std::string progress_bar(double share, std::size_t columns, bool is_smooth);

} // namespace sockeye::bench
