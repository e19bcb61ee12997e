// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/spin_lock.hpp"
#include "strand/loop_engine.hpp"
#include "sys/unique_fd.hpp"

#include <plait/detail/frame.hpp>
#include <plait/io.hpp>

namespace plait::detail {

/// What a socket or listener is behind its handle: a descriptor, what is known about it, and who waits.
///
/// Edge-triggered: an event sets `readable` or `writable`, and only a call that used the descriptor up clears
/// it. With the flag clear nobody asks the kernel; with it set nobody waits. Invariant: a transfer is linked
/// only while its flag is clear.
///
/// One spin lock guards all of it, held across at most one run of non-blocking calls, so that any thread may
/// use the socket: the loop that watches it, the tasks of a pool, a canceller. Moving bytes and deciding that
/// the wait is over are one step under it, so a cancelled read has taken nothing. It guards the words of the
/// transfers too.
///
/// Owners: the handle, each registration with a loop, and each transfer that a canceller may look at while
/// the handle goes: one that has suspended in a pool's task, or was ended by close(). A transfer of a loop's
/// task is bound to the loop instead: there only it is ended, but by close(), and cancelled.
class stream final : public pooled {
  public:
    enum : int {
        closed_here = -2,
        two_at_once = -3,
        ended_early = -4,
        not_a_socket = -5,
        no_task = -6
    }; // see transfer::unfinished

    /// `known`: which of readable and writable to try before the first event.
    stream(unique_fd fd, unsigned known) noexcept : fd_{std::move(fd)}, flags_{known} {}

    static constexpr unsigned readable = EPOLLIN, writable = EPOLLOUT, ended = EPOLLRDHUP;

    /// Under the lock: watched from now on by the loop that keeps `home`'s descriptors, unless somebody waits
    /// by another one. 0 or an errno.
    int attach(worker& home) noexcept;
    /// Ends all waits with closed_error, and the descriptor.
    void close() noexcept;

    void add_owner() noexcept { owners_.fetch_add(1, order::relaxed); } // who adds one has one
    void release_owner() noexcept {
        // acq_rel: the last one deletes what the others have used.
        if (owners_.fetch_sub(1, order::acq_rel) == 1) delete this;
    }

    /// The lock's.
    atomic<std::uint32_t>& word() noexcept { return lock_; }
    transfer*& place_of(const transfer& t) noexcept { return t.writes() ? writer_ : reader_; }

    /// Under the lock.
    int descriptor() const noexcept { return fd_.get(); }
    bool closed() const noexcept { return !fd_; }

    /// Of a connection, for messages: "127.0.0.1:4711". Takes the lock.
    std::string peer() noexcept;

  private:
    // What a loop points to. It outlives the watching until the loop has no event for it in its hands any
    // more.
    struct registration final : watch, pooled {
        explicit registration(stream& s) noexcept : self{s} {}
        void ready(std::uint32_t events) noexcept override { self.ready(events); }
        void retired() noexcept override {
            self.release_owner();
            delete this;
        }
        stream& self;
    };

    ~stream() = default;
    void ready(std::uint32_t events) noexcept;
    void detach() noexcept;
    // As spin_guard: acquire pairs with the release of whoever held it before.
    bool try_lock() noexcept { return lock_.exchange(1, order::acquire) == 0; }
    void lock() noexcept {
        for (unsigned round = 0; !try_lock(); ++round) system_policy::pause(round);
    }
    void unlock() noexcept { lock_.store(0, order::release); }

    // Under the lock: what a transfer does; true: it is over.
    using attempt = bool (stream::*)(transfer& t) noexcept;
    bool receive(transfer& t) noexcept;
    bool send(transfer& t) noexcept;
    bool accept_one(transfer& t) noexcept;
    bool see_connected(transfer& t) noexcept;
    bool attempt_reading(transfer& t) noexcept;
    bool attempt_writing(transfer& t) noexcept;
    bool move_on(transfer& t, long moved) noexcept;
    void received(transfer& t, std::size_t n) noexcept;

    // await_suspend.
    friend class transfer;
    template <attempt Attempt>
    static bool begin(transfer& t, std::coroutine_handle<> h) noexcept;
    template <bool Reading>
    static bool move_or_wait(transfer& t, std::coroutine_handle<> h) noexcept;
    static bool end_moving(transfer& t, long n) noexcept;
    bool conclude(transfer& t, bool over, std::coroutine_handle<> h) noexcept;
    bool link(transfer& t, context& scope, std::coroutine_handle<> h) noexcept;

    // The end of a wait.
    void sort_out(std::uint32_t events) noexcept;
    void have_moved(transfer& t, long n) noexcept;
    void hand_over(transfer& t, transfer*& place) noexcept;
    transfer* close_on(transfer*& place) noexcept;

    atomic<std::uint32_t> lock_{0};
    atomic<std::uint32_t> owners_{1};
    unique_fd fd_; // guarded by lock_, as all that follows
    unsigned flags_;
    transfer* reader_ = nullptr; // or acceptor
    transfer* writer_ = nullptr; // or connector
    // `loop_` where it is the waiting tasks' own, so that they run on its thread. For other workers, which
    // keep no share here and may be gone, with another one at their address, the keeper is asked for each
    // time.
    worker* home_ = nullptr;
    loop_engine* loop_ = nullptr; // that watches it; owns a share of it
    registration* registered_ = nullptr;
};

} // namespace plait::detail
