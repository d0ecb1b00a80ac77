#include "support/faulty_kernel.hpp"

#include "loop/loop_core.hpp"
#include "support/allocations.hpp"

#include <algorithm>
#include <chrono>
#include <type_traits>

namespace support {

using namespace sockeye;
using namespace std::chrono_literals;

namespace {

std::error_code error_of(std::error_code said) noexcept {
    return said;
}

template <typename T>
std::error_code error_of(const result<T>& said) noexcept {
    return said ? std::error_code() : said.error();
}

/// The front part of `sources` that has at most `limit` bytes.
std::vector<bytes> front_of(std::span<const bytes> sources, std::size_t limit) {
    std::vector<bytes> parts;
    for (const auto part : sources) {
        parts.push_back(part.first(std::min(part.size(), limit)));
        limit -= parts.back().size();
    }
    return parts;
}

/// A loop that spins is stopped, so that the test that made it spin ends.
constexpr std::size_t waits_max = 50'000;

bool is_would_block(const std::error_code& error) noexcept {
    return error == std::errc::operation_would_block;
}

} // namespace

/// Makes the call, unless an error is planned for it.
template <typename Call>
auto faulty_kernel::answer(seam_call where, int fd, Call&& call) -> decltype(call()) {
    const spared_allocations spared;
    const auto* const met = plan.meet(where, fd);
    if (met != nullptr && met->error) {
        return met->error;
    }
    auto said = call();
    note_stray(where, error_of(said));
    return said;
}

void faulty_kernel::note_stray(seam_call where, std::error_code error) {
    if (error == std::errc::bad_file_descriptor || error == std::errc::not_a_socket) {
        strays_.emplace_back(name_of(where));
    }
}

void faulty_kernel::owe(int fd, interest direction) {
    const spared_allocations spared;
    owed_[fd] = owed_[fd] | direction;
}

owned_fd faulty_kernel::own(owned_fd made) {
    const spared_allocations spared;
    open_.push_back(made.get());
    return {*this, made.release()};
}

result<owned_fd> faulty_kernel::socket(transport kind, int family) {
    auto made = answer(seam_call::socket, any_descriptor,
                       [&] { return forwarding_kernel::socket(kind, family); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

result<owned_fd> faulty_kernel::raw_socket(int family, int protocol) {
    auto made = answer(seam_call::raw_socket, any_descriptor,
                       [&] { return forwarding_kernel::raw_socket(family, protocol); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

std::error_code faulty_kernel::bind(int fd, const endpoint& local) {
    return answer(seam_call::bind, fd, [&] { return forwarding_kernel::bind(fd, local); });
}

std::error_code faulty_kernel::bind_with_mode(int fd, const endpoint& local, unsigned mode) {
    return answer(seam_call::bind_with_mode, fd,
                  [&] { return forwarding_kernel::bind_with_mode(fd, local, mode); });
}

std::error_code faulty_kernel::listen(int fd, int backlog) {
    return answer(seam_call::listen, fd, [&] { return forwarding_kernel::listen(fd, backlog); });
}

result<owned_fd> faulty_kernel::accept(int fd, transport kind, endpoint& peer) {
    auto made =
        answer(seam_call::accept, fd, [&] { return forwarding_kernel::accept(fd, kind, peer); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

/// Interrupted, the call has been made all the same.
std::error_code faulty_kernel::connect(int fd, const endpoint& peer) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::connect, fd);
    if (met != nullptr && met->error && met->error != std::errc::operation_in_progress) {
        return met->error;
    }
    const auto said = forwarding_kernel::connect(fd, peer);
    note_stray(seam_call::connect, said);
    return met != nullptr && met->error && !said ? met->error : said;
}

std::error_code faulty_kernel::shutdown_write(int fd) {
    return answer(seam_call::shutdown_write, fd,
                  [&] { return forwarding_kernel::shutdown_write(fd); });
}

void faulty_kernel::close(int fd) noexcept {
    const spared_allocations spared;
    plan.meet(seam_call::close, fd);
    if (watched_.contains(fd)) {
        strays_.emplace_back("close of what the backend still watches");
    }
    owed_.erase(fd);
    std::erase(open_, fd);
    forwarding_kernel::close(fd);
}

/// Receives by `call`, or falls short of it as planned.
template <typename Call>
result<std::size_t> faulty_kernel::part_in(seam_call where, int fd, std::span<std::byte> target,
                                           Call&& call) {
    const spared_allocations spared;
    const auto* const met = plan.meet(where, fd);
    if (met == nullptr) {
        auto said = call(target);
        note_stray(where, error_of(said));
        return said;
    }
    if (!met->error || is_would_block(met->error)) {
        owe(fd, interest::readable);
    }
    if (met->error) {
        return met->error;
    }
    return call(target.first(std::min(target.size(), met->at_most)));
}

/// Sends by `call`, or falls short of it as planned.
template <typename Call>
result<std::size_t> faulty_kernel::part_out(seam_call where, int fd, bytes source, Call&& call) {
    const spared_allocations spared;
    const auto* const met = plan.meet(where, fd);
    if (met == nullptr) {
        auto said = call(source);
        note_stray(where, error_of(said));
        return said;
    }
    if (!met->error || is_would_block(met->error)) {
        owe(fd, interest::writable);
    }
    if (met->error) {
        return met->error;
    }
    return met->at_most == 0 ? 0 : call(source.first(std::min(source.size(), met->at_most)));
}

result<std::size_t> faulty_kernel::receive(int fd, std::span<std::byte> target) {
    return part_in(seam_call::receive, fd, target,
                   [&](auto part) { return forwarding_kernel::receive(fd, part); });
}

result<std::size_t> faulty_kernel::receive_message(int fd, std::span<std::byte> target) {
    return part_in(seam_call::receive_message, fd, target,
                   [&](auto part) { return forwarding_kernel::receive_message(fd, part); });
}

result<std::size_t> faulty_kernel::read(int fd, std::span<std::byte> target) {
    return part_in(seam_call::read, fd, target,
                   [&](auto part) { return forwarding_kernel::read(fd, part); });
}

result<std::size_t> faulty_kernel::send(int fd, bytes source) {
    return part_out(seam_call::send, fd, source,
                    [&](bytes part) { return forwarding_kernel::send(fd, part); });
}

result<std::size_t> faulty_kernel::write(int fd, bytes source) {
    return part_out(seam_call::write, fd, source,
                    [&](bytes part) { return forwarding_kernel::write(fd, part); });
}

result<std::size_t> faulty_kernel::send_gathered(int fd, std::span<const bytes> sources) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::send_gathered, fd);
    if (met == nullptr) {
        auto said = forwarding_kernel::send_gathered(fd, sources);
        note_stray(seam_call::send_gathered, error_of(said));
        return said;
    }
    if (!met->error || is_would_block(met->error)) {
        owe(fd, interest::writable);
    }
    if (met->error) {
        return met->error;
    }
    const auto parts = front_of(sources, met->at_most);
    return met->at_most == 0 ? 0 : forwarding_kernel::send_gathered(fd, parts);
}

/// Falls short as a send does; with 0 the file ends there.
result<std::size_t> faulty_kernel::send_file(int fd, int file, std::uint64_t offset,
                                             std::size_t length) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::send_file, fd);
    if (met == nullptr) {
        auto said = forwarding_kernel::send_file(fd, file, offset, length);
        note_stray(seam_call::send_file, error_of(said));
        return said;
    }
    if (!met->error || is_would_block(met->error)) {
        owe(fd, interest::writable);
    }
    if (met->error) {
        return met->error;
    }
    return met->at_most == 0
               ? 0
               : forwarding_kernel::send_file(fd, file, offset, std::min(length, met->at_most));
}

result<std::size_t> faulty_kernel::read_at(int file, std::span<std::byte> target,
                                           std::uint64_t offset) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::read_at);
    if (met != nullptr && met->error) {
        return met->error;
    }
    const auto most = met == nullptr ? target.size() : std::min(target.size(), met->at_most);
    return forwarding_kernel::read_at(file, target.first(most), offset);
}

result<std::size_t> faulty_kernel::send_with_descriptors(int fd, bytes source,
                                                         std::span<const int> descriptors) {
    return part_out(seam_call::send_with_descriptors, fd, source, [&](bytes part) {
        return forwarding_kernel::send_with_descriptors(fd, part, descriptors);
    });
}

result<std::size_t> faulty_kernel::receive_with_descriptors(int fd, std::span<std::byte> target,
                                                            std::vector<unique_fd>& descriptors) {
    return part_in(seam_call::receive_with_descriptors, fd, target, [&](auto part) {
        return forwarding_kernel::receive_with_descriptors(fd, part, descriptors);
    });
}

result<peer_credentials> faulty_kernel::credentials(int fd) {
    return answer(seam_call::credentials, fd, [&] { return forwarding_kernel::credentials(fd); });
}

bool faulty_kernel::is_hung_up(int fd) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::is_hung_up, fd);
    return (met == nullptr || !met->error) && forwarding_kernel::is_hung_up(fd);
}

