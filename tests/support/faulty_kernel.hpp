#pragma once

#include "support/faults.hpp"
#include "support/ground.hpp"
#include "support/kernels.hpp"
#include "support/test_backends.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace support {

/// Which time a faulty kernel tells.
enum class told_time : std::uint8_t {
    inner,  ///< that of the kernel below
    skipped ///< stands still, but for skip() and for what a faulty backend would have waited
};

/// A kernel around another one, whose calls fail or fall short as planned. What it remembers for
/// that, and what lies below it, is never what fails for want of memory.
///
/// Of a descriptor that it called not ready, or that it gave only a part of what was there, it
/// remembers that the backend owes the news again, as a kernel would tell it: see faulty_backend.
class faulty_kernel final : public forwarding_kernel {
public:
    template <typename T>
    using result = sockeye::result<T>;

    explicit faulty_kernel(sockeye::kernel& inner, told_time time = told_time::inner)
        : forwarding_kernel(inner), time_(time), stands_at_(inner.now()) {}

    fault_plan plan;
    /// What every name stands for. Look-ups take no time, so that they need no thread.
    std::vector<sockeye::endpoint> addresses;

    [[nodiscard]] told_time time() const noexcept { return time_; }
    /// Time passes; backwards too. Requires: told_time::skipped.
    void skip(sockeye::duration step) { stands_at_ += step; }

    /// Faults of ours: calls that the inner kernel refused because of a wrong descriptor, and
    /// closes of what the backend still watches.
    [[nodiscard]] const std::vector<std::string>& strays() const noexcept { return strays_; }
    /// The descriptors that were made here and not closed or given away.
    [[nodiscard]] const std::vector<int>& open() const noexcept { return open_; }
    /// Of which descriptors, and in which direction, the backend owes the news.
    [[nodiscard]] std::map<int, sockeye::interest>& owed() noexcept { return owed_; }
    /// What the backend watches.
    [[nodiscard]] std::set<int>& watched() noexcept { return watched_; }

    result<sockeye::owned_fd> socket(sockeye::transport kind, int family) override;
    result<sockeye::owned_fd> raw_socket(int family, int protocol) override;
    std::error_code bind(int fd, const sockeye::endpoint& local) override;
    std::error_code bind_with_mode(int fd, const sockeye::endpoint& local, unsigned mode) override;
    std::error_code listen(int fd, int backlog) override;
    result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                     sockeye::endpoint& peer) override;
    std::error_code connect(int fd, const sockeye::endpoint& peer) override;
    std::error_code shutdown_write(int fd) override;
    void close(int fd) noexcept override;
    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, sockeye::bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const sockeye::bytes> sources) override;
    result<std::size_t> send_file(int fd, int file, std::uint64_t offset,
                                  std::size_t length) override;
    result<std::size_t> read_at(int file, std::span<std::byte> target,
                                std::uint64_t offset) override;
    result<std::size_t> send_with_descriptors(int fd, sockeye::bytes source,
                                              std::span<const int> descriptors) override;
    result<std::size_t>
    receive_with_descriptors(int fd, std::span<std::byte> target,
                             std::vector<sockeye::unique_fd>& descriptors) override;
    result<std::size_t> receive_message(int fd, std::span<std::byte> target) override;
    result<sockeye::peer_credentials> credentials(int fd) override;
    /// With an error the question fails: it says no.
    bool is_hung_up(int fd) override;
    result<sockeye::file_identity> identify_descriptor(int fd) override;
    result<sockeye::file_facts> describe(int fd) override;
    result<std::size_t> read(int fd, std::span<std::byte> target) override;
    result<std::size_t> write(int fd, sockeye::bytes source) override;
    result<sockeye::reopened_file> reopen(int fd) override;
    void make_blocking(int fd) noexcept override;
    std::error_code fill_standard_descriptors() override;
    result<std::size_t> receive_datagrams(int fd, sockeye::transport kind,
                                          sockeye::datagram_batch& batch) override;
    result<std::size_t> send_datagrams(int fd, std::span<const sockeye::datagram> sources) override;
    result<std::size_t> send_trains(int fd, std::span<const sockeye::datagram> sources) override;
    result<sockeye::datagram_error> receive_error(int fd, sockeye::transport kind) override;
    std::error_code disconnect(int fd) override;
    std::error_code set_datagram_option(int fd, int family, sockeye::datagram_option option,
                                        int value) override;
    result<int> get_datagram_option(int fd, int family, sockeye::datagram_option option) override;
    std::error_code change_membership(int fd, const sockeye::membership& wanted) override;
    std::error_code set_option(int fd, sockeye::socket_option option, int value) override;
    result<int> get_option(int fd, sockeye::socket_option option) override;
    std::error_code set_congestion_control(int fd, std::string_view name) override;
    result<std::string> congestion_control(int fd) override;
    result<sockeye::stream_info> info(int fd) override;
    std::error_code pending_error(int fd) override;
    result<sockeye::endpoint> local_endpoint(int fd, sockeye::transport kind) override;
    result<sockeye::endpoint> peer_endpoint(int fd, sockeye::transport kind) override;
    result<sockeye::transport> transport_of(int fd) override;
    std::error_code prepare(int fd) override;
    result<sockeye::owned_fd> duplicate(int fd) override;
    std::error_code steer_by_cpu(int fd, std::span<const unsigned> cpus) override;
    result<sockeye::file_identity> identify(std::string_view path) override;
    std::error_code remove_file(std::string_view path) override;
    result<std::uint64_t> random_bits() override;
    std::error_code remove_same_file(std::string_view path,
                                     const sockeye::file_identity& file) override;
    result<sockeye::owned_fd> reserve() override;
    result<std::vector<sockeye::endpoint>> resolve(const sockeye::host_query& wanted) override;
    std::optional<sockeye::duration> time_to_resolve() override { return sockeye::duration{}; }
    sockeye::time_point now() override;
    result<sockeye::duration> read_clock(sockeye::clock_kind which) override;
    result<sockeye::owned_fd> make_alarm(sockeye::clock_kind which) override;
    std::error_code set_alarm(int fd, sockeye::clock_kind which, sockeye::duration when) override;
    result<sockeye::owned_fd> watch_process(int pid) override;
    result<sockeye::process_status> reap_process(int pid) override;
    result<sockeye::wake_channel> make_wake_channel() override;
    void wake(int write_end) noexcept override;
    void drain(int reader) noexcept override;
    std::error_code start_thread(sockeye::unique_function<void()> work) override;
    std::error_code add_signal(int signal, std::atomic<std::uint64_t>& pending,
                               int write_end) override;
    void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept override;

