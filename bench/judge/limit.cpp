#include "bench/judge/limit.hpp"

#include "cli/text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace sockeye::bench {
namespace {

enum class unit : std::uint8_t { time, rate, count };

struct known_metric {
    std::string_view name;
    unit what;
};

constexpr std::array known_metrics = {
    known_metric{"rate", unit::rate},        known_metric{"p50", unit::time},
    known_metric{"p90", unit::time},         known_metric{"p99", unit::time},
    known_metric{"p999", unit::time},        known_metric{"p9999", unit::time},
    known_metric{"max", unit::time},         known_metric{"service_p50", unit::time},
    known_metric{"service_p99", unit::time}, known_metric{"cpu", unit::time},
    known_metric{"lag_p99", unit::time},     known_metric{"calls", unit::count},
    known_metric{"errors", unit::count},     known_metric{"lost", unit::count},
    known_metric{"unfinished", unit::count}, known_metric{"overloaded", unit::count},
};

cli::parsed<double> parse_value(std::string_view text, unit what) {
    using result = cli::parsed<double>;
    if (what == unit::time) {
        const auto time = cli::parse_time(text);
        return time ? result(static_cast<double>((*time).count())) : result::wrong(time.message());
    }
    if (what == unit::rate) {
        const auto rate = cli::parse_rate(text);
        if (rate && (*rate).what == cli::rate::kind::per_second) {
            return (*rate).value;
        }
        return result::wrong(rate ? "is of messages, as in 50k/s" : rate.message());
    }
    const auto count = cli::parse_count(text);
    return count ? result(static_cast<double>(*count)) : result::wrong(count.message());
}

} // namespace

const std::vector<std::string_view>& metric_names() {
    static const std::vector<std::string_view> names = [] {
        std::vector<std::string_view> made;
        for (const auto& each : known_metrics) {
            made.push_back(each.name);
        }
        return made;
    }();
    return names;
}

cli::parsed<limit> limit::parse(std::string_view text) {
    using result = cli::parsed<limit>;
    const std::size_t sign = text.find_first_of("<>");
    if (sign == std::string_view::npos) {
        return result::wrong("must be like p99>2ms, errors>0 or latency.rate<100k/s");
    }
    limit made;
    made.text = text;
    made.is_above = text[sign] == '>';
    auto name = text.substr(0, sign);
    if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos) {
        made.test = name.substr(0, dot);
        name.remove_prefix(dot + 1);
    }
    made.metric = name;
    const auto known = std::find_if(known_metrics.begin(), known_metrics.end(),
                                    [&](const auto& each) { return each.name == name; });
    if (known == known_metrics.end()) {
        const auto hint = cli::did_you_mean(name, metric_names());
        return result::wrong(fmt::format(
            "there is no number '{}'{}", cli::escape(name, 40),
            hint.empty() ? fmt::format("; there is {}", fmt::join(metric_names(), ", ")) : hint));
    }
    const auto value = parse_value(text.substr(sign + 1), known->what);
    if (!value) {
        return result::wrong(value.message());
    }
    made.value = *value;
    return made;
}

} // namespace sockeye::bench
