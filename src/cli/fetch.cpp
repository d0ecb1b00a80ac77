#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/fetch_output.hpp"
#include "cli/fetch_progress.hpp"
#include "cli/host.hpp"
#include "cli/http.hpp"
#include "cli/http_request.hpp"

#include <sockeye/stream.hpp>
#include <sockeye/timer.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace sockeye::cli {
namespace {

constexpr std::size_t redirects_max = 5;
constexpr std::size_t headers_max = 100;
constexpr duration fetch_talk_patience = std::chrono::seconds(1);

/// What was asked for on the command line.
struct fetch_request {
    http_request http;
    /// Where the body goes; `-` is the standard output.
    std::string output;
    part_file::existing policy = part_file::existing::keep;
    bool follows = false;
    std::uint64_t size_max = std::uint64_t{1} << 30;
    duration connect_timeout = std::chrono::seconds(10);
    duration idle_timeout = std::chrono::seconds(30);
};

bool is_redirect(unsigned status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Where to connect to for a URL. Throws command_error with exit_usage: not of the family asked
/// for.
endpoint_argument address_of(const http_url& url, const common_options& common) {
    return parse_address(fmt::format("tcp://{}:{}", url.host, url.port), common);
}

bool wants_progress(const common_options& common, bool goes_to_output) {
    const char* terminal = std::getenv("TERM");
    const bool is_dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
    const bool is_in_the_way = goes_to_output && is_terminal(1);
    return !common.is_quiet && !is_dumb && !is_in_the_way && is_terminal(2);
}

/// Lines of a peer, made fit for a terminal.
std::string shown_lines(const std::vector<std::string>& lines, std::string_view prefix = "") {
    // Each byte becomes four characters at most.
    constexpr std::size_t line_max = 4 * http_limits().head_bytes;
    std::string text;
    for (const auto& line : lines) {
        text += fmt::format("{}{}\n", prefix, escape(line, line_max));
    }
    return text;
}

/// The lines of the head of a request, but for the empty one.
std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (text.size() > 2) {
        const auto end = text.find("\r\n");
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 2);
    }
    return lines;
}

/// A fetch at work: the request, its answer, and those of the redirects.
class fetching {
public:
    fetching(const common_options& common, const fetch_request& asked);
    int run();

private:
    /// Hears of one connection.
    class session;

    void begin();
    void follow();
    void hear_open(stream& link);
    void hear_data(bytes data);
    void hear_end();
    void hear_close(const close_info& info);

    void take(const response_reader::piece& piece);
    void take_head();
    bool take_redirect();
    void take_body(std::string_view data);
    void complete();
    void end_exchange();
    void restart_idle();

    void show_head() const;
    void talk(const std::string& text) const;
    [[nodiscard]] int conclude() const;
    [[nodiscard]] std::string kept() const;
    [[noreturn]] void fail(const std::string& why) const;

    const common_options& common_;
    const fetch_request& asked_;
    http_request request_;
    std::vector<std::string> visited_;
    std::optional<http_url> redirect_;
    bool is_over_ = false; ///< of the exchange under way

    loop loop_;
    interruption interruption_;
    std::optional<fetch_output> output_;
    std::optional<fetch_progress> progress_;
    timer idle_;
    std::optional<response_reader> response_;
    stream link_;
    time_point began_ = clock::now();
};

class fetching::session {
public:
    explicit session(fetching& owner) : owner_(owner) {}

    void on_open(stream& link) { owner_.hear_open(link); }
    void on_data(stream&, bytes data) { owner_.hear_data(data); }
    void on_end(stream&) { owner_.hear_end(); }
    void on_close(stream&, const close_info& info) { owner_.hear_close(info); }

private:
    fetching& owner_;
};

