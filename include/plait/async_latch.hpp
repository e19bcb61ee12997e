// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/async_wait.hpp>

namespace plait {

/// Counts down to zero, once; tasks wait for that.
///
///     plait::async_latch parts{2};
///     parts.count_down();
///     parts.count_down();
///     co_await parts.wait(); // at once: it is at zero
///
/// Threads:       any member from any thread.
/// Order:         what happened before each `count_down` is visible after `wait`: the latch's own lock
///                word is released by each, and acquired by the last, and by who comes later; for who
///                waited already, the last one releases the word of that wait. Fairness: all that wait are
///                woken, in the order in which they came.
/// Cancellation:  a cancelled wait leaves the queue; the count is as it was (tests Y13, C20).
/// Errors:        below zero, at the start too: invalid_argument, and the count is as it was.
/// Cost:          as async_event.
class [[gnu::visibility("default")]] async_latch {
  public:
    class awaiter;

    explicit async_latch(std::ptrdiff_t count);
    async_latch(const async_latch&) = delete;
    async_latch& operator=(const async_latch&) = delete;

    void count_down(std::ptrdiff_t n = 1);
    [[nodiscard]] awaiter wait() noexcept;
    /// Counts down and waits.
    [[nodiscard]] awaiter arrive_and_wait(std::ptrdiff_t n = 1);
    /// Is it at zero?
    bool try_wait() const noexcept;

  private:
    mutable detail::wait_queue queue_;
    std::ptrdiff_t count_; // guarded by queue_.lock
};

class [[nodiscard, gnu::visibility("default")]] async_latch::awaiter final : public detail::queued_wait {
  public:
    explicit awaiter(async_latch& l) noexcept : queued_wait{l.queue_}, latch_{&l} {}
    awaiter(awaiter&& other) noexcept : awaiter{*other.latch_} {} // not awaited yet
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume() const { check(); }

  private:
    async_latch* latch_;
};

inline async_latch::awaiter async_latch::wait() noexcept { return awaiter{*this}; }

} // namespace plait
