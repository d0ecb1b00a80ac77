#include "cli/output.hpp"

#include "cli/common.hpp"
#include "cli/host.hpp"

#include <sockeye/standard_streams.hpp>

#include <functional>
#include <utility>

namespace sockeye::cli {
namespace {

constexpr int standard_output_number = 1;

stream open_output(loop& owner) {
    // What one turn of the loop brings fits, and then whoever prints is told to wait.
    auto made = standard_output(owner, {.queue_max = std::size_t{64} << 20});
    if (!made) {
        throw command_error(exit_failed, "standard output: " + made.error().message());
    }
    return std::move(made).value();
}

} // namespace

/// What standard output tells of itself.
class output_session {
public:
    explicit output_session(output& owner) : owner_(owner) {}

    void on_data(stream&, bytes) {}
    void on_writable(stream&) { owner_.drained(); }
    void on_close(stream&, const close_info& info) { owner_.closed(info.error); }

private:
    output& owner_;
};

output::output(loop& owner, unique_function<void(std::error_code)> ended)
    : is_terminal_(cli::is_terminal(standard_output_number)), on_ended_(std::move(ended)),
      link_(open_output(owner)) {
    link_.attach<output_session>(std::ref(*this));
    // A terminal is open for reading too, and what is typed there is not ours to take.
    link_.pause();
}

void output::print(bytes said) {
    put(is_terminal_ ? text_.add(as_text(said)) : as_text(said));
}

void output::write(std::string_view text) {
    flush();
    put(text);
}

void output::end_line() {
    flush();
    if (!is_at_line_start_) {
        put("\n");
    }
}

void output::flush() {
    if (is_terminal_) {
        put(text_.flush());
    }
}

void output::finish(unique_function<void()> done) {
    flush();
    link_.when_sent([done = std::move(done)](std::error_code error) mutable {
        if (!error) {
            done();
        }
    });
}

void output::put(std::string_view text) {
    if (text.empty()) {
        return;
    }
    is_at_line_start_ = text.back() == '\n';
    is_full_ = link_.write(text) == write_status::above_high_mark || is_full_;
}

void output::drained() {
    is_full_ = false;
    if (on_drained_) {
        on_drained_();
    }
}

void output::closed(std::error_code error) {
    on_ended_(error ? error : std::make_error_code(std::errc::broken_pipe));
}

} // namespace sockeye::cli
