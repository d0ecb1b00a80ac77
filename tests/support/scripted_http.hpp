#pragma once

#include <sockeye/unique_fd.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// What a scripted_http says on one connection, when it has read a request.
struct script {
    enum class ending : std::uint8_t {
        close,
        reset,
        hold ///< until the peer has closed
    };

    std::vector<std::string> parts;
    ending end = ending::close;
    /// Runs between the first part and the second.
    std::function<void()> after_first = {};
    /// From one part to the next.
    std::chrono::milliseconds apart{0};
};

/// Answers each connection, one after another, with the next of its scripts, byte by byte as it
/// is written there; behind the last one it accepts none.
class scripted_http {
public:
    explicit scripted_http(std::vector<script> scripts, const char* address = "127.0.0.1");
    scripted_http(const scripted_http&) = delete;
    scripted_http& operator=(const scripted_http&) = delete;
    ~scripted_http();

    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// `http://127.0.0.1:PORT` and `path`.
    [[nodiscard]] std::string url(const std::string& path) const;
    /// The heads of the requests so far.
    [[nodiscard]] std::vector<std::string> requests() const;
    /// Bytes that the system took of the answers.
    [[nodiscard]] std::uint64_t sent() const { return sent_; }

private:
    void answer_all();
    void answer(int link, const script& one);
    bool send_part(int link, const std::string& part);
    bool wait_for(int fd, short events) const;
    bool wait_apart(std::chrono::milliseconds time) const;

    std::vector<script> scripts_;
    std::string address_;
    std::uint16_t port_ = 0;
    sockeye::unique_fd listener_;
    sockeye::unique_fd stop_reader_;
    sockeye::unique_fd stop_writer_;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::atomic<std::uint64_t> sent_{0};
    std::thread thread_;
};

} // namespace support
