// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/socket_names.hpp"
#include "http/transfer.hpp"
#include "sys/unique_fd.hpp"

namespace plait::http::detail {

/// What all requests of a session have in common.
struct settings {
    std::string user_agent;
    std::string ca_file;
    bool insecure = false;
    std::size_t kept = 64;
    /// Connections in all, idle and busy; 0: no bound. Only for who never has more requests in flight:
    /// libcurl closes an idle one for a new one, but lets a request wait if all are busy.
    std::size_t most = 0;
};

/// libcurl's multi_socket on an epoll descriptor of its own.
///
/// Whoever drives it waits until descriptor() is readable or deadline() is past, and then calls work(): a
/// loop, or a thread that has nothing else to do.
///
/// Each socket is registered once, edge-triggered, for both directions; what libcurl wants at the moment is
/// kept in memory, and its REMOVE is ignored until the socket closes. That saves both `epoll_ctl` of a
/// request (22 % of its CPU). In return we must see to it that no edge is lost:
///
///     ready  = edges seen and not yet known to be used up
///     wants  = what libcurl asks for
///     a socket is in `todo_` whenever ready & wants is not empty
///
/// A direction stays ready after an action that moved bytes (there may be more), is cleared by one that moved
/// none, and is never cleared once the peer has hung up, for then there is no further edge. A transfer that
/// is held is not read: what its socket is ready for is kept until it goes on, the kernel's buffer fills, and
/// the server waits.
///
/// Threads:  one at a time.
class engine {
  public:
    explicit engine(settings common);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    /// Puts x.what on the wire. Never calls x.done itself; work() has to be called at once.
    void start(exchange& x);
    /// Takes it off the wire and closes its connection; x.done is not called.
    void stop(exchange& x) noexcept;
    /// Ends a hold; work() has to be called at once.
    void go_on(exchange& x);

    /// Waits up to `wait_ms` for sockets, does what is due and calls `done` of what ended.
    void work(int wait_ms);
    /// When work() must be called although descriptor() is not readable; max() if never.
    [[nodiscard]] clock::time_point deadline() const noexcept;

    [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
    [[nodiscard]] std::size_t active() const noexcept { return active_.size(); }
    [[nodiscard]] const settings& common() const noexcept { return common_; }

  private:
    friend class transfer;
    struct socket_state {
        transfer* user = nullptr;
        std::uint8_t wants = 0; // CURL_POLL_IN | CURL_POLL_OUT
        std::uint8_t ready = 0;
        bool registered = false;
        bool ours = false; // made by open_socket; libcurl's own (the resolver's) die without telling
        bool hung_up = false;
        bool queued = false;
    };

    static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* unused);
    static int on_timer(CURLM* multi, long milliseconds, void* self);
    static int on_close(void* self, curl_socket_t fd);

    [[nodiscard]] socket_state& state_of(curl_socket_t fd);
    void adopt(curl_socket_t fd);
    void want(curl_socket_t fd, int what, transfer* user);
    /// Puts it into todo_ if there is something to do.
    void enqueue(curl_socket_t fd, socket_state& state);
    [[nodiscard]] static unsigned due_on(const socket_state& state) noexcept;
    void forget(curl_socket_t fd) noexcept;
    void wait_for_events(int wait_ms);
    void act(curl_socket_t fd);
    void run_todo();
    void run_timer();
    void collect();
    void check_deadlines();
    [[nodiscard]] transfer& acquire();
    void begin(transfer& t, exchange& x);
    void abort(transfer& t, cause why, std::string text);
    void leave(transfer& t) noexcept;
    [[nodiscard]] bool bytes_are_waiting(const char* peer, int peer_port, const char* local, int local_port);
    [[nodiscard]] clock::time_point due(const transfer& t) const noexcept;

    settings common_;
    plait::detail::unique_fd epoll_;
    CURLM* multi_ = nullptr;
    std::vector<socket_state> sockets_; // by descriptor
    std::vector<curl_socket_t> todo_;
    std::vector<curl_socket_t> doing_;
    socket_names names_; // of ours
    std::vector<std::unique_ptr<transfer>> all_;
    std::vector<transfer*> idle_;
    std::vector<transfer*> active_;
    std::vector<transfer*> finished_;
    std::vector<transfer*> held_; // whose holders do not know yet
    clock::time_point now_{};
    clock::time_point timer_ = clock::time_point::max();
    clock::time_point next_check_ = clock::time_point::max();
};

} // namespace plait::http::detail