fetching::fetching(const common_options& common, const fetch_request& asked)
    : common_(common), asked_(asked), request_(asked.http), loop_(open_loop(common)),
      interruption_(loop_, [this] { loop_.stop(); }), idle_(loop_) {
    if (!asked.http.is_head) {
        output_.emplace(loop_, asked.output, asked.policy,
                        fetch_output::listener{.on_room =
                                                   [this] {
                                                       link_.resume();
                                                       restart_idle();
                                                   },
                                               .on_reader_left = [this] { end_exchange(); },
                                               .on_finished = [this] { loop_.stop(); }});
        if (wants_progress(common, asked.output == "-")) {
            progress_.emplace(loop_);
        }
    }
}

int fetching::run() {
    try {
        do {
            begin();
            if (const auto error = loop_.run()) {
                throw command_error(exit_failed, "waiting for events: " + error.message());
            }
            follow();
        } while (!is_over_ && interruption_.exit_code(0) == 0);
    } catch (const command_error& error) {
        progress_.reset();
        throw command_error(error.code(), error.what() + kept());
    }
    progress_.reset();
    return conclude();
}

/// Sends the request.
void fetching::begin() {
    const auto& url = request_.url;
    visited_.push_back(url.to_string());
    is_over_ = false;
    response_.emplace(request_.is_head);
    const connect_options options = {.deadline = asked_.connect_timeout, .family = common_.family};
    link_ = connect<session>(loop_, address_of(url, common_), options, *this);
    link_.write(request_.text());
}

/// Where the answer was a redirect: the request is now the one to follow it.
void fetching::follow() {
    if (!redirect_) {
        return;
    }
    const auto next = *std::exchange(redirect_, std::nullopt);
    const auto name = next.to_string();
    if (std::ranges::find(visited_, name) != visited_.end()) {
        fail(fmt::format("redirects lead in a circle, back to {}", escape(name)));
    }
    if (visited_.size() > redirects_max) {
        fail(fmt::format("more than {} redirects; the last one leads to {}", redirects_max,
                         escape(name)));
    }
    try {
        (void)address_of(next, common_);
    } catch (const command_error& error) {
        fail(fmt::format("redirected to {}: {}", escape(name), error.what()));
    }
    if (!common_.is_quiet) {
        talk(fmt::format("redirected to {}\n", escape(name, 200)));
    }
    request_ = redirected(request_, next);
    is_over_ = false;
}

void fetching::hear_open(stream& link) {
    if (common_.is_verbose) {
        const auto peer = link.peer_endpoint();
        talk(fmt::format("connected to {}\n", peer ? peer.value().to_string() : "nobody"));
        talk(shown_lines(lines_of(request_.text()), "> "));
    }
    if (asked_.idle_timeout > duration::zero()) {
        idle_.start(asked_.idle_timeout, [this] {
            fail(fmt::format("{} {} (--idle-timeout)",
                             response_->has_head() || !response_->has_begun()
                                 ? "nothing came for"
                                 : "the head of the answer was not whole after",
                             format_time(asked_.idle_timeout)));
        });
    }
}

void fetching::restart_idle() {
    if (asked_.idle_timeout > duration::zero() && !is_over_) {
        idle_.restart(asked_.idle_timeout);
    }
}

void fetching::hear_data(bytes data) {
    if (response_->has_head()) {
        restart_idle();
    }
    auto input = as_text(data);
    while (!is_over_) {
        const auto piece = response_->next(input);
        take(piece);
        if (piece.what == response_reader::kind::more) {
            return;
        }
    }
}

void fetching::take(const response_reader::piece& piece) {
    switch (piece.what) {
    case response_reader::kind::more:
        break;
    case response_reader::kind::head:
        take_head();
        break;
    case response_reader::kind::body:
        take_body(piece.body);
        break;
    case response_reader::kind::end:
        complete();
        break;
    case response_reader::kind::error:
        fail(response_->message());
    }
}

void fetching::take_head() {
    if (take_redirect()) {
        return;
    }
    show_head();
    const auto length = response_->length();
    if (request_.is_head) {
        return;
    }
    if (length && *length > asked_.size_max) {
        fail(fmt::format("the body has {} bytes, more than the {} that --max-size allows", *length,
                         asked_.size_max));
    }
    output_->open();
    if (progress_) {
        progress_->start(length);
    }
}

