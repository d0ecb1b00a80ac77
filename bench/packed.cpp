#include "bench/packed.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

using nlohmann::json;

constexpr const char* rows_key = "#rows";
constexpr const char* columns_key = "#columns";
constexpr const char* all_key = "#all";

/// More than any run has. A few bytes may stand for many values, and a page may come from anybody.
constexpr std::size_t cells_max = std::size_t{1} << 20;
constexpr std::size_t depth_max = 64;

json seven_digits(double value) {
    return std::strtod(fmt::format("{:.7g}", value).c_str(), nullptr);
}

bool is_table(const json& value) {
    return value.is_array() && value.size() > 1 &&
           std::ranges::all_of(value, [](const json& each) { return each.is_object(); }) &&
           std::ranges::any_of(value, [](const json& each) { return !each.empty(); });
}

bool is_simple(const json& value) {
    return !value.is_structured() || value.empty();
}

/// One value, if all are that, and it is a simple one.
json packed_column(const json& values) {
    const auto& first = values.front();
    if (is_simple(first) &&
        std::ranges::all_of(values, [&](const json& one) { return one == first; })) {
        return {{all_key, first}};
    }
    return packed(values);
}

json packed_table(const json& rows) {
    json columns = json::object();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (const auto& [name, value] : rows[i].items()) {
            auto& column = columns[name];
            if (column.is_null()) {
                column = std::vector<json>(rows.size());
            }
            column[i] = value;
        }
    }
    for (auto& column : columns) {
        column = packed_column(column);
    }
    return {{rows_key, rows.size()}, {columns_key, std::move(columns)}};
}

/// Throws where something is not what packed() makes.
class unpacker {
public:
    json value(const json& from, std::size_t depth = 0) {
        if (from.is_object() && from.contains(columns_key)) {
            return table(from, depth);
        }
        if (!from.is_structured()) {
            return from;
        }
        if (depth > depth_max) {
            throw std::length_error("too deep");
        }
        json made = from;
        for (auto& each : made) {
            each = value(each, depth + 1);
        }
        return made;
    }

private:
    json table(const json& from, std::size_t depth) {
        const auto count = from.at(rows_key).get<std::size_t>();
        take(count);
        json rows = std::vector<json>(count, json::object());
        for (const auto& [name, column] : from.at(columns_key).items()) {
            take(count);
            const bool is_same = column.is_object() && column.contains(all_key);
            const auto values =
                is_same ? json(count, simple(column.at(all_key))) : value(column, depth + 1);
            for (std::size_t i = 0; i < count; ++i) {
                if (!values.at(i).is_null()) {
                    rows[i][name] = values[i];
                }
            }
        }
        return rows;
    }

    static const json& simple(const json& value) {
        if (!is_simple(value)) {
            throw std::invalid_argument("a column of one value that is many");
        }
        return value;
    }

    void take(std::size_t cells) {
        if (cells > cells_left_) {
            throw std::length_error("too many values");
        }
        cells_left_ -= cells;
    }

    std::size_t cells_left_ = cells_max;
};

} // namespace

json packed(const json& value) {
    if (value.is_number_float()) {
        return seven_digits(value.get<double>());
    }
    if (is_table(value)) {
        return packed_table(value);
    }
    if (!value.is_structured()) {
        return value;
    }
    json made = value;
    for (auto& each : made) {
        each = packed(each);
    }
    return made;
}

std::optional<json> unpacked(const json& value) {
    try {
        return unpacker().value(value);
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

} // namespace sockeye::bench