/// It asks whether the descriptor is still there, so that none is a stray one.
result<file_identity> faulty_kernel::identify_descriptor(int fd) {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::identify_descriptor, fd);
    if (met != nullptr && met->error) {
        return met->error;
    }
    return forwarding_kernel::identify_descriptor(fd);
}

void faulty_kernel::make_blocking(int fd) noexcept {
    const spared_allocations spared;
    const auto* const met = plan.meet(seam_call::make_blocking, fd);
    if (met == nullptr || !met->error) {
        forwarding_kernel::make_blocking(fd);
    }
}

std::error_code faulty_kernel::fill_standard_descriptors() {
    return answer(seam_call::fill_standard_descriptors, any_descriptor,
                  [&] { return forwarding_kernel::fill_standard_descriptors(); });
}

result<file_facts> faulty_kernel::describe(int fd) {
    return answer(seam_call::describe, fd, [&] { return forwarding_kernel::describe(fd); });
}

result<reopened_file> faulty_kernel::reopen(int fd) {
    auto made = answer(seam_call::reopen, fd, [&] { return forwarding_kernel::reopen(fd); });
    if (!made) {
        return made.error();
    }
    return reopened_file{own(std::move(made->fd)), made->is_shared};
}

std::error_code faulty_kernel::remove_same_file(std::string_view path, const file_identity& file) {
    return answer(seam_call::remove_same_file, any_descriptor,
                  [&] { return forwarding_kernel::remove_same_file(path, file); });
}

