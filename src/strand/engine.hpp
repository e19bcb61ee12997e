// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/context_ring.hpp"
#include "base/owner_ref.hpp"
#include "strand/failures.hpp"
#include "strand/housekeeping.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>
#include <plait/detail/context.hpp>
#include <plait/detail/worker.hpp>
#include <plait/executor.hpp>

namespace plait::detail {

/// What the engines behind all in-process executors share: who is in, what happens to failures that nobody
/// awaits, which coroutines to stop, and how long the engine itself lives.
///
/// One word counts the tasks (from bit 2 on), with two flags: closed (no more are let in) and deferred (the
/// last one out calls on_idle()). Whoever comes too late counts itself in for a moment, and out again; but
/// for that the count only falls after closed, so it reaches zero once. Several may be counted out at once
/// (see pool_engine).
///
/// Lifetime:  counted. The executor and each thread own it; the last one deletes it.
class engine : public worker {
  public:
    engine(const char* kind, unhandled_handler handler);

    void enter() override { enter(1); }
    void leave() noexcept override;
    failure_handler& failures() noexcept override { return *failures_; }
    void remember(job_core& root) noexcept override;
    void forget(job_core& root) noexcept override;
    worker& keeper() override;

    /// Lets nobody in any more. True: it was open until now.
    bool close() noexcept;
    bool closed() const noexcept { return (live_.load(order::acquire) & closed_bit) != 0; }
    /// Throws shutdown_error.
    void refuse_if_closed() const {
        if (closed()) throw_closed();
    }
    /// After close(): blocks until everybody has left.
    void wait_idle() noexcept;
    /// on_idle() is called, once, when everybody has left; perhaps here and now.
    void defer() noexcept;
    /// From now on what has not begun is cancelled when its turn comes.
    void cancel_pending() noexcept { cancelling_.store(1, order::release); }
    void run_pending() noexcept { cancelling_.store(0, order::release); }
    bool refusing() const noexcept override {
        return (cancelling_.load(order::acquire) | broken_.load(order::acquire)) != 0;
    }
    std::exception_ptr refusal() const noexcept override;

    /// Runs a worker's initializer, a few times if it throws. Then the engine is broken: every task is
    /// refused with pool_broken, which nests the cause.
    void initialize(function<void()>& initializer) noexcept;
    /// Stops every coroutine that is under way.
    void stop_roots() noexcept;

    bool idle() const noexcept { return (live_.load(order::acquire) >> 2) == 0; }

    // relaxed: whoever adds an owner is one, or has the engine from one.
    void add_owner() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
    void release_owner() noexcept;

    const char* kind() const noexcept { return kind_; }

  protected:
    /// As many enter() or leave() calls.
    void enter(std::uint32_t n);
    void leave(std::uint32_t n) noexcept;
    virtual ~engine();
    /// Everybody has left an engine that nobody waits for.
    virtual void on_idle() noexcept = 0;

  private:
    static constexpr std::uint32_t closed_bit = 1, deferred_bit = 2, one = 4;

    [[noreturn]] void throw_closed() const;
    void left(std::uint32_t before, std::uint32_t n) noexcept;

    const char* kind_;
    failure_handler_ptr failures_; // shared with futures whose tasks have failed
    // Released by leave(), acquired by the last one out, wait_idle() and idle(): what tasks did comes before
    // whatever follows their executor's end. closed: released by close(), acquired by who is refused.
    // deferred: released by defer(), acquired by the last one out, who then calls on_idle(). Who enters hands
    // nothing over: its task's queue does.
    atomic<std::uint32_t> live_{0};
    std::atomic<int> owners_{1};
    atomic<std::uint32_t> cancelling_{0}; // the flag is all: see remember() for who has to see it
    atomic<std::uint32_t> broken_{0};     // released with cause_, acquired by refusal()
    std::mutex roots_mutex_;
    context_ring roots_;         // guarded by roots_mutex_, as the next
    context_ring stopped_roots_; // those that stop_roots() has come to
    std::mutex initializer_mutex_;
    std::exception_ptr cause_; // written once, before broken_
    std::mutex keeper_mutex_;
    std::atomic<worker*> keeper_{nullptr}; // written under keeper_mutex_; released, as others look without it
};

/// The loop that keeps timers and descriptors for pools: one thread, alive while some engine has a share in
/// it.
worker& acquire_shared_keeper();
void release_shared_keeper() noexcept;

} // namespace plait::detail
