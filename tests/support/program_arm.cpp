#include "support/program_arm.hpp"

#include "support/support.hpp"

#include <sockeye/datagram.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace support {
namespace {

using sockeye::endpoint;
using sockeye::transport;

/// Well below the smallest mark at which a socket stops being writable.
constexpr std::size_t sure_to_fit = 16'000;

/// Each byte says whose it is, and nearly where it stands in what that one says.
std::byte said(unsigned born, std::size_t at) noexcept {
    return static_cast<std::byte>((born & 15U) << 4 | static_cast<unsigned>(at % 13));
}

std::string text_of(std::error_code error) {
    return error ? error.message() : "ok";
}

std::string bytes_text(std::size_t count) {
    return std::to_string(count) + " bytes";
}

endpoint parse(const std::string& text) {
    return endpoint::parse(text).value();
}

} // namespace

bool outcome::operator==(const outcome& other) const {
    return to_string(*this) == to_string(other);
}

std::string to_string(const outcome& one) {
    auto text = one.text;
    for (const auto& event : one.events) {
        text += (text.empty() ? "" : ", ") + std::to_string(event.key) + " is";
        text += event.readable ? " readable" : "";
        text += event.writable ? " writable" : "";
        text += event.read_closed ? " read_closed" : "";
        text += event.hangup ? " hangup" : "";
        text += event.error ? " error" : "";
    }
    return text;
}

program_arm::program_arm(ground& on, sockeye::datagram_batch& batch, std::uint64_t seed)
    : on_(on), system_(on.system()), batch_(batch), backend_(on.make_backend()),
      address_("127." + std::to_string(1 + seed / 64516 % 250) + '.' +
               std::to_string(1 + seed / 254 % 254) + '.' + std::to_string(1 + seed % 254)) {}

program_arm::~program_arm() {
    for (auto& it : members_) {
        if (it.fd) {
            // Nothing of it stays behind on the machine.
            static_cast<void>(
                system_.set_option(it.fd.get(), sockeye::socket_option::linger_reset, 1));
        }
    }
    for (const auto* const name : {"first_path", "second_path", "dead_path", "missing_path"}) {
        static_cast<void>(system_.remove_file(on_.path(name)));
    }
}

/// More is under way than surely fits, or has filled a buffer to a mark.
bool program_arm::is_stuffed() const {
    return is_stuffed_ || std::ranges::any_of(sent_, [&](const auto& one) {
               const auto found = heard_.find(one.first);
               return one.second - (found == heard_.end() ? 0 : found->second) > sure_to_fit;
           });
}

outcome program_arm::perform(const step& one) {
    outcome result;
    result.is_stuffed = is_stuffed();
    is_unsettled_ |= result.is_stuffed;
    if (one.what == verb::wait) {
        // What was held up may arrive after the last byte was read.
        result.is_stuffed = std::exchange(is_unsettled_, result.is_stuffed);
        wait(result);
    } else if (one.what == verb::make) {
        result.text = make(one);
    } else if (auto& it = at(one.on); it.fd) {
        result.text = call(one, it);
    } else {
        result.text = "no socket";
    }
    result.is_stuffed |= is_stuffed();
    return result;
}

std::string program_arm::call(const step& one, member& it) {
    const int fd = it.fd.get();
    switch (one.what) {
    case verb::bind:
        return text_of(system_.bind(fd, find(one, it.kind)));
    case verb::listen:
        return text_of(system_.listen(fd, static_cast<int>(one.amount)));
    case verb::connect:
        return connect(one, it);
    case verb::accept:
        return accept(one, it);
    case verb::send:
        return send(one, it);
    case verb::send_to:
        return send_to(one, it);
    case verb::fill:
        return fill(it);
    case verb::receive:
        return receive(one.amount, it);
    case verb::receive_datagrams:
        return receive_datagrams(it);
    case verb::drain:
        return drain(it);
    case verb::shutdown_write:
        it.is_shut = true;
        return text_of(system_.shutdown_write(fd));
    case verb::close:
        static_cast<void>(backend_->remove(fd));
        it = {};
        return "ok";
    case verb::linger_reset:
        return text_of(system_.set_option(fd, sockeye::socket_option::linger_reset, 1));
    case verb::pending_error:
        return text_of(system_.pending_error(fd));
    case verb::local_endpoint:
        return describe(system_.local_endpoint(fd, it.kind));
    case verb::peer_endpoint:
        return describe(system_.peer_endpoint(fd, it.kind));
    case verb::watch:
        return watch(one, it);
    case verb::forget:
        return text_of(backend_->remove(fd));
    case verb::make:
    case verb::wait:
        break;
    }
    return {};
}

