#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace sockeye::bench {

/// A saved run as its file has it, of the schema sockeye.bench/1.
struct run_document {
    std::string text; ///< the JSON
    nlohmann::json value;
};

/// Reads a file that `bench` saved, or a page that was made of it and holds the run. Throws
/// cli::command_error with exit_failed where it cannot be read, and with exit_usage where it is no
/// such file: with what its schema refuses.
[[nodiscard]] run_document read_run_document(const std::string& path);

} // namespace sockeye::bench
