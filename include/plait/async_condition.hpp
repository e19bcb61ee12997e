// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/async_mutex.hpp>
#include <plait/task.hpp>

namespace plait {

/// Waiting for a change of what an async_mutex guards.
///
///     plait::async_mutex m;
///     plait::async_condition changed;
///     bool open = true;
///     auto lock = co_await m.lock();
///     co_await changed.wait(lock, [&] { return open; }); // locked again when it goes on
///
/// Threads:       any member from any thread; notify with the mutex locked or not.
/// Order:         what happened before a notification is visible after the wait that it ends: the word of
///                that wait is released by the one and acquired by the other. What happened under the
///                mutex is visible by the mutex's own words, since it is locked again. Fairness:
///                notify_one wakes the one that has waited longest; then it queues for the mutex as others
///                do.
/// Cancellation:  the wait ends with `cancelled`, **and the mutex is locked again all the same**: that part
///                is not cancellable, so that the guard is right. A notification is never used up by a wait
///                that was cancelled (test C20).
/// Errors:        a guard that holds nothing: logic_error.
/// Cost:          two frames and the mutex's.
class [[gnu::visibility("default")]] async_condition {
  public:
    async_condition() noexcept = default;
    async_condition(const async_condition&) = delete;
    async_condition& operator=(const async_condition&) = delete;

    /// Unlocks, waits for a notification, and locks again. Goes on after a notification only.
    task<> wait(async_mutex::guard& lock);
    /// Waits until `holds()`, which is called with the mutex locked.
    template <class Predicate>
    task<> wait(async_mutex::guard& lock, Predicate holds) {
        while (!holds()) co_await wait(lock);
    }

    void notify_one() noexcept;
    void notify_all() noexcept;

  private:
    class awaiter;
    detail::wait_queue queue_;
};

} // namespace plait