result<std::size_t> faulty_kernel::receive_datagrams(int fd, transport kind,
                                                     datagram_batch& batch) {
    const auto before = plan.met();
    auto said = answer(seam_call::receive_datagrams, fd,
                       [&] { return forwarding_kernel::receive_datagrams(fd, kind, batch); });
    if (plan.met() != before && is_would_block(error_of(said))) {
        owe(fd, interest::readable);
    }
    return said;
}

/// Sends by `call`, or fewer as planned.
template <typename Call>
result<std::size_t> faulty_kernel::datagrams_out(seam_call where, int fd,
                                                 std::span<const datagram> sources, Call&& call) {
    const spared_allocations spared;
    const auto* const met = plan.meet(where, fd);
    if (met == nullptr) {
        auto said = call(sources);
        note_stray(where, error_of(said));
        return said;
    }
    if (!met->error || is_would_block(met->error)) {
        owe(fd, interest::writable);
    }
    if (met->error) {
        return met->error;
    }
    return call(sources.first(std::min(sources.size(), met->at_most)));
}

result<std::size_t> faulty_kernel::send_datagrams(int fd, std::span<const datagram> sources) {
    return datagrams_out(seam_call::send_datagrams, fd, sources,
                         [&](auto part) { return forwarding_kernel::send_datagrams(fd, part); });
}

result<std::size_t> faulty_kernel::send_trains(int fd, std::span<const datagram> sources) {
    return datagrams_out(seam_call::send_trains, fd, sources,
                         [&](auto part) { return forwarding_kernel::send_trains(fd, part); });
}

result<datagram_error> faulty_kernel::receive_error(int fd, transport kind) {
    return answer(seam_call::receive_error, fd,
                  [&] { return forwarding_kernel::receive_error(fd, kind); });
}

