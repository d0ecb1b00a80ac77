#include "cli/http.hpp"

#include "cli/text.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

constexpr std::uint64_t body_max = std::numeric_limits<std::int64_t>::max();

bool is_decimal(char c) {
    return c >= '0' && c <= '9';
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

std::string_view without_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// A control character other than the tab; CR is one, wherever it does not end a line.
bool has_forbidden(std::string_view text) {
    return std::ranges::any_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < ' ' && c != '\t') || byte == 0x7f;
    });
}

/// A whole number of `base`; nothing where it is none, or more than a body can have.
std::optional<std::uint64_t> read_number(std::string_view text, unsigned base) {
    std::uint64_t number = 0;
    for (const char c : text) {
        unsigned digit = base;
        if (is_decimal(c)) {
            digit = static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<unsigned>(c - 'A') + 10;
        }
        if (digit >= base || number > (body_max - digit) / base) {
            return std::nullopt;
        }
        number = number * base + digit;
    }
    return text.empty() ? std::nullopt : std::optional(number);
}

std::string no_http(std::string_view line) {
    return fmt::format("this is no HTTP server: it answered '{}'", escape(line, 40));
}

char small_letter(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

bool is_token(std::string_view name) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !name.empty() && std::ranges::all_of(name, [&](char c) {
        return is_decimal(c) || (small_letter(c) >= 'a' && small_letter(c) <= 'z') ||
               marks.find(c) != std::string_view::npos;
    });
}

bool equals_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, small_letter, small_letter);
}

const std::string* http_head::find(std::string_view name) const {
    const auto found = std::ranges::find_if(
        fields, [&](const http_field& field) { return equals_ignoring_case(field.name, name); });
    return found == fields.end() ? nullptr : &found->value;
}

response_reader::piece response_reader::next(std::string_view& input) {
    for (;;) {
        const auto before = stage_;
        piece got;
        switch (stage_) {
        case stage::head:
            got = read_head(input);
            break;
        case stage::counted:
        case stage::chunk:
            got = read_counted(input);
            break;
        case stage::chunk_line:
            got = read_chunk_line(input);
            break;
        case stage::chunk_end:
            got = read_chunk_end(input);
            break;
        case stage::trailer:
            got = read_trailer(input);
            break;
        case stage::until_close:
            return give_body(input, body_max - received_);
        case stage::done:
            return {kind::end, {}};
        case stage::failed:
            return failure();
        }
        // A stage that ended without anything to tell of leads to the next one.
        if (got.what != kind::more || stage_ == before) {
            return got;
        }
    }
}

response_reader::piece response_reader::finish() {
    switch (stage_) {
    case stage::until_close:
        stage_ = stage::done;
        return {kind::end, {}};
    case stage::done:
        return {kind::end, {}};
    case stage::failed:
        return failure();
    case stage::head:
        fail(early_end());
        return failure();
    default:
        fail(length_
                 ? fmt::format("the body is cut short: {} of {} bytes came", received_, *length_)
                 : fmt::format("the body is cut short: its last chunk never came, after {} "
                               "bytes",
                               received_));
        return failure();
    }
}

/// The connection ended within the head.
std::string response_reader::early_end() const {
    if (!has_begun()) {
        return "the server ended the connection without an answer";
    }
    const auto begun = std::string_view("HTTP/").substr(0, line_.size());
    if (head_.lines.empty() && !line_.starts_with(begun)) {
        return no_http(line_);
    }
    return "the server ended the connection in the middle of the head of its answer";
}

bool response_reader::fail(std::string message) {
    stage_ = stage::failed;
    message_ = std::move(message);
    line_.clear();
    return false;
}

/// Moves what belongs to the line from `input` to line_, its LF included. False where the line
/// goes on, or where it is longer than `most`: then line_ is, too.
bool response_reader::take_line(std::string_view& input, std::size_t most) {
    const auto end = input.find('\n');
    const auto whole = end == std::string_view::npos ? input.size() : end + 1;
    const auto taken = std::min(whole, most + 1 - std::min(line_.size(), most));
    line_.append(input.substr(0, taken));
    input.remove_prefix(taken);
    return line_.size() <= most && line_.ends_with('\n');
}

