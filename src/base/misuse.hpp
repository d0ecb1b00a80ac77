#pragma once

#include <string_view>

namespace sockeye {

/// Says on stderr, in one line, what the program does wrong with which object, and aborts. For
/// asserts at the entries of what users call, so that it costs nothing where there are none:
///
///     assert(is_own_thread() || misuse("timer", "is used on another thread"));
///
/// Comes back, with true, only where a test listens.
bool misuse(std::string_view object, std::string_view mistake) noexcept;

/// Hears of misuse instead, and the program goes on as it does without asserts.
using misuse_listener = void (*)(std::string_view object, std::string_view mistake);
/// For tests; null brings back what was. Says who listened before.
misuse_listener listen_to_misuse(misuse_listener listener) noexcept;

/// Notes for as long as it lives that what is at `place` lives, so that what outlived it can find
/// out. Needs no memory and no lock. Threads: any.
class life_mark {
public:
    explicit life_mark(const void* place) noexcept;
    life_mark(const life_mark&) = delete;
    life_mark& operator=(const life_mark&) = delete;
    ~life_mark();

    /// False where nothing lives there. Where very many live at once, true for all.
    [[nodiscard]] static bool is_at(const void* place) noexcept;

private:
    const void* place_;
};

} // namespace sockeye