std::string program_arm::make(const step& one) {
    auto& it = at(one.on);
    if (it.fd) {
        return "there is one";
    }
    const int family = is_local(one.kind) ? AF_UNIX : AF_INET;
    auto made = system_.socket(one.kind, family);
    if (!made) {
        return text_of(made.error());
    }
    it.fd = std::move(*made);
    it.kind = one.kind;
    it.born = ++born_;
    if (it.kind == transport::tcp) {
        // Small sends go at once: when they would go otherwise is a matter of time.
        static_cast<void>(system_.set_option(it.fd.get(), sockeye::socket_option::no_delay, 1));
    }
    return "ok";
}

std::string program_arm::accept(const step& one, member& it) {
    if (at(one.other).fd) {
        return "there is one";
    }
    endpoint peer;
    auto made = system_.accept(it.fd.get(), it.kind, peer);
    if (!made) {
        return text_of(made.error());
    }
    auto& guest = at(one.other);
    guest.fd = std::move(*made);
    guest.kind = it.kind;
    guest.born = ++born_;
    guest.is_shut = false;
    return "from " + describe(peer);
}

std::string program_arm::connect(const step& one, member& it) {
    return text_of(system_.connect(it.fd.get(), find(one, it.kind)));
}

/// What `it` says next.
sockeye::bytes program_arm::said_by(const member& it, std::size_t amount) {
    const auto first = is_stream(it.kind) ? sent_[it.born] : 0;
    bytes_.resize(amount);
    for (std::size_t at = 0; at < amount; ++at) {
        bytes_[at] = said(it.born, first + at);
    }
    return bytes_;
}

std::string program_arm::send(const step& one, member& it) {
    const auto sent = system_.send(it.fd.get(), said_by(it, one.amount));
    if (!sent) {
        return text_of(sent.error());
    }
    sent_[it.born] += it.kind == transport::udp ? 0 : *sent;
    is_stuffed_ |= *sent < one.amount;
    return bytes_text(*sent);
}

std::string program_arm::send_to(const step& one, member& it) {
    if (is_stream(it.kind)) {
        return "not for streams";
    }
    const auto target = find(one, it.kind);
    const sockeye::datagram what = {.data = said_by(it, one.amount), .peer = &target};
    const auto sent = system_.send_datagrams(it.fd.get(), {&what, 1});
    if (!sent) {
        return text_of(sent.error());
    }
    sent_[it.born] += is_local(it.kind) ? one.amount : 0;
    return std::to_string(*sent) + " sent";
}

std::string program_arm::fill(member& it) {
    constexpr std::size_t most = 65536;
    if (!is_stream(it.kind)) {
        return "for streams";
    }
    for (;;) {
        const auto sent = system_.send(it.fd.get(), said_by(it, most));
        if (!sent) {
            is_stuffed_ |= sent.error() == std::errc::operation_would_block && sent_[it.born] != 0;
            return text_of(sent.error());
        }
        sent_[it.born] += *sent;
    }
}

/// Says how much came, whose it was, and whether it is what comes next in what that one says.
std::string program_arm::heard(member& it, sockeye::bytes what) {
    if (what.empty()) {
        return "0 bytes";
    }
    const auto source = std::to_integer<unsigned>(what[0]) >> 4;
    const bool is_known = it.source == 0 || it.source == source;
    it.source = source;
    const auto first = is_stream(it.kind) ? it.received : 0;
    bool is_next = is_known;
    for (std::size_t at = 0; at < what.size(); ++at) {
        is_next &= what[at] == said(source, first + at);
    }
    it.received += what.size();
    heard_[source] += what.size();
    if (!is_stream(it.kind)) {
        it.source = 0;
    }
    return bytes_text(what.size()) + " of #" + std::to_string(source) +
           (is_next ? "" : ", and they are wrong");
}

std::string program_arm::receive(std::size_t amount, member& it) {
    std::vector<std::byte> target(std::max<std::size_t>(amount, 1));
    const auto got = system_.receive(it.fd.get(), target);
    return got ? heard(it, std::span(target).first(*got)) : text_of(got.error());
}

std::string program_arm::receive_datagrams(member& it) {
    if (is_stream(it.kind)) {
        return "not for streams";
    }
    const auto got = system_.receive_datagrams(it.fd.get(), it.kind, batch_);
    if (!got) {
        return text_of(got.error());
    }
    std::string text;
    for (const auto& one : batch_.filled()) {
        text += (text.empty() ? "" : "; ") + heard(it, one.data) + " from " + describe(*one.peer) +
                (one.is_truncated ? ", truncated" : "");
    }
    return text;
}

std::string program_arm::drain(member& it) {
    std::array<std::byte, 65536> target;
    const auto before = it.received;
    const auto is_waited_for = [&] {
        return it.source != 0 && is_stuffed_ && it.received < sent_[it.source];
    };
    std::string last;
    bool is_wrong = false;
    const auto take = [&] {
        for (;;) {
            const auto got = system_.receive(it.fd.get(), target);
            if (!got || *got == 0) {
                last = got ? "the end" : text_of(got.error());
                return !got && got.error() == std::errc::operation_would_block;
            }
            is_wrong |= heard(it, std::span(target).first(*got)).ends_with("wrong");
        }
    };
    bool may_come = take();
    // What did not fit is sent when there is room again.
    static_cast<void>(
        turn_until([&] { return !may_come || !is_waited_for(); }, [&] { may_come = take(); }));
    const auto text = (is_wrong ? "wrong bytes, " : "") + last;
    if (!is_stuffed_) {
        return bytes_text(it.received - before) + ", " + text;
    }
    is_stuffed_ = is_waited_for() || it.source == 0;
    return text;
}