private:
    template <typename Call>
    result<std::size_t> part_in(seam_call where, int fd, std::span<std::byte> target, Call&& call);
    template <typename Call>
    result<std::size_t> part_out(seam_call where, int fd, sockeye::bytes source, Call&& call);
    template <typename Call>
    result<std::size_t> datagrams_out(seam_call where, int fd,
                                      std::span<const sockeye::datagram> sources, Call&& call);
    template <typename Call>
    auto answer(seam_call where, int fd, Call&& call) -> decltype(call());
    void note_stray(seam_call where, std::error_code error);
    void owe(int fd, sockeye::interest direction);
    sockeye::owned_fd own(sockeye::owned_fd made);

    told_time time_;
    sockeye::time_point stands_at_;
    std::vector<int> open_;
    std::vector<std::string> strays_;
    std::map<int, sockeye::interest> owed_;
    std::set<int> watched_;
};

/// A backend around another one, whose verbs fail as planned for the kernel beside it; tells what
/// that kernel owes. Where the kernel's time is skipped, a wait in which nothing happens takes no
/// time but moves the clock.
class faulty_backend final : public wrapped_backend {
public:
    faulty_backend(std::unique_ptr<sockeye::backend> inner, faulty_kernel& system)
        : wrapped_backend(std::move(inner)), system_(system) {}

    std::error_code add(int fd, sockeye::interest wanted, std::uint64_t key) override;
    std::error_code modify(int fd, sockeye::interest wanted, std::uint64_t key) override;
    std::error_code remove(int fd) override;
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override;

private:
    sockeye::result<std::size_t> look(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout);

    void note_hints(std::span<const sockeye::event> told);
    std::size_t tell_owed(std::span<sockeye::event> ready, std::size_t count);

    faulty_kernel& system_;
    std::map<std::uint64_t, sockeye::event> hints_; ///< what was last told of each key
};

/// A loop on a ground, between whose seams and the loop faults can be put.
class faulty_loop {
public:
    /// Throws where a fault that was planned does not let the loop be made.
    explicit faulty_loop(ground& on, sockeye::loop_options options = {},
                         const std::vector<fault>& planned = {});

    faulty_kernel system;
    sockeye::loop loop;

    void inject(const fault& planned) { system.plan.inject(planned); }
    /// One turn; where nothing is ready it waits for the next timer, or for a second. A wait that
    /// failed is no end: the loop may be turned again.
    void turn();
    /// Turns until `fact` holds. False where it does not in 2000 turns or within `limit`.
    [[nodiscard]] bool until(const std::function<bool()>& fact,
                             sockeye::duration limit = std::chrono::minutes(1));
    /// A few turns in which no time is waited for, for what must not happen.
    void settle();

    /// Slots in use beside the loop's own.
    [[nodiscard]] std::size_t slots();
    [[nodiscard]] std::size_t timers();
    [[nodiscard]] std::size_t queued_bytes();
};

} // namespace support
