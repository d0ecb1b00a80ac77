#include "bench/export/documents.hpp"

#include "bench/packed.hpp"

#include <initializer_list>

namespace sockeye::bench::exporting {
namespace {

/// In JSON these stand in strings alone, and may be written so. See: RFC 8259, section 7.
std::string dump_for_html(const json& document) {
    const auto text = document.dump(-1, ' ', false, json::error_handler_t::replace);
    std::string made;
    made.reserve(text.size());
    for (const char c : text) {
        if (c == '<') {
            made += "\\u003c";
        } else if (c == '>') {
            made += "\\u003e";
        } else if (c == '&') {
            made += "\\u0026";
        } else {
            made += c;
        }
    }
    return made;
}

void keep_only(json& object, std::initializer_list<const char*> names) {
    json kept = json::object();
    for (const char* name : names) {
        if (object.contains(name)) {
            kept[name] = std::move(object[name]);
        }
    }
    object = std::move(kept);
}

void empty_histograms(json& document) {
    for (auto& result : document["results"]) {
        for (const char* name : {"histogram", "response_histogram"}) {
            if (result.contains(name)) {
                result[name]["pairs"] = json::array();
            }
        }
    }
}

template <typename Change>
void change_rounds(json& document, Change change) {
    for (auto& result : document["results"]) {
        for (auto& round : result["rounds"]) {
            change(round);
        }
    }
}

/// What a comparison needs, and the schema.
void keep_least(json& round) {
    for (const char* name : {"service_ns", "response_ns"}) {
        if (round.contains(name)) {
            keep_only(round[name], {"count", "p50", "p99"});
        }
    }
    if (round.contains("server")) {
        keep_only(round["server"], {"cpu_ns_per_message", "cpu_ns", "user_ns", "system_ns"});
    }
    keep_only(round["client"], {"busy"});
    for (const char* name : {"host", "send_lag_ns", "offered", "answered", "reordered"}) {
        round.erase(name);
    }
    for (const char* name : {"flags", "overloaded"}) {
        if (round.contains(name) && (round[name].empty() || round[name] == false)) {
            round.erase(name);
        }
    }
}

/// On one core it is the CPU time that is compared, on two the rest.
void leave_cpu_out(json& document) {
    for (auto& result : document["results"]) {
        for (auto& round : result["rounds"]) {
            if (result["placement"] != "one-core") {
                round.erase("server");
            } else {
                keep_only(round["service_ns"], {"count"});
            }
        }
    }
}

} // namespace

std::string embedded_run(const json& document, std::size_t room) {
    auto text = dump_for_html(document);
    if (text.size() <= room) {
        return text;
    }
    json thinned = document;
    struct step {
        void (*change)(json&);
        bool is_packed;
    };
    const step steps[] = {
        {empty_histograms, false},
        {[](json& all) { change_rounds(all, [](json& one) { one.erase("windows"); }); }, false},
        {[](json& all) { change_rounds(all, [](json& one) { one.erase("curve_ns"); }); }, false},
        {[](json& all) { change_rounds(all, keep_least); }, false},
        {[](json&) {}, true},
        {leave_cpu_out, true}};
    for (const auto& each : steps) {
        each.change(thinned);
        text = dump_for_html(each.is_packed ? packed(thinned) : thinned);
        if (text.size() <= room) {
            break;
        }
    }
    return text;
}

} // namespace sockeye::bench::exporting