response_reader::piece response_reader::read_head(std::string_view& input) {
    while (!input.empty()) {
        const auto room = limits_.head_bytes - bytes_;
        if (!take_line(input, room)) {
            if (line_.size() > room) {
                fail(fmt::format("the head of the answer is longer than {} bytes",
                                 limits_.head_bytes));
                return failure();
            }
            return {};
        }
        bytes_ += line_.size();
        if (!read_head_line()) {
            return failure();
        }
        if (is_head_given_) {
            return {kind::head, {}};
        }
    }
    return {};
}

/// One line of the head; the empty one ends it.
bool response_reader::read_head_line() {
    std::string_view line = line_;
    line.remove_suffix(line.ends_with("\r\n") ? 2 : 1);
    if (line.empty() && !head_.lines.empty()) {
        line_.clear();
        bytes_ = 0;
        return choose_framing();
    }
    if (!(head_.lines.empty() ? read_status_line(line) : read_field(line))) {
        return false;
    }
    head_.lines.emplace_back(line);
    line_.clear();
    return true;
}

/// `HTTP/1.1 200 OK`; the reason may be missing, and the space before it then.
bool response_reader::read_status_line(std::string_view line) {
    const bool is_http = line.size() >= 8 && line.starts_with("HTTP/") && is_decimal(line[5]) &&
                         line[6] == '.' && is_decimal(line[7]);
    if (!is_http) {
        return fail(no_http(line));
    }
    if (line[5] != '1') {
        return fail(
            fmt::format("the server speaks {}, and this program HTTP/1.1 only", line.substr(0, 8)));
    }
    is_old_ = line[7] == '0';
    const auto status = line.size() >= 12 ? read_number(line.substr(9, 3), 10) : std::nullopt;
    const bool is_good = status && *status >= 100 && line[8] == ' ' &&
                         (line.size() == 12 || line[12] == ' ') && !has_forbidden(line);
    if (!is_good) {
        return fail(fmt::format("the server sent a bad status line: '{}'", escape(line, 60)));
    }
    head_.status = static_cast<unsigned>(*status);
    return true;
}

bool response_reader::read_field(std::string_view line) {
    if (is_blank(line.empty() ? 'x' : line.front())) {
        return fail("the server sent a header folded over several lines");
    }
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name)) {
        const bool has_space = colon != std::string_view::npos && is_token(without_blanks(name));
        return fail(fmt::format("the server sent a bad header{}: '{}'",
                                has_space ? ", with a space before the colon" : "",
                                escape(line, 60)));
    }
    const auto value = without_blanks(line.substr(colon + 1));
    if (has_forbidden(value)) {
        return fail(
            fmt::format("the server sent a control character in a header: '{}'", escape(line, 60)));
    }
    if (head_.fields.size() == limits_.fields) {
        return fail(fmt::format("the server sent more than {} headers", limits_.fields));
    }
    head_.fields.push_back({std::string(name), std::string(value)});
    return true;
}

/// The head is whole: how the body ends. See: RFC 9112 section 6.3.
bool response_reader::choose_framing() {
    if (head_.status == 101) {
        return fail("the server changed to another protocol, which nobody asked for");
    }
    if (head_.status < 200) {
        if (++interim_ > limits_.interim_heads) {
            return fail(
                fmt::format("the server sent more than {} interim answers", limits_.interim_heads));
        }
        head_ = {};
        return true;
    }
    const auto* coding = head_.find("Transfer-Encoding");
    if (!read_length() || (coding != nullptr && !read_coding(*coding))) {
        return false;
    }
    is_head_given_ = true;
    if (is_head_request_ || head_.status == 204 || head_.status == 304) {
        stage_ = stage::done;
    } else if (coding != nullptr) {
        stage_ = stage::chunk_line;
    } else if (length_) {
        left_ = *length_;
        stage_ = left_ == 0 ? stage::done : stage::counted;
    } else {
        stage_ = stage::until_close;
    }
    return true;
}

/// All Content-Lengths, each perhaps a list, have to say the same.
bool response_reader::read_length() {
    for (const auto& field : head_.fields) {
        if (!equals_ignoring_case(field.name, "Content-Length")) {
            continue;
        }
        for (std::size_t start = 0; start <= field.value.size();) {
            const auto comma = std::min(field.value.find(',', start), field.value.size());
            const auto text =
                without_blanks(std::string_view(field.value).substr(start, comma - start));
            const auto length = read_number(text, 10);
            if (!length) {
                return fail(fmt::format("the server sent a bad Content-Length: '{}'",
                                        escape(field.value, 60)));
            }
            if (length_ && *length_ != *length) {
                return fail(fmt::format("the server sent two different Content-Lengths: {} and {}",
                                        *length_, *length));
            }
            length_ = length;
            start = comma + 1;
        }
    }
    return true;
}

