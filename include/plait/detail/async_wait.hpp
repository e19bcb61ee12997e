// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>
#include <plait/detail/spin_lock.hpp>
#include <plait/detail/wait_list.hpp>

// What the locks for coroutines share: a lock of a few instructions, and the list of the tasks that wait.

namespace plait::detail {

class queued_wait;
using woken_waits = woken_list<queued_wait>;

/// Those who wait for one mutex, event, ...: first come, first served. `lock` guards the list and all that
/// belongs to it.
///
/// Orders: who need not wait has all that the last one did from that word: acquire and release. Who waits
/// does not come back to it: whoever ends the wait acquires the word, and releases it all by the wait's own
/// (`waiter::complete`), which the task acquires when it goes on (`was_cancelled`).
struct wait_queue {
    atomic<std::uint32_t> lock{0};
    wait_list<queued_wait> list;

    bool empty() const noexcept { return list.empty(); }

    /// Under the lock: ends the first one's wait; null if there is none. To be woken by `wake`.
    queued_wait* end_first(woken_waits& woken) noexcept;
    void end_all(woken_waits& woken) noexcept {
        while (end_first(woken)) {}
    }
    /// Outside of it.
    static void wake(woken_waits& woken) noexcept;
};

/// A task's wait in such a queue. Its word changes under the queue's lock alone, cancellers included: whoever
/// stands in the list can be given what it waits for, and what was given is never lost to a cancellation.
class [[gnu::visibility("default")]] queued_wait : public waiter, public wait_entry {
  public:
    queued_wait* next_woken = nullptr;
    bool withdraw() noexcept final;

  protected:
    explicit queued_wait(wait_queue& q) noexcept : queue_{&q} {}
    ~queued_wait() = default;

    wait_queue& queue() const noexcept { return *queue_; }

    /// Under the lock, after a canceller has taken this off the list: what follows from that for others.
    virtual void left(woken_waits& others) noexcept { static_cast<void>(others); }

    /// The body of await_suspend. `take`, under the lock: true if it need not wait.
    template <class Take>
    bool suspend(std::coroutine_handle<> h, const char* what, Take take) {
        if (!arm(h, what)) return false;
        wait_queue& q = *queue_; // this may be gone as soon as the lock is free
        {
            const spin_guard guard{q.lock};
            if (was_cancelled()) return settle();
            if (!take()) {
                pend(); // cannot fail: cancellers take the lock
                q.list.push_back(*this);
                return true;
            }
            complete_at_once();
        }
        return go_on();
    }
    /// It need not wait; but a task that has had its share of ready awaits gives way.
    bool go_on() noexcept;

    /// The body of await_ready: `take` under the lock.
    template <class Take>
    bool ready(Take take) {
        if (!may_go_on()) return false;
        const spin_guard guard{queue_->lock};
        return take();
    }

  private:
    wait_queue* queue_;
};

} // namespace plait::detail
