#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <system_error>

namespace sockeye::cli {

/// Standard input on a loop, whatever it is: terminal, pipe, file or device.
///
/// Lifetime: dies before its loop.
class input {
public:
    struct events {
        unique_function<void(bytes)> received;
        /// Its end, once; with an error where it could not be read.
        unique_function<void(std::error_code)> ended;
    };

    /// Throws command_error where it cannot be read.
    input(loop& owner, events told);
    input(const input&) = delete;
    input& operator=(const input&) = delete;

    void pause() { link_.pause(); }
    void resume() { link_.resume(); }

private:
    friend class input_session;

    void end(std::error_code error);

    events told_;
    bool has_ended_ = false;
    stream link_;
};

/// Whether somebody types there.
[[nodiscard]] bool input_is_terminal() noexcept;

} // namespace sockeye::cli
