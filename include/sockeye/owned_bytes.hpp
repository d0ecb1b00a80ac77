#pragma once

#include <sockeye/bytes.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace sockeye {

/// Bytes together with what keeps them: a stream sends them from where they lie, without a copy.
/// Move-only; whoever holds it last gives the memory back.
class owned_bytes {
public:
    /// Gives the memory back, on the thread that held it last.
    using release_function = void (*)(void* context) noexcept;

    owned_bytes() = default;
    /// Throws bad_alloc, as the next one, and then the content is gone.
    explicit owned_bytes(std::vector<std::byte> content) { keep(std::move(content)); }
    explicit owned_bytes(std::string content) { keep(std::move(content)); }
    /// Of memory from elsewhere: `release(context)` is called exactly once, when no one needs
    /// `content` any more. Lifetime: until then it neither moves nor changes.
    owned_bytes(bytes content, release_function release, void* context) noexcept
        : content_(content), release_(release), context_(context) {}

    owned_bytes(owned_bytes&& other) noexcept
        : content_(std::exchange(other.content_, {})),
          release_(std::exchange(other.release_, nullptr)),
          context_(std::exchange(other.context_, nullptr)) {}
    owned_bytes& operator=(owned_bytes&& other) noexcept {
        owned_bytes moved(std::move(other));
        std::swap(content_, moved.content_);
        std::swap(release_, moved.release_);
        std::swap(context_, moved.context_);
        return *this;
    }
    ~owned_bytes() {
        if (release_ != nullptr) {
            release_(context_);
        }
    }

    [[nodiscard]] bytes view() const noexcept { return content_; }
    [[nodiscard]] std::size_t size() const noexcept { return content_.size(); }
    [[nodiscard]] bool empty() const noexcept { return content_.empty(); }

private:
    template <typename Container>
    void keep(Container&& content) {
        auto* const kept = new Container(std::move(content));
        content_ = std::as_bytes(std::span(kept->data(), kept->size()));
        release_ = [](void* context) noexcept { delete static_cast<Container*>(context); };
        context_ = kept;
    }

    bytes content_;
    release_function release_ = nullptr;
    void* context_ = nullptr;
};

} // namespace sockeye
