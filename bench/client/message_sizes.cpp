#include "bench/client/message_sizes.hpp"

#include "cli/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

constexpr std::uint64_t size_max = std::uint64_t{64} << 20;
constexpr std::uint64_t weight_max = 1'000'000;

/// Well mixed bits of a number: splitmix64, by Sebastiano Vigna.
std::uint64_t mix(std::uint64_t value) noexcept {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

} // namespace

message_sizes::message_sizes(std::size_t size)
    : parts_{{size, size, 1}}, weight_(1), least_(size), most_(size) {}

cli::parsed<message_sizes> message_sizes::parse(std::string_view text) {
    message_sizes made;
    made.parts_.clear();
    made.weight_ = 0;
    for (bool is_last = false; !is_last;) {
        const std::size_t comma = text.find(',');
        is_last = comma == std::string_view::npos;
        const auto read = parse_part(text.substr(0, comma));
        if (!read) {
            return cli::parsed<message_sizes>::wrong(read.message());
        }
        text.remove_prefix(is_last ? text.size() : comma + 1);
        const part& added = *read;
        made.least_ = made.parts_.empty() ? added.least : std::min(made.least_, added.least);
        made.most_ = made.parts_.empty() ? added.most : std::max(made.most_, added.most);
        made.weight_ += added.weight;
        made.parts_.push_back(added);
    }
    return made;
}

cli::parsed<message_sizes::part> message_sizes::parse_part(std::string_view text) {
    using result = cli::parsed<part>;
    part made;
    if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        const auto weight = cli::parse_count(text.substr(colon + 1), {1, weight_max});
        if (!weight) {
            return result::wrong("weight: " + weight.message());
        }
        made.weight = *weight;
        text = text.substr(0, colon);
    }
    const std::size_t dots = text.find("..");
    const auto least = cli::parse_size(text.substr(0, dots), {1, size_max});
    const auto most = dots == std::string_view::npos
                          ? least
                          : cli::parse_size(text.substr(dots + 2), {1, size_max});
    for (const auto* each : {&least, &most}) {
        if (!*each) {
            return result::wrong(each->message());
        }
    }
    if (*least > *most) {
        return result::wrong("the range ends before it begins");
    }
    made.least = static_cast<std::size_t>(*least);
    made.most = static_cast<std::size_t>(*most);
    return made;
}

double message_sizes::mean() const noexcept {
    double sum = 0;
    for (const auto& each : parts_) {
        sum += static_cast<double>(each.least + each.most) / 2 * static_cast<double>(each.weight);
    }
    return sum / static_cast<double>(weight_);
}

std::size_t message_sizes::draw(std::uint64_t connection, std::uint64_t sequence) const noexcept {
    const std::uint64_t drawn = mix(mix(connection) + sequence);
    std::uint64_t ticket = drawn % weight_;
    for (const auto& each : parts_) {
        if (ticket < each.weight) {
            return each.least + static_cast<std::size_t>(mix(drawn) % (each.most - each.least + 1));
        }
        ticket -= each.weight;
    }
    return most_;
}

std::string message_sizes::to_string() const {
    std::vector<std::string> texts;
    for (const auto& each : parts_) {
        auto text = cli::format_size(each.least);
        text += each.most > each.least ? " to " + cli::format_size(each.most) : "";
        if (parts_.size() > 1) {
            const double share = static_cast<double>(each.weight) / static_cast<double>(weight_);
            text += fmt::format(" ({:.3g} %)", share * 100);
        }
        texts.push_back(std::move(text));
    }
    return cli::join_and(texts);
}

} // namespace sockeye::bench
