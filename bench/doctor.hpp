#pragma once

#include "bench/judge/checks.hpp"
#include "bench/machine/machine.hpp"

#include <string>
#include <vector>

namespace sockeye::bench {

/// What is known of a machine before anything is measured on it.
struct diagnosis {
    machine facts;
    build_facts build;
    std::vector<check> checks;

    /// Whether a run here could give verdicts.
    [[nodiscard]] bool is_fit() const noexcept;
};

/// Looks at the machine, for about a second.
[[nodiscard]] diagnosis examine();

struct page_style {
    bool has_color = false;
    bool is_verbose = false; ///< also what is long and seldom needed
    bool is_quiet = false;   ///< only what is wrong, and the last line
};

/// For people, at 80 columns.
[[nodiscard]] std::string diagnosis_text(const diagnosis& made, const page_style& style);
/// As one JSON object.
[[nodiscard]] std::string diagnosis_json(const diagnosis& made);

/// What a fact is called and means; nothing where `key` is none.
struct fact_words {
    std::string_view key;
    std::string_view label;
    std::string_view meaning;
};
[[nodiscard]] const fact_words* find_fact_words(std::string_view key) noexcept;

} // namespace sockeye::bench
