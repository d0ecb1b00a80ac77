#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::cli {

/// One header: its name as it was written, its value without the white space around it.
struct http_field {
    std::string name;
    std::string value;
};

/// The head of a response.
struct http_head {
    unsigned status = 0;
    /// As they came, without the ends of the lines: the status line, then one for each header.
    std::vector<std::string> lines;
    std::vector<http_field> fields;

    /// The first header of that name, in letters of any size; null where there is none.
    [[nodiscard]] const std::string* find(std::string_view name) const;
};

/// The bounds of what a server may send around a body.
struct http_limits {
    std::size_t head_bytes = 65536; ///< of one head
    std::size_t fields = 1000;
    std::size_t interim_heads = 16;      ///< of status 1xx, before the one that counts
    std::size_t chunk_line = 4096;       ///< a chunk's size and its extensions
    std::size_t extension_bytes = 65536; ///< of all chunks together
    std::size_t trailer_bytes = 65536;
};

/// Reads an HTTP/1.1 response as it comes, in pieces of any size. Knows nothing of sockets.
///
/// Keeps heads and lines, within http_limits, and nothing of a body. What RFC 9112 calls an error
/// is one here, also where others guess: two lengths that differ, a length beside chunks, folded
/// headers, spaces before a colon, control characters. A bare LF may end the lines of a head, and
/// nothing else.
class response_reader {
public:
    enum class kind : std::uint8_t {
        more, ///< `input` is used up, and the response goes on
        head, ///< head() is there; comes once
        body, ///< `body` is the next piece of it, and part of what `input` was
        end,  ///< the response is over; what is left in `input` does not belong to it
        error ///< message() says what is wrong; nothing else comes
    };
    struct piece {
        kind what = kind::more;
        std::string_view body;
    };

    /// `is_head_request`: the request was HEAD, whose answer has no body whatever it says.
    explicit response_reader(bool is_head_request, const http_limits& limits = {})
        : is_head_request_(is_head_request), limits_(limits) {}

    /// Takes the next piece from the front of `input`. To be called until it gives `more`, `end`
    /// or `error`.
    piece next(std::string_view& input);
    /// The server has ended the connection: `end` where that is how its response ends, else
    /// `error`.
    piece finish();

    /// Whether anything came.
    [[nodiscard]] bool has_begun() const {
        return has_head() || bytes_ != 0 || interim_ != 0 || !line_.empty();
    }
    /// Whether the head that counts is whole.
    [[nodiscard]] bool has_head() const { return is_head_given_; }
    /// Requires: `head` was given.
    [[nodiscard]] const http_head& head() const { return head_; }
    /// How long the body is to be; nothing where only its end will tell.
    [[nodiscard]] std::optional<std::uint64_t> length() const { return length_; }
    /// Bytes of the body so far.
    [[nodiscard]] std::uint64_t received() const { return received_; }
    [[nodiscard]] const std::string& message() const { return message_; }

private:
    enum class stage : std::uint8_t {
        head,
        counted,    ///< a body of a known length
        chunk_line, ///< the size of a chunk
        chunk,
        chunk_end, ///< CR LF behind the bytes of a chunk
        trailer,
        until_close,
        done,
        failed
    };

    piece read_head(std::string_view& input);
    piece read_counted(std::string_view& input);
    piece read_chunk_line(std::string_view& input);
    piece read_chunk_end(std::string_view& input);
    piece read_trailer(std::string_view& input);
    piece give_body(std::string_view& input, std::uint64_t most);

    bool take_line(std::string_view& input, std::size_t most);
    bool read_head_line();
    bool read_status_line(std::string_view line);
    bool read_field(std::string_view line);
    bool choose_framing();
    bool read_length();
    bool read_coding(const std::string& coding);
    bool read_chunk_size();
    bool fail(std::string message);
    [[nodiscard]] std::string early_end() const;
    piece failure() const { return {kind::error, {}}; }

    bool is_head_request_;
    http_limits limits_;
    stage stage_ = stage::head;
    http_head head_;
    std::string line_;           ///< the part of a line that has come
    std::size_t bytes_ = 0;      ///< of the head, or of the trailer
    std::size_t extensions_ = 0; ///< bytes of chunk extensions
    std::size_t interim_ = 0;    ///< heads of status 1xx
    bool is_old_ = false;        ///< HTTP/1.0
    bool is_head_given_ = false;
    std::optional<std::uint64_t> length_;
    std::uint64_t left_ = 0; ///< of a counted body, or of a chunk
    std::uint64_t received_ = 0;
    std::string message_;
};

/// Whether `name` may be the name of a header. See: token in RFC 9110 section 5.6.2.
[[nodiscard]] bool is_token(std::string_view name);

/// Whether both are the same but for the size of letters of ASCII.
[[nodiscard]] bool equals_ignoring_case(std::string_view left, std::string_view right);

} // namespace sockeye::cli
