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
/// the wait is over are one step under it, so a cancelled read has taken nothing.
///
/// Owners: the handle, each registration with a loop, each transfer that has suspended.
class stream final : public pooled {
  public:
    enum : int { closed_here = -1, two_at_once = -2, ended_early = -3, not_a_socket = -4 };

    /// `known`: which of readable and writable to try before the first event.
    stream(unique_fd fd, unsigned known) noexcept : fd_{std::move(fd)}, flags_{known} {}

    static constexpr unsigned readable = 1, writable = 2, ended = 4;
    static unsigned flag_of(const transfer& t) noexcept { return t.reads() ? readable : writable; }

    /// Under the lock: is there anything to attempt, or to complain about?
    bool idle_for(const transfer& t) const noexcept { return !(flags_ & flag_of(t)) && t.size_ != 0; }
    /// Under the lock: as attach(), at the price of a comparison if it is.
    int attached(worker& home) noexcept { return home_ == &home ? 0 : attach(home); }

    /// Under the lock: watched from now on by the loop that keeps `home`'s descriptors, unless somebody waits
    /// by another one. 0 or an errno.
    int attach(worker& home) noexcept;
    /// Under the lock: moves what can be moved. True: over.
    bool attempt(transfer& t) noexcept;
    /// Ends all waits with closed_error, and the descriptor.
    void close() noexcept;

    void add_owner() noexcept { owners_.fetch_add(1, order::relaxed); }
    void release_owner() noexcept {
        if (owners_.fetch_sub(1, order::acq_rel) == 1) delete this;
    }

    atomic<std::uint32_t>& lock() noexcept { return lock_; }
    transfer*& place_of(const transfer& t) noexcept { return t.reads() ? reader_ : writer_; }

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
    transfer* end(transfer*& place, int error) noexcept;
    template <bool Reading>
    bool move(transfer& t) noexcept;
    bool accept_one(transfer& t) noexcept;

    atomic<std::uint32_t> lock_{0};
    atomic<std::uint32_t> owners_{1};
    unique_fd fd_; // guarded by lock_, as all that follows
    unsigned flags_;
    transfer* reader_ = nullptr;  // or acceptor
    transfer* writer_ = nullptr;  // or connector
    worker* home_ = nullptr;      // whose keeper `loop_` is
    loop_engine* loop_ = nullptr; // that watches it; owns a share of it
    registration* registered_ = nullptr;
};

} // namespace plait::detail
