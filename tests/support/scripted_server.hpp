#pragma once

#include "support/program.hpp"

#include <string>

namespace support {

/// A server in a few lines of Python, as beginners write them, on a free port or a path.
///
/// The script has `socket`, `struct`, `sys`, `time`, and makes its socket with `tcp()`, `udp()` or
/// `local(path, kind)`, which say where it is; `sys.argv[1:]` are the arguments. Its process ends
/// with this object.
class scripted_server {
public:
    explicit scripted_server(const std::string& script, const words& arguments = {});

    /// Where it listens: `tcp://127.0.0.1:4711`.
    [[nodiscard]] const std::string& place() const { return place_; }
    /// The next line that it prints.
    std::string line() { return process_.output_line(); }

private:
    process process_;
    std::string place_;
};

} // namespace support