/// False where the answer is one to be shown.
bool fetching::take_redirect() {
    const auto& head = response_->head();
    const auto* location = head.find("Location");
    if (!is_redirect(head.status) || location == nullptr) {
        return false;
    }
    auto next = resolve_location(request_.url, *location);
    if (!asked_.follows) {
        if (!common_.is_quiet) {
            talk(fmt::format("redirect to {} not followed; -L follows it\n",
                             escape(*location, 200)));
        }
        return false;
    }
    if (!next) {
        fail(fmt::format("redirected to '{}': {}", escape(*location, 100), next.message()));
    }
    redirect_ = *next;
    end_exchange();
    return true;
}

void fetching::take_body(std::string_view data) {
    if (response_->received() > asked_.size_max) {
        fail(fmt::format("the body is longer than the {} bytes that --max-size allows",
                         asked_.size_max));
    }
    if (!output_->write(data)) {
        // Whoever is to read it sets the pace, and the server cannot be blamed for that.
        link_.pause();
        idle_.cancel();
    }
    if (progress_) {
        progress_->set(response_->received());
    }
}

void fetching::complete() {
    is_over_ = true;
    idle_.cancel();
    link_.close();
    if (request_.is_head) {
        loop_.stop();
    } else {
        output_->finish();
    }
}

void fetching::end_exchange() {
    is_over_ = true;
    idle_.cancel();
    link_.abort();
    loop_.stop();
}

void fetching::hear_end() {
    if (!is_over_) {
        take(response_->finish());
    }
}

void fetching::hear_close(const close_info& info) {
    if (is_over_ || !info.error) {
        return;
    }
    if (info.reason != close_reason::connect_failed) {
        const auto what = info.error.message();
        fail(response_->has_head() ? fmt::format("{}, after {} of the body", what,
                                                 counted(response_->received(), "byte"))
                                   : what + " before the head of its answer was whole");
    }
    if (info.deadline == deadline_kind::connect) {
        fail(fmt::format("no connection within {} (--connect-timeout)",
                         format_time(asked_.connect_timeout)));
    }
    fail(describe_failure(address_of(request_.url, common_), info.error));
}

void fetching::show_head() const {
    if (common_.is_quiet && !request_.is_head) {
        return;
    }
    const auto text = shown_lines(response_->head().lines) + (request_.is_head ? "" : "\n");
    if (!request_.is_head && !output_->is_file()) {
        talk(text);
    } else {
        print(text);
    }
}

void fetching::talk(const std::string& text) const {
    write_talk(text, fetch_talk_patience);
}

int fetching::conclude() const {
    if (const int code = interruption_.exit_code(exit_done); code != exit_done) {
        throw command_error(static_cast<exit_code>(code), "interrupted" + kept());
    }
    const auto& head = response_->head();
    if (output_ && output_->is_file() && !common_.is_quiet) {
        const double seconds = std::chrono::duration<double>(clock::now() - began_).count();
        print(fmt::format("saved {} ({} in {:.3f} s)\n", escape(output_->file().place()),
                          counted(response_->received(), "byte"), seconds));
    }
    if (head.status >= 400) {
        fail(fmt::format("the server answered '{}'",
                         escape(std::string_view(head.lines.front()).substr(9))));
    }
    return exit_done;
}

/// The end of a line about a failure: what is left of the body.
std::string fetching::kept() const {
    if (!output_ || !output_->is_file() || !output_->file().is_partial()) {
        return {};
    }
    const auto count = output_->file().written();
    return fmt::format("; {} {} kept in {}", counted(count, "byte"), count == 1 ? "is" : "are",
                       escape(output_->file().place()));
}

void fetching::fail(const std::string& why) const {
    throw command_error(exit_failed, fmt::format("{}: {}", escape(request_.url.to_string()), why));
}