std::string program_arm::watch(const step& one, member& it) {
    const int fd = it.fd.get();
    const auto key = static_cast<std::uint64_t>(one.on);
    it.wanted = one.wanted;
    const auto error = backend_->modify(fd, one.wanted, key);
    return text_of(
        error == std::errc::no_such_file_or_directory ? backend_->add(fd, one.wanted, key) : error);
}

void program_arm::wait(outcome& result) {
    std::array<sockeye::event, 2 * program_sockets> ready;
    const auto count = backend_->wait(ready, sockeye::duration::zero());
    if (!count) {
        result.text = text_of(count.error());
        return;
    }
    const auto told = std::span(ready).first(*count);
    result.events.assign(told.begin(), told.end());
    std::ranges::sort(result.events, {}, &sockeye::event::key);
    for (std::size_t at = 0; at < members_.size(); ++at) {
        const auto& it = members_[at];
        const bool may_repeat = it.is_shut && has(it.wanted, sockeye::interest::edge);
        result.repeats |= std::uint64_t{may_repeat} << at;
    }
    result.text = told.empty() ? "nothing" : "";
}

endpoint program_arm::path(std::string_view name, transport kind) {
    return parse((kind == transport::unix_datagram ? "unix-dgram:" : "unix:") + on_.path(name));
}

/// Where somebody is, and answers nobody.
endpoint program_arm::closed(transport kind) {
    if (is_local(kind)) {
        return path("missing_path", kind);
    }
    auto& name = closed_[kind];
    if (!name.is_known()) {
        name = parse((kind == transport::tcp ? "tcp://" : "udp://") + address_ + ":0");
        auto& fd = held_.emplace_back(system_.socket(kind, AF_INET).value());
        static_cast<void>(system_.bind(fd.get(), name));
        name = system_.local_endpoint(fd.get(), kind).value();
        if (kind == transport::udp) {
            // Connected to itself it keeps the port and hears nobody else.
            static_cast<void>(system_.connect(fd.get(), name));
        }
    }
    return name;
}

endpoint program_arm::find(const step& one, transport kind) {
    const std::string scheme = kind == transport::tcp ? "tcp://" : "udp://";
    const auto local = is_local(kind) ? kind : transport::unix_stream;
    switch (one.where) {
    case place::of_socket:
        if (const auto& other = at(one.other); other.fd) {
            return system_.local_endpoint(other.fd.get(), other.kind).value();
        }
        return closed(kind);
    case place::any_port:
        return parse(scheme + address_ + ":0");
    case place::anywhere:
        return parse(scheme + "0.0.0.0:0");
    case place::foreign:
        return parse(scheme + "203.0.113.7:0");
    case place::closed:
        return closed(kind);
    case place::broadcast:
        return parse(scheme + "255.255.255.255:9");
    case place::path_a:
        return path("first_path", local);
    case place::path_b:
        return path("second_path", local);
    case place::dead_path:
        if (!system_.identify(on_.path("dead_path"))) {
            const auto fd = system_.socket(local, AF_UNIX).value();
            static_cast<void>(system_.bind(fd.get(), path("dead_path", local)));
        }
        return path("dead_path", local);
    case place::unnamed:
        break;
    }
    return parse(local == transport::unix_datagram ? "unix-dgram:@" : "unix:@");
}

std::string program_arm::describe(const sockeye::result<endpoint>& name) {
    return name ? describe(*name) : text_of(name.error());
}

/// With names for what differs from machine to machine, in the order in which they appear.
std::string program_arm::describe(const endpoint& name) {
    if (!name.is_known()) {
        return "nobody";
    }
    auto text = name.to_string();
    if (!is_local(name.kind())) {
        if (const auto at = text.find(address_); at != std::string::npos) {
            text.replace(at, address_.size(), "own");
        }
        if (name.port() == 0) {
            return text;
        }
        const auto colon = text.rfind(':');
        const auto key = text.substr(0, text.find(':')) + text.substr(colon);
        const auto& port =
            names_.try_emplace(key, "port " + std::to_string(names_.size())).first->second;
        return text.substr(0, colon + 1) + port;
    }
    if (!name.path().empty()) {
        return "path " + text.substr(text.rfind('/') + 1);
    }
    return text.ends_with('@')
               ? "no name"
               : names_.try_emplace(text, "name " + std::to_string(names_.size())).first->second;
}

} // namespace support
