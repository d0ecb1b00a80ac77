#pragma once

#include "net/connection.hpp"
#include "net/socket_file.hpp"
#include "net/source_table.hpp"

#include <sockeye/serve.hpp>

#include <memory>
#include <string>
#include <vector>

namespace sockeye {

class spreader;
struct spread_place;

/// What a server or a listener owns: the listening socket and the list of its connections.
struct server_core : retirable {
    server_core(loop_core& owner, const listen_options& wanted);
    ~server_core();
    server_core(const server_core&) = delete;
    server_core& operator=(const server_core&) = delete;

    loop_core& core;
    connection_group group;
    stream_kind* kind; ///< holds a reference
    session_source source = {nullptr, nullptr, false, {nullptr, [](void*) {}}};
    listener::handler on_accept; ///< instead of `source`, for a listener
    listen_options options;
    transport carrier = transport::tcp;
    slot_key listening = 0; ///< 0 once it has stopped
    socket_file file;
    bool is_paused_by_user = false;
    bool is_paused_by_limit = false;
    bool is_paused_by_shortage = false;
    bool is_detached = false;
    int told_in_vain = 0; ///< ready, and nothing to accept: how often in a row
    duration back_off = duration::zero();
    timer_id retry = 0;
    timer_id drain = 0;
    unique_function<void()> on_drained;
    slot_key drained = 0; ///< of the slot that calls on_drained; 0 where nobody asked

    // Of servers of a loop_group.
    spreader* spread_by = nullptr;   ///< who accepts for all hands over to this
    spreader* part_of = nullptr;     ///< told when a connection is gone
    spread_place* counted = nullptr; ///< knows how many connections there are
    bool is_exclusive = false;       ///< see interest::exclusive
    socket_option port_sharing = socket_option::reuse_port;

    std::shared_ptr<source_table> sources;  ///< null where sources have no limit of their own
    std::vector<source_id> source_of_slots; ///< by the index of the connection's slot

    [[nodiscard]] slot* place() noexcept { return core.io().find(listening); }
    [[nodiscard]] std::error_code listen_on(listen_argument local);
    void serve_with(session_source made);
    [[nodiscard]] std::error_code limit_sources();
    void accept_some();
    void update_interest();
    void stop_listening() noexcept;
    /// See server::release_listener.
    result<unique_fd> release_listening();
    /// Takes a connection that another one accepted. Threads: the loop's, as all of these.
    void take_in(unique_fd fd, source_id from);
    /// There is room below connections_max again.
    void limit_is_over();
    /// See server::close.
    void close();
    /// See server::drain.
    void start_drain(duration deadline, unique_function<void()> handler);
    /// Everything ends in silence; the memory goes when no handler of it runs.
    static void give_up(server_core* server) noexcept;
    /// The same, but the connections live on without it.
    static void let_go(server_core* server) noexcept;

private:
    [[nodiscard]] std::error_code set_stream_options(int fd);
    [[nodiscard]] std::error_code set_options(int fd, int family);
    template <typename Make>
    [[nodiscard]] std::error_code listen_with(Make&& make);
    result<owned_fd> listening_socket(const endpoint& local);
    result<owned_fd> adopted_socket(unique_fd adopted);
    [[nodiscard]] bool is_full() noexcept;
    void accepted(owned_fd fd, const endpoint& peer);
    void welcome(owned_fd fd, source_id from);
    void note_count() noexcept;
    result<slot*> begin(owned_fd fd, source_id from);
    void leave_source(const slot& place) noexcept;
    [[nodiscard]] std::error_code make_session(connection link);
    [[nodiscard]] bool may_accept_on(std::error_code error);
    void shed_one();
    void wait_for_descriptors();
    void retry_later();
    void wait_for_memory();
    void go_on();

    static void describe(slot& place, std::string& text);
    static void on_ready(slot& place, const event& told);
    static void on_resume(slot& place);
    static void on_relief(slot& place);
    static void on_loop_end(slot& place) noexcept;
    static void on_retry(void* server, std::uint64_t);
    static void on_connection_gone(connection_group& group, const slot& gone);
    static void on_drain_over(void* server, std::uint64_t);
    static void tell_drained(slot& place);
    static void free_drained(slot& place) noexcept;
    void forget_drained() noexcept;
    static const slot_operations listening_operations;
    static const slot_operations drained_operations;
};

/// Makes a server_core that listens on `local`. Errors: as serve.
result<std::unique_ptr<server_core>> open_server(loop& owner, listen_argument local,
                                                 const listen_options& options);

} // namespace sockeye