std::error_code faulty_kernel::disconnect(int fd) {
    return answer(seam_call::disconnect, fd, [&] { return forwarding_kernel::disconnect(fd); });
}

std::error_code faulty_kernel::set_datagram_option(int fd, int family, datagram_option option,
                                                   int value) {
    return answer(seam_call::set_datagram_option, fd, [&] {
        return forwarding_kernel::set_datagram_option(fd, family, option, value);
    });
}

result<int> faulty_kernel::get_datagram_option(int fd, int family, datagram_option option) {
    return answer(seam_call::get_datagram_option, fd,
                  [&] { return forwarding_kernel::get_datagram_option(fd, family, option); });
}

std::error_code faulty_kernel::change_membership(int fd, const membership& wanted) {
    return answer(seam_call::change_membership, fd,
                  [&] { return forwarding_kernel::change_membership(fd, wanted); });
}

std::error_code faulty_kernel::set_option(int fd, socket_option option, int value) {
    return answer(seam_call::set_option, fd,
                  [&] { return forwarding_kernel::set_option(fd, option, value); });
}

result<int> faulty_kernel::get_option(int fd, socket_option option) {
    return answer(seam_call::get_option, fd,
                  [&] { return forwarding_kernel::get_option(fd, option); });
}

std::error_code faulty_kernel::set_congestion_control(int fd, std::string_view name) {
    return answer(seam_call::set_option, fd,
                  [&] { return forwarding_kernel::set_congestion_control(fd, name); });
}

result<std::string> faulty_kernel::congestion_control(int fd) {
    return answer(seam_call::get_option, fd,
                  [&] { return forwarding_kernel::congestion_control(fd); });
}

result<stream_info> faulty_kernel::info(int fd) {
    return answer(seam_call::info, fd, [&] { return forwarding_kernel::info(fd); });
}

std::error_code faulty_kernel::pending_error(int fd) {
    return answer(seam_call::pending_error, fd,
                  [&] { return forwarding_kernel::pending_error(fd); });
}

result<endpoint> faulty_kernel::local_endpoint(int fd, transport kind) {
    return answer(seam_call::local_endpoint, fd,
                  [&] { return forwarding_kernel::local_endpoint(fd, kind); });
}

/// Who was told that it is not connected yet is told again when it is.
result<endpoint> faulty_kernel::peer_endpoint(int fd, transport kind) {
    const auto before = plan.met();
    auto said = answer(seam_call::peer_endpoint, fd,
                       [&] { return forwarding_kernel::peer_endpoint(fd, kind); });
    if (plan.met() != before && error_of(said) == std::errc::not_connected) {
        owe(fd, interest::writable);
    }
    return said;
}

result<transport> faulty_kernel::transport_of(int fd) {
    return answer(seam_call::transport_of, fd, [&] { return forwarding_kernel::transport_of(fd); });
}

std::error_code faulty_kernel::prepare(int fd) {
    return answer(seam_call::prepare, fd, [&] { return forwarding_kernel::prepare(fd); });
}

