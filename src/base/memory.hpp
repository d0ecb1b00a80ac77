#pragma once

#include <new>
#include <system_error>
#include <utility>

namespace sockeye {

/// What `call` gives, a std::error_code or a result; not_enough_memory where it throws bad_alloc.
template <typename Call>
auto without_throwing(Call&& call) -> decltype(call()) {
    try {
        return std::forward<Call>(call)();
    } catch (const std::bad_alloc&) {
        return std::make_error_code(std::errc::not_enough_memory);
    }
}

} // namespace sockeye
