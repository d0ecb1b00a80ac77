#include "net/output_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

using sockeye::output_queue;

namespace {

std::string next_text(std::mt19937& random, std::size_t size_max) {
    std::string text(1 + random() % size_max, '\0');
    std::ranges::generate(text, [&] { return static_cast<char>(random()); });
    return text;
}

std::string text_of(std::span<const sockeye::bytes> parts) {
    std::string text;
    for (const auto& part : parts) {
        text += sockeye::as_text(part);
    }
    return text;
}

/// Reads the file that comes first, which lies in `content`, as a stream without sendfile does.
void read_chunk(sockeye::queued_file& file, const std::string& content, std::size_t size) {
    file.chunk = std::make_unique<std::byte[]>(size);
    const auto part = std::string_view(content).substr(file.offset, std::min(size, file.left));
    std::ranges::copy(sockeye::as_bytes(part), file.chunk.get());
    file.begin = 0;
    file.end = part.size();
}

/// Consumes all, and holds it to the model.
void drain(output_queue& queue, const std::string& content, std::string& model) {
    while (!queue.empty()) {
        if (auto* const file = queue.file_to_read()) {
            read_chunk(*file, content, 600);
        }
        std::array<sockeye::bytes, 64> room;
        const auto front = text_of(std::span(room).first(queue.gather(room)));
        REQUIRE_FALSE(front.empty());
        CHECK(front == model.substr(0, front.size()));
        queue.consume(front.size());
        model.erase(0, front.size());
    }
}

} // namespace

TEST_CASE("output_queue: gives every piece in order, whatever is consumed of it") {
    std::mt19937 random(3);
    const auto content = next_text(random, 1) + std::string(5000, 'f') + next_text(random, 2000);
    output_queue queue;
    std::string model;
    int released = 0;
    int given = 0;
    std::vector<std::string> kept(4000);
    for (std::size_t step = 0; step < kept.size(); ++step) {
        auto& text = kept[step] = next_text(random, 900);
        switch (model.size() > 20'000 ? 9 : random() % 4) {
        case 0:
            queue.append(sockeye::as_bytes(text));
            model += text;
            break;
        case 1: {
            const auto sent = random() % text.size();
            queue.append({sockeye::as_bytes(text),
                          [](void* count) noexcept { ++*static_cast<int*>(count); }, &released},
                         sent);
            model += text.substr(sent);
            ++given;
            break;
        }
        case 2: {
            const auto offset = random() % 4000;
            const auto length = 1 + random() % 1000;
            queue.append(sockeye::unique_fd(), offset, length);
            model += content.substr(offset, length);
            break;
        }
        default:
            break;
        }
        if (auto* const file = queue.file_to_read()) {
            read_chunk(*file, content, 1 + random() % 600);
        }
        std::array<sockeye::bytes, 5> room;
        const auto parts = std::span(room).first(queue.gather(room));
        const auto front = text_of(parts);
        REQUIRE(queue.size() == model.size());
        REQUIRE(front == model.substr(0, front.size()));
        REQUIRE((front.empty() == model.empty()));
        REQUIRE(queue.weight() >= queue.size());
        const auto count = random() % 3 == 0 ? front.size() : random() % (front.size() + 1);
        queue.consume(count);
        model.erase(0, count);
    }
    drain(queue, content, model);
    CHECK(given > 100);
    CHECK(released == given);
    CHECK(queue.weight() == 0);
}

TEST_CASE("output_queue: a file counts little, an entry a little more than its bytes") {
    output_queue queue;
    queue.append(sockeye::as_bytes("12345"));
    CHECK(queue.weight() == 5);
    queue.append(sockeye::unique_fd(), 0, std::size_t{1} << 30);
    CHECK(queue.size() == (std::size_t{1} << 30) + 5);
    CHECK(queue.weight() < output_queue::file_weight_max + 200);
    const auto before = queue.weight();
    queue.consume(1000);
    CHECK(before - queue.weight() == 5);
    queue.append(sockeye::owned_bytes(std::string("abc")), 0);
    CHECK(queue.weight() > before - 5 + 3);
}

TEST_CASE("output_queue: what has descriptors begins a call, and they are closed with its first "
          "byte") {
    output_queue queue;
    queue.append(sockeye::as_bytes("plain"));
    std::vector<sockeye::unique_fd> along(2);
    queue.append(sockeye::as_bytes("unit"), std::move(along));
    queue.append(sockeye::as_bytes(" and more"));
    CHECK(queue.descriptor_count() == 2);
    CHECK(queue.descriptors() == nullptr);
    std::array<sockeye::bytes, 8> room;
    CHECK(text_of(std::span(room).first(queue.gather(room))) == "plain");
    queue.consume(5);
    REQUIRE(queue.descriptors() != nullptr);
    CHECK(queue.descriptors()->size() == 2);
    CHECK(text_of(std::span(room).first(queue.gather(room))) == "unit and more");
    queue.consume(1);
    CHECK(queue.descriptors() == nullptr);
    CHECK(queue.descriptor_count() == 0);
    CHECK(text_of(std::span(room).first(queue.gather(room))) == "nit and more");
}