result<owned_fd> faulty_kernel::duplicate(int fd) {
    auto made = answer(seam_call::duplicate, fd, [&] { return forwarding_kernel::duplicate(fd); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

std::error_code faulty_kernel::steer_by_cpu(int fd, std::span<const unsigned> cpus) {
    return answer(seam_call::steer_by_cpu, fd,
                  [&] { return forwarding_kernel::steer_by_cpu(fd, cpus); });
}

result<file_identity> faulty_kernel::identify(std::string_view path) {
    return answer(seam_call::identify, any_descriptor,
                  [&] { return forwarding_kernel::identify(path); });
}

std::error_code faulty_kernel::remove_file(std::string_view path) {
    return answer(seam_call::remove_file, any_descriptor,
                  [&] { return forwarding_kernel::remove_file(path); });
}

result<std::uint64_t> faulty_kernel::random_bits() {
    return answer(seam_call::random_bits, any_descriptor,
                  [&] { return forwarding_kernel::random_bits(); });
}

result<owned_fd> faulty_kernel::reserve() {
    auto made =
        answer(seam_call::reserve, any_descriptor, [&] { return forwarding_kernel::reserve(); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

result<std::vector<endpoint>> faulty_kernel::resolve(const host_query&) {
    return answer(seam_call::resolve, any_descriptor,
                  [&] { return result<std::vector<endpoint>>(addresses); });
}

time_point faulty_kernel::now() {
    return time_ == told_time::inner ? forwarding_kernel::now() : stands_at_;
}

result<duration> faulty_kernel::read_clock(clock_kind which) {
    return answer(seam_call::read_clock, any_descriptor,
                  [&] { return forwarding_kernel::read_clock(which); });
}

result<owned_fd> faulty_kernel::make_alarm(clock_kind which) {
    auto made = answer(seam_call::make_alarm, any_descriptor,
                       [&] { return forwarding_kernel::make_alarm(which); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

std::error_code faulty_kernel::set_alarm(int fd, clock_kind which, duration when) {
    return answer(seam_call::set_alarm, fd,
                  [&] { return forwarding_kernel::set_alarm(fd, which, when); });
}

result<owned_fd> faulty_kernel::watch_process(int pid) {
    auto made = answer(seam_call::watch_process, any_descriptor,
                       [&] { return forwarding_kernel::watch_process(pid); });
    return made ? result<owned_fd>(own(std::move(made.value()))) : made.error();
}

result<process_status> faulty_kernel::reap_process(int pid) {
    return answer(seam_call::reap_process, any_descriptor,
                  [&] { return forwarding_kernel::reap_process(pid); });
}

std::error_code faulty_kernel::start_thread(unique_function<void()> work) {
    return answer(seam_call::start_thread, any_descriptor,
                  [&] { return forwarding_kernel::start_thread(std::move(work)); });
}

result<wake_channel> faulty_kernel::make_wake_channel() {
    auto made = answer(seam_call::make_wake_channel, any_descriptor,
                       [&] { return forwarding_kernel::make_wake_channel(); });
    if (!made) {
        return made.error();
    }
    wake_channel channel;
    channel.reader = own(std::move(made->reader));
    if (made->writer) {
        channel.writer = own(std::move(made->writer));
    }
    return channel;
}

void faulty_kernel::wake(int write_end) noexcept {
    const spared_allocations spared;
    plan.meet(seam_call::wake, write_end);
    forwarding_kernel::wake(write_end);
}

void faulty_kernel::drain(int reader) noexcept {
    const spared_allocations spared;
    plan.meet(seam_call::drain, reader);
    forwarding_kernel::drain(reader);
}

std::error_code faulty_kernel::add_signal(int signal, std::atomic<std::uint64_t>& pending,
                                          int write_end) {
    return answer(seam_call::add_signal, any_descriptor,
                  [&] { return forwarding_kernel::add_signal(signal, pending, write_end); });
}

void faulty_kernel::remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept {
    const spared_allocations spared;
    plan.meet(seam_call::remove_signal);
    forwarding_kernel::remove_signal(signal, pending);
}

std::error_code faulty_backend::add(int fd, interest wanted, std::uint64_t key) {
    const spared_allocations spared;
    const auto* const met = system_.plan.meet(seam_call::add, fd);
    const auto said =
        met != nullptr && met->error ? met->error : wrapped_backend::add(fd, wanted, key);
    if (!said) {
        system_.watched().insert(fd);
    }
    return said;
}

std::error_code faulty_backend::modify(int fd, interest wanted, std::uint64_t key) {
    const spared_allocations spared;
    const auto* const met = system_.plan.meet(seam_call::modify, fd);
    return met != nullptr && met->error ? met->error : wrapped_backend::modify(fd, wanted, key);
}

/// What cannot be removed is gone all the same: that is what the errors of removing mean.
std::error_code faulty_backend::remove(int fd) {
    const spared_allocations spared;
    const auto* const met = system_.plan.meet(seam_call::remove, fd);
    const auto said = wrapped_backend::remove(fd);
    system_.watched().erase(fd);
    return met != nullptr && met->error ? met->error : said;
}

result<std::size_t> faulty_backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    const spared_allocations spared;
    if (system_.plan.count(seam_call::wait) > waits_max) {
        return std::errc::resource_deadlock_would_occur;
    }
    if (const auto* const met = system_.plan.meet(seam_call::wait)) {
        if (met->error) {
            return met->error;
        }
        if (met->at_most == 0) {
            return 0;
        }
        ready = ready.first(std::min(ready.size(), met->at_most));
    }
    const auto count = look(ready, system_.owed().empty() ? timeout : duration::zero());
    if (!count) {
        return count;
    }
    note_hints(ready.first(*count));
    return tell_owed(ready, *count);
}

/// Adds what is owed to the `count` events in front; what has no room is owed on.
std::size_t faulty_backend::tell_owed(std::span<event> ready, std::size_t count) {
    auto& owed = system_.owed();
    for (auto at = owed.begin(); at != owed.end();) {
        const auto known = members_.find(at->first);
        const auto wanted =
            known == members_.end() ? interest::none : known->second.wanted & at->second;
        if (wanted == interest::none) {
            at = owed.erase(at);
            continue;
        }
        auto told = std::ranges::find(ready.first(count), known->second.key, &event::key);
        if (told == ready.first(count).end()) {
            if (count == ready.size()) {
                ++at;
                continue;
            }
            told = ready.begin() + static_cast<std::ptrdiff_t>(count++);
            *told = hints_[known->second.key];
            told->key = known->second.key;
        }
        told->readable |= has(wanted, interest::readable);
        told->writable |= has(wanted, interest::writable);
        at = owed.erase(at);
    }
    return count;
}

/// What is told again is told with the hints of an end that has been there since.
void faulty_backend::note_hints(std::span<const event> told) {
    for (const auto& one : told) {
        auto& kept = hints_[one.key];
        kept.read_closed |= one.read_closed;
        kept.hangup |= one.hangup;
        kept.error |= one.error;
    }
}

/// What was sent over loopback is there when the call returns, but on a busy machine for a moment
/// at times: before much time is skipped, it gets that moment.
result<std::size_t> faulty_backend::look(std::span<event> ready, std::optional<duration> timeout) {
    if (system_.time() == told_time::inner) {
        return inner_->wait(ready, timeout);
    }
    auto count = inner_->wait(ready, duration::zero());
    const auto left = timeout.value_or(1h);
    if (count && *count == 0 && left >= 500ms) {
        count = inner_->wait(ready, 1ms);
    }
    if (count && *count == 0) {
        system_.skip(left);
    }
    return count;
}

namespace {

sockeye::loop make_faulty_loop(ground& on, faulty_kernel& system, loop_options options,
                               const std::vector<fault>& planned) {
    for (const auto& one : planned) {
        system.plan.inject(one);
    }
    auto core = std::make_unique<loop_core>(
        system, std::make_unique<faulty_backend>(on.make_backend(), system), on.entry(),
        std::move(options));
    if (const auto error = core->start()) {
        throw std::system_error(error);
    }
    return loop_access::make(std::move(core));
}

} // namespace

faulty_loop::faulty_loop(ground& on, loop_options options, const std::vector<fault>& planned)
    : system(on.system(), on.is_simulated() ? told_time::inner : told_time::skipped),
      loop(make_faulty_loop(on, system, std::move(options), planned)) {}

void faulty_loop::turn() {
    const auto events = loop.counters().events;
    const auto ran = loop.run_once(0s);
    if (ran && *ran == 0 && loop.counters().events == events) {
        const auto left = loop.next_deadline().value_or(time_point::max()) - system.now();
        static_cast<void>(loop.run_once(std::min<duration>(left, 1s)));
    }
}

bool faulty_loop::until(const std::function<bool()>& fact, duration limit) {
    const auto end = system.now() + limit;
    for (int turns = 0; turns < 2000 && system.now() < end; ++turns) {
        if (fact()) {
            return true;
        }
        turn();
    }
    return fact();
}

void faulty_loop::settle() {
    for (int turns = 0; turns < 5; ++turns) {
        static_cast<void>(loop.run_once(0s));
    }
}

std::size_t faulty_loop::slots() {
    return core_of(loop).io().slots().used() - 1;
}

std::size_t faulty_loop::timers() {
    return core_of(loop).timers().size();
}

std::size_t faulty_loop::queued_bytes() {
    return loop.counters().queued_bytes;
}

} // namespace support