/// What stands behind -H, each checked.
std::vector<http_field> read_headers(const std::vector<std::string>& texts) {
    if (texts.size() > headers_max) {
        throw command_error(exit_usage, fmt::format("more than {} headers", headers_max));
    }
    std::vector<http_field> fields;
    for (const auto& text : texts) {
        auto field = parse_header(text);
        if (!field) {
            refuse_value("--header", text, field.message());
        }
        const bool is_second_host = equals_ignoring_case((*field).name, "Host") &&
                                    std::ranges::any_of(fields, [](const http_field& one) {
                                        return equals_ignoring_case(one.name, "Host");
                                    });
        if (is_second_host) {
            refuse_value("--header", text, "there can be one Host only");
        }
        fields.push_back(*field);
    }
    return fields;
}

/// The URL, and the name of the file where none was given.
void read_place(const std::string& text, bool has_output, fetch_request& asked) {
    auto url = parse_url(text);
    if (!url && url.message() == https_refusal) {
        throw command_error(exit_usage, url.message());
    }
    if (!url) {
        refuse_value("URL", text, url.message());
    }
    asked.http.url = *url;
    if (has_output || asked.http.is_head) {
        return;
    }
    auto name = file_name_of(text);
    if (!name) {
        refuse_value("URL", text, name.message());
    }
    asked.output = *name;
}

void add_fetch_limits(CLI::App& command, fetch_request& asked) {
    const auto read_time = [](std::string_view text) {
        return parse_time(text, {duration::zero(), std::chrono::hours(24 * 40)});
    };
    add_value(command, "--max-size", asked.size_max, "SIZE",
              "the longest body to take (default 1GiB)",
              [](std::string_view text) { return parse_size(text); });
    add_value(command, "--connect-timeout", asked.connect_timeout, "TIME",
              "give up after so long without a connection (default 10s; 0: when the system does)",
              read_time);
    add_value(command, "--idle-timeout", asked.idle_timeout, "TIME",
              "give up after so long without a byte from the server, or without the whole head of "
              "its answer (default 30s; 0: never)",
              read_time);
}

} // namespace

void add_fetch_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("fetch", "get a file over plain HTTP/1.1");
    command->footer(
        "  sockeye fetch http://localhost:8000/notes.txt   into notes.txt\n"
        "  sockeye fetch -L -o page http://localhost/      follow redirects, into page\n"
        "  sockeye fetch -qo - http://localhost:8000/log | tail -1");
    auto asked = std::make_shared<fetch_request>();
    auto* url = command->add_option("URL", "what to get: http://HOST[:PORT]/PATH")->required();
    auto* output = command
                       ->add_option("-o,--output", asked->output,
                                    "where the body goes; - is the standard output. Without it: "
                                    "named as the URL ends, or index.html")
                       ->type_name("FILE");
    auto* force =
        command->add_flag("-f,--force")->description("overwrite files that are there already");
    auto* headers = command->add_option("-H,--header", "send this header, too; may be repeated")
                        ->type_name("'K: V'")
                        ->expected(1, CLI::detail::expected_max_vector_size);
    auto* head = command->add_flag("-I,--head", asked->http.is_head, "show the headers alone");
    command->add_flag("-L,--location", asked->follows,
                      fmt::format("go where redirects lead, {} at most; headers of -H stay with "
                                  "the first host and port",
                                  redirects_max));
    add_fetch_limits(*command, *asked);
    add_backend_option(*command, common);
    add_family_options(*command, common);
    add_common_options(*command, common);
    head->excludes(output)->excludes(force);
    command->get_option("--verbose")->description("show the request, and who is connected to");
    command->callback([=, &common, &exit_code] {
        read_place(url->results().front(), output->count() > 0, *asked);
        if (output->count() > 0 && asked->output.empty()) {
            refuse_value("--output", "", "the name of the file is missing");
        }
        asked->http.fields = read_headers(headers->results());
        asked->policy =
            force->count() > 0 ? part_file::existing::replace : part_file::existing::keep;
        (void)address_of(asked->http.url, common);
        exit_code = fetching(common, *asked).run();
    });
}

} // namespace sockeye::cli
