// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/async_wait.hpp>
#include <utility>

namespace plait {

namespace detail {
class exclusive_awaiter;
class shared_awaiter;
} // namespace detail

/// One that writes, or any number that read.
///
///     plait::async_shared_mutex table;
///     {
///         auto reading = co_await table.lock_shared();
///         co_await work(1); // others may read meanwhile
///     }
///     auto writing = co_await table.lock();
///
/// Threads:       any member from any thread.
/// Order:         what happened before an unlock is visible after the next lock of the other kind, or of
///                any that writes: the mutex's own lock word is released by the one and acquired by the
///                other, or, if that had to wait, the word of its wait, in which it is handed over.
///                Fairness: first come, first served: who reads waits behind a writer that waits, so that
///                neither kind starves; readers that stand next to each other in the queue go in together.
/// Cancellation:  a cancelled wait has locked nothing, and leaves the queue; those behind it go in if they
///                can now. What was handed over before the cancellation is held by the guard (test C20).
/// Errors:        none; guards alone unlock.
/// Cost:          as async_mutex.
class [[gnu::visibility("default")]] async_shared_mutex {
  public:
    /// Holds the lock in either way; unlocks at its end.
    ///
    /// Cancellation:  none: it waits for nothing.
    class [[nodiscard]] guard {
      public:
        guard() noexcept = default;
        guard(guard&& other) noexcept : of_{std::exchange(other.of_, nullptr)}, shared_{other.shared_} {}
        guard& operator=(guard other) noexcept {
            std::swap(of_, other.of_);
            std::swap(shared_, other.shared_);
            return *this;
        }
        ~guard() {
            if (of_) of_->unlock(shared_);
        }
        explicit operator bool() const noexcept { return of_ != nullptr; }

      private:
        friend async_shared_mutex;
        friend detail::exclusive_awaiter;
        friend detail::shared_awaiter;
        guard(async_shared_mutex& m, bool shared) noexcept : of_{&m}, shared_{shared} {}
        async_shared_mutex* of_ = nullptr;
        bool shared_ = false;
    };

    async_shared_mutex() noexcept = default;
    async_shared_mutex(const async_shared_mutex&) = delete;
    async_shared_mutex& operator=(const async_shared_mutex&) = delete;

    [[nodiscard]] detail::exclusive_awaiter lock() noexcept;
    [[nodiscard]] detail::shared_awaiter lock_shared() noexcept;
    /// An empty guard if it cannot be had at once, or others wait.
    guard try_lock() noexcept;
    guard try_lock_shared() noexcept;

  private:
    friend detail::exclusive_awaiter;
    friend detail::shared_awaiter;
    // Under the lock. -1: one writes; otherwise how many read.
    bool take() noexcept { return users_ == 0 && queue_.empty() && (users_ = -1) != 0; }
    bool take_shared() noexcept { return users_ >= 0 && queue_.empty() && ++users_ != 0; }
    void admit(detail::woken_waits& woken) noexcept;
    void unlock(bool shared) noexcept;

    detail::wait_queue queue_;
    std::ptrdiff_t users_ = 0; // guarded by queue_.lock
};

namespace detail {

/// Both kinds stand in one queue.
class [[gnu::visibility("default")]] shared_mutex_wait : public queued_wait {
  public:
    bool shared() const noexcept { return shared_; }

  protected:
    shared_mutex_wait(wait_queue& q, async_shared_mutex& m, bool shared) noexcept
        : queued_wait{q}, mutex_{&m}, shared_{shared} {}
    ~shared_mutex_wait() = default;
    async_shared_mutex* mutex_;

  private:
    bool shared_;
};

class [[nodiscard, gnu::visibility("default")]] exclusive_awaiter final : public shared_mutex_wait {
  public:
    explicit exclusive_awaiter(async_shared_mutex& m) noexcept : shared_mutex_wait{m.queue_, m, false} {}
    exclusive_awaiter(exclusive_awaiter&& other) noexcept : exclusive_awaiter{*other.mutex_} {}
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    async_shared_mutex::guard await_resume() {
        check();
        return {*mutex_, false};
    }

  private:
    void left(woken_waits& others) noexcept override;
};

class [[nodiscard, gnu::visibility("default")]] shared_awaiter final : public shared_mutex_wait {
  public:
    explicit shared_awaiter(async_shared_mutex& m) noexcept : shared_mutex_wait{m.queue_, m, true} {}
    shared_awaiter(shared_awaiter&& other) noexcept : shared_awaiter{*other.mutex_} {}
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    async_shared_mutex::guard await_resume() {
        check();
        return {*mutex_, true};
    }
};

} // namespace detail

inline detail::exclusive_awaiter async_shared_mutex::lock() noexcept {
    return detail::exclusive_awaiter{*this};
}
inline detail::shared_awaiter async_shared_mutex::lock_shared() noexcept {
    return detail::shared_awaiter{*this};
}

} // namespace plait
