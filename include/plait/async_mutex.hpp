// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/async_wait.hpp>
#include <utility>

namespace plait {

namespace detail {
class lock_awaiter;
}

/// A mutex for tasks: who finds it locked is suspended, and its thread does something else.
///
///     plait::async_mutex m;
///     {
///         auto lock = co_await m.lock();
///         co_await work(1); // nobody else is in here, whatever thread this goes on on
///     }
///
/// Threads:       any member from any thread; it may be unlocked on another thread than it was locked on.
/// Order:         what happened before an unlock is visible after the next lock: the mutex's own lock word
///                is released by the one and acquired by the other, or, if that had to wait, the word of
///                its wait, in which it is handed over. Fairness: first come, first served: an unlock
///                hands it over to the first one that waits, and nobody who comes later can overtake.
/// Cancellation:  a cancelled wait has not locked, and leaves the queue; a lock that was handed over before
///                the cancellation is held by the guard that is returned (tests Y8, C20).
/// Errors:        unlocking what is not locked throws logic_error.
/// Cost:          uncontended, one atomic read-modify-write to lock, one to unlock; no allocation.
class [[gnu::visibility("default")]] async_mutex {
  public:
    /// Holds the lock, and unlocks it once, at its end at the latest.
    ///
    /// Cancellation:  none: it waits for nothing.
    class [[nodiscard]] guard {
      public:
        guard() noexcept = default;
        guard(guard&& other) noexcept : mutex_{std::exchange(other.mutex_, nullptr)} {}
        guard& operator=(guard other) noexcept {
            std::swap(mutex_, other.mutex_);
            return *this;
        }
        ~guard() {
            if (mutex_) mutex_->hand_on();
        }
        explicit operator bool() const noexcept { return mutex_ != nullptr; }
        /// Before its end. Throws logic_error if it holds nothing.
        void unlock();
        /// Whose lock it holds; it has to hold one.
        async_mutex& mutex() const noexcept { return *mutex_; }
        /// Leaves it locked: whoever comes by it next calls the mutex's `unlock`.
        async_mutex* release() noexcept { return std::exchange(mutex_, nullptr); }

      private:
        friend async_mutex;
        friend detail::lock_awaiter;
        explicit guard(async_mutex& m) noexcept : mutex_{&m} {}
        async_mutex* mutex_ = nullptr;
    };

    async_mutex() noexcept = default;
    async_mutex(const async_mutex&) = delete;
    async_mutex& operator=(const async_mutex&) = delete;

    /// Waits until it is ours: a guard.
    [[nodiscard]] detail::lock_awaiter lock() noexcept;
    /// An empty guard if somebody has it.
    guard try_lock() noexcept;
    /// For a guard that was released. Throws logic_error if it is not locked.
    void unlock();

  private:
    friend detail::lock_awaiter;
    bool take() noexcept { return !std::exchange(locked_, true); } // under the lock
    bool hand_on() noexcept;

    detail::wait_queue queue_;
    bool locked_ = false; // guarded by queue_.lock; stays set while it is handed over
};

namespace detail {
class [[nodiscard, gnu::visibility("default")]] lock_awaiter final : public queued_wait {
  public:
    explicit lock_awaiter(async_mutex& m) noexcept : queued_wait{m.queue_}, mutex_{&m} {}
    lock_awaiter(lock_awaiter&& other) noexcept : lock_awaiter{*other.mutex_} {} // not awaited yet
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    async_mutex::guard await_resume();

  private:
    async_mutex* mutex_;
};
} // namespace detail

inline detail::lock_awaiter async_mutex::lock() noexcept { return detail::lock_awaiter{*this}; }

} // namespace plait
