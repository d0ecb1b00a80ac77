#pragma once

#include <cassert>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace sockeye {

template <typename Signature>
class unique_function;

/// A callable that is moved, never copied. Empty until given one.
///
/// Captures of up to three pointers are kept inside and cost no allocation.
template <typename Result, typename... Args>
class unique_function<Result(Args...)> {
public:
    unique_function() = default;
    unique_function(std::nullptr_t) noexcept {}

    template <typename Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, unique_function> &&
             std::is_invocable_r_v<Result, std::decay_t<Callable>&, Args...>)
        unique_function(Callable&& callable) {
        using stored = std::decay_t<Callable>;
        if constexpr (fits_inside<stored>) {
            ::new (static_cast<void*>(room_)) stored(std::forward<Callable>(callable));
            operations_ = &inside<stored>;
        } else {
            ::new (static_cast<void*>(room_)) stored*(new stored(std::forward<Callable>(callable)));
            operations_ = &outside<stored>;
        }
    }

    unique_function(unique_function&& other) noexcept { take(other); }
    unique_function& operator=(unique_function&& other) noexcept {
        if (this != &other) {
            clear();
            take(other);
        }
        return *this;
    }
    ~unique_function() { clear(); }

    [[nodiscard]] explicit operator bool() const noexcept { return operations_ != nullptr; }

    /// Requires: not empty.
    Result operator()(Args... args) {
        assert(operations_ != nullptr);
        return operations_->call(room_, std::forward<Args>(args)...);
    }

private:
    struct operations {
        Result (*call)(void*, Args&&...);
        void (*move)(void* from, void* to) noexcept;
        void (*destroy)(void*) noexcept;
    };

    static constexpr std::size_t room_size = 3 * sizeof(void*);

    template <typename Stored>
    static constexpr bool fits_inside =
        sizeof(Stored) <= room_size &&
        alignof(Stored) <= alignof(void*) && std::is_nothrow_move_constructible_v<Stored>;

    template <typename Stored>
    static Stored& at(void* room) noexcept {
        return *std::launder(static_cast<Stored*>(room));
    }

    /// Drops what the callable returns where nothing is wanted.
    template <typename Stored>
    static Result invoke(Stored& callable, Args&&... args) {
        if constexpr (std::is_void_v<Result>) {
            static_cast<void>(std::invoke(callable, std::forward<Args>(args)...));
        } else {
            return std::invoke(callable, std::forward<Args>(args)...);
        }
    }

    template <typename Stored>
    static constexpr operations inside = {
        [](void* room, Args&&... args) -> Result {
            return invoke(at<Stored>(room), std::forward<Args>(args)...);
        },
        [](void* from, void* to) noexcept {
            ::new (to) Stored(std::move(at<Stored>(from)));
            at<Stored>(from).~Stored();
        },
        [](void* room) noexcept { at<Stored>(room).~Stored(); },
    };

    template <typename Stored>
    static constexpr operations outside = {
        [](void* room, Args&&... args) -> Result {
            return invoke(*at<Stored*>(room), std::forward<Args>(args)...);
        },
        [](void* from, void* to) noexcept { ::new (to) Stored*(at<Stored*>(from)); },
        [](void* room) noexcept { delete at<Stored*>(room); },
    };

    void take(unique_function& other) noexcept {
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_ != nullptr) {
            operations_->move(other.room_, room_);
        }
    }

    void clear() noexcept {
        if (const auto* old = std::exchange(operations_, nullptr)) {
            old->destroy(room_);
        }
    }

    alignas(void*) std::byte room_[room_size];
    const operations* operations_ = nullptr;
};

} // namespace sockeye
