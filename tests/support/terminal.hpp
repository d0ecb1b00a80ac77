#pragma once

#include "support/program.hpp"

#include <sockeye/unique_fd.hpp>

#include <chrono>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace support {

/// A process on a pseudo terminal of its own, as somebody would use it who sits there: it is the
/// leader of its session, so that Ctrl-C reaches it. Its destructor kills what has not ended.
class terminal {
public:
    /// Where standard output is to lead; empty: to the terminal, as input and error do.
    explicit terminal(const words& command, const std::string& output_file = {});
    terminal(const terminal&) = delete;
    terminal& operator=(const terminal&) = delete;
    ~terminal();

    /// Types that; the terminal shows it and hands over whole lines. `\x03` and `\x04` are Ctrl-C
    /// and Ctrl-D.
    void type(std::string_view keys);
    /// Waits until `text` is shown, and gives all that was shown since the last such call, up to
    /// and with `text`; without it, what there is after `patience` or at the end. `\r` is left out.
    std::string shown_until(std::string_view text);
    /// Makes the window another one: SIGWINCH.
    void resize();

    /// Waits for the end; what was not asked for yet is in the output.
    outcome wait();

private:
    bool read_more(std::chrono::steady_clock::time_point deadline);

    pid_t id_ = -1;
    sockeye::unique_fd side_; ///< ours
    /// Without somebody at its other side a terminal may say that it has ended.
    sockeye::unique_fd keeper_;
    unsigned short columns_ = 80;
    std::string shown_;
};

} // namespace support
