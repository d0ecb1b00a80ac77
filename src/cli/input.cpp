#include "cli/input.hpp"

#include "cli/common.hpp"
#include "cli/host.hpp"

#include <sockeye/error.hpp>
#include <sockeye/standard_streams.hpp>

#include <functional>
#include <utility>

namespace sockeye::cli {
namespace {

constexpr int standard_input_number = 0;

stream open_input(loop& owner) {
    auto made = standard_input(owner);
    if (!made) {
        throw command_error(exit_failed, made.error() == errc::not_pollable
                                             ? "standard input is a directory"
                                             : "standard input: " + made.error().message());
    }
    return std::move(made).value();
}

} // namespace

/// What standard input tells of itself.
class input_session {
public:
    explicit input_session(input& owner) : owner_(owner) {}

    void on_data(stream&, bytes in) { owner_.told_.received(in); }
    void on_end(stream&) { owner_.end({}); }
    void on_close(stream&, const close_info& info) { owner_.end(info.error); }

private:
    input& owner_;
};

input::input(loop& owner, events told) : told_(std::move(told)), link_(open_input(owner)) {
    link_.attach<input_session>(std::ref(*this));
}

void input::end(std::error_code error) {
    if (!std::exchange(has_ended_, true)) {
        told_.ended(error);
    }
}

bool input_is_terminal() noexcept {
    return is_terminal(standard_input_number);
}

} // namespace sockeye::cli
