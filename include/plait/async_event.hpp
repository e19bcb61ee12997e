// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/async_wait.hpp>

namespace plait {

/// Something that has happened, or not yet.
///
///     plait::async_event ready;
///     co_await ready.wait(); // at once if it is set
///
/// Threads:       any member from any thread.
/// Order:         what happened before `set` is visible after the wait that it ends, and to who sees it
///                set: the event's own lock word is released by the one and acquired by who comes later;
///                for who waited already, the word of that wait. Fairness: `set` wakes all that wait at
///                that moment, in the order in which they came, even if `reset` follows at once.
/// Cancellation:  a cancelled wait leaves the queue; nothing else changes (tests Y11, C20).
/// Errors:        none; setting twice is harmless.
/// Cost:          as async_mutex; `set` a resumption for each that waits.
class [[gnu::visibility("default")]] async_event {
  public:
    class awaiter;

    async_event() noexcept = default;
    async_event(const async_event&) = delete;
    async_event& operator=(const async_event&) = delete;

    [[nodiscard]] awaiter wait() noexcept;
    void set() noexcept;
    void reset() noexcept;
    bool is_set() const noexcept;

  private:
    mutable detail::wait_queue queue_;
    bool set_ = false; // guarded by queue_.lock
};

class [[nodiscard, gnu::visibility("default")]] async_event::awaiter final : public detail::queued_wait {
  public:
    explicit awaiter(async_event& e) noexcept : queued_wait{e.queue_}, event_{&e} {}
    awaiter(awaiter&& other) noexcept : awaiter{*other.event_} {} // not awaited yet
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume() const { check(); }

  private:
    async_event* event_;
};

inline async_event::awaiter async_event::wait() noexcept { return awaiter{*this}; }

} // namespace plait
