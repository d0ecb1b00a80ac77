#include "cli/fetch_output.hpp"

#include "cli/common.hpp"
#include "cli/host.hpp"

#include <sockeye/standard_streams.hpp>

#include <utility>

namespace sockeye::cli {
namespace {

constexpr int standard_output_fd = 1;

} // namespace

/// Hears what becomes of the standard output.
class fetch_output::session {
public:
    explicit session(fetch_output& owner) : owner_(owner) {}

    void on_data(stream&, bytes) {} // A terminal or a socket may say something; it is not for us.
    void on_writable(stream&) { owner_.told_.on_room(); }
    void on_close(stream&, const close_info& info) { owner_.hear_close(info); }

private:
    fetch_output& owner_;
};

fetch_output::fetch_output(loop& owner, std::string path, part_file::existing policy, listener told)
    : loop_(owner), told_(std::move(told)) {
    if (path != "-") {
        file_.emplace(std::move(path), policy);
    } else if (is_terminal(standard_output_fd)) {
        text_.emplace();
    }
}

void fetch_output::open() {
    if (file_) {
        file_->open();
        return;
    }
    auto opened = standard_output(loop_);
    if (!opened) {
        throw command_error(exit_failed, "standard output: " + opened.error().message());
    }
    standard_ = std::move(opened).value();
    standard_.attach<session>(*this);
}

bool fetch_output::write(std::string_view data) {
    if (file_) {
        file_->write(data);
        return true;
    }
    return standard_.write(text_ ? text_->add(data) : data) != write_status::above_high_mark;
}

void fetch_output::finish() {
    if (file_) {
        file_->finish();
        told_.on_finished();
        return;
    }
    if (text_) {
        standard_.write(text_->flush());
    }
    // Where it is over by now, hear_close() has been told or is about to be.
    (void)standard_.when_sent([this](std::error_code error) {
        if (!error) {
            told_.on_finished();
        }
    });
}

void fetch_output::hear_close(const close_info& info) {
    const bool has_failed = info.error && info.error != std::errc::broken_pipe &&
                            info.error != std::errc::connection_reset;
    if (has_failed) {
        throw command_error(exit_failed, "standard output: " + info.error.message());
    }
    told_.on_reader_left();
}

} // namespace sockeye::cli