bool response_reader::read_coding(const std::string& coding) {
    const auto is_coding = [](const http_field& field) {
        return equals_ignoring_case(field.name, "Transfer-Encoding");
    };
    if (length_) {
        return fail("the server sent a Content-Length beside a Transfer-Encoding, which hides "
                    "where the answer ends");
    }
    if (is_old_) {
        return fail("the server sent a Transfer-Encoding, which HTTP/1.0 does not have");
    }
    if (std::ranges::count_if(head_.fields, is_coding) > 1 ||
        !equals_ignoring_case(coding, "chunked")) {
        return fail(fmt::format("the server sent the body in a Transfer-Encoding other than "
                                "chunked: '{}'",
                                escape(coding, 60)));
    }
    return true;
}

response_reader::piece response_reader::give_body(std::string_view& input, std::uint64_t most) {
    if (input.empty()) {
        return {};
    }
    const auto part =
        input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), most)));
    if (part.empty()) {
        fail("the body is longer than anything can be");
        return failure();
    }
    input.remove_prefix(part.size());
    received_ += part.size();
    return {kind::body, part};
}

/// A whole body or a chunk of it.
response_reader::piece response_reader::read_counted(std::string_view& input) {
    const auto got = give_body(input, left_);
    left_ -= got.body.size();
    if (left_ == 0) {
        stage_ = stage_ == stage::chunk ? stage::chunk_end : stage::done;
    }
    return got;
}

response_reader::piece response_reader::read_chunk_line(std::string_view& input) {
    if (!take_line(input, limits_.chunk_line)) {
        if (line_.size() <= limits_.chunk_line) {
            return {};
        }
        fail("the server sent the size of a chunk in too long a line");
        return failure();
    }
    if (!read_chunk_size()) {
        return failure();
    }
    line_.clear();
    stage_ = left_ == 0 ? stage::trailer : stage::chunk;
    return {};
}

/// `1f` or `1F;name=value`, and CR LF.
bool response_reader::read_chunk_size() {
    std::string_view line = line_;
    const bool ends_well = line.ends_with("\r\n");
    line.remove_suffix(ends_well ? 2 : 1);
    const auto semicolon = std::min(line.find(';'), line.size());
    auto digits = line.substr(0, semicolon);
    const auto extension = line.substr(semicolon);
    if (!extension.empty()) {
        while (digits.ends_with(' ') || digits.ends_with('\t')) {
            digits.remove_suffix(1);
        }
    }
    const auto size = read_number(digits, 16);
    if (!ends_well || !size || has_forbidden(extension) || *size > body_max - received_) {
        return fail(fmt::format("the server sent a bad size of a chunk: '{}'", escape(line_, 40)));
    }
    extensions_ += extension.size();
    if (extensions_ > limits_.extension_bytes) {
        return fail("the server sent too many chunk extensions");
    }
    left_ = *size;
    return true;
}

response_reader::piece response_reader::read_chunk_end(std::string_view& input) {
    while (!input.empty() && line_.size() < 2) {
        line_ += input.front();
        input.remove_prefix(1);
        if (line_ != (line_.size() == 1 ? "\r" : "\r\n")) {
            fail("the server sent a chunk that is longer than its size says");
            return failure();
        }
    }
    if (line_.size() == 2) {
        line_.clear();
        stage_ = stage::chunk_line;
    }
    return {};
}

/// Headers behind the last chunk: they have to be good ones, and are dropped.
response_reader::piece response_reader::read_trailer(std::string_view& input) {
    while (!input.empty()) {
        const auto room = limits_.trailer_bytes - bytes_;
        if (!take_line(input, room)) {
            if (line_.size() > room) {
                fail("the server sent too long a trailer");
                return failure();
            }
            return {};
        }
        if (line_ == "\r\n") {
            stage_ = stage::done;
            line_.clear();
            return {kind::end, {}};
        }
        bytes_ += line_.size();
        std::string_view line = line_;
        if (!line.ends_with("\r\n")) {
            fail("the server sent a line of the trailer that does not end in CR LF");
            return failure();
        }
        line.remove_suffix(2);
        if (!read_field(line)) {
            return failure();
        }
        head_.fields.pop_back();
        line_.clear();
    }
    return {};
}

} // namespace sockeye::cli
