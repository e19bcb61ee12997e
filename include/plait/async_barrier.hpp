// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/async_wait.hpp>

namespace plait {

/// n tasks meet here, round after round: each waits until all have come.
///
///     plait::async_barrier meeting{1};
///     const bool last = co_await meeting.arrive_and_wait();
///     if (last) use(last); // one of them cleans up after the round
///
/// Threads:       any member from any thread.
/// Order:         what happened before anybody arrived is visible to all of that round: the barrier's own
///                lock word is released by each and acquired by the last, who wakes the others: it
///                releases the word of each one's wait, which that one acquires. Fairness: the first n
///                that come make a round; who comes later joins the next one.
/// Cancellation:  a cancelled wait no longer counts, and breaks nothing: the round waits for another one
///                (tests Y12, C20).
/// Errors:        n = 0 throws invalid_argument.
/// Cost:          as async_event.
class [[gnu::visibility("default")]] async_barrier {
  public:
    class awaiter;

    explicit async_barrier(std::size_t n);
    async_barrier(const async_barrier&) = delete;
    async_barrier& operator=(const async_barrier&) = delete;

    /// True for the one that came last.
    [[nodiscard]] awaiter arrive_and_wait() noexcept;

  private:
    detail::wait_queue queue_;
    std::size_t n_;
    std::size_t waiting_ = 0; // guarded by queue_.lock: how many stand in the list
};

class [[nodiscard, gnu::visibility("default")]] async_barrier::awaiter final : public detail::queued_wait {
  public:
    explicit awaiter(async_barrier& b) noexcept : queued_wait{b.queue_}, barrier_{&b} {}
    awaiter(awaiter&& other) noexcept : awaiter{*other.barrier_} {} // not awaited yet
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h);
    bool await_resume() const {
        check();
        return last_;
    }

  private:
    void left(detail::woken_waits& others) noexcept override;
    async_barrier* barrier_;
    bool last_ = false;
};

inline async_barrier::awaiter async_barrier::arrive_and_wait() noexcept { return awaiter{*this}; }

} // namespace plait
