#pragma once

#include "cli/http.hpp"
#include "cli/url.hpp"
#include "cli/values.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sockeye::cli {

/// Reads a header as -H has it: `Accept: text/plain`. Refused are control characters, names that
/// are none, and headers by which a request says where it ends or what becomes of the connection.
parsed<http_field> parse_header(std::string_view text);

/// A request without a body.
struct http_request {
    http_url url;
    bool is_head = false;
    /// In place of our own Host, User-Agent and Accept where they have these names.
    std::vector<http_field> fields;

    /// The lines of the request, each with its CR LF, and the empty one.
    [[nodiscard]] std::string text() const;
};

/// The request that follows the redirect of `before` to `next`.
///
/// Another host or port hears none of the headers that were given for the first one, as they may
/// hold what only that one may know; but for those that say what answers are wanted.
[[nodiscard]] http_request redirected(const http_request& before, const http_url& next);

} // namespace sockeye::cli
