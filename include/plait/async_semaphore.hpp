// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/async_wait.hpp>
#include <utility>

namespace plait {

namespace detail {
class permit_awaiter;
}

/// So many at the same time, and no more: a count of permits.
///
///     plait::async_semaphore connections{8};
///     auto mine = co_await connections.acquire();
///     co_await work(1); // at most eight are here
///
/// Threads:       any member from any thread.
/// Order:         what happened before a permit was given back is visible to who gets it: the semaphore's
///                own lock word is released by the one and acquired by the other, or, if that had to wait,
///                the word of its wait, in which it is handed over. Fairness: first come, first served: a
///                permit that is given back goes to the first one that waits, and no newcomer overtakes
///                it.
/// Cancellation:  a cancelled wait leaves the queue and takes no permit; the next one gets it. A permit that
///                was handed over before the cancellation is returned (tests Y10, C20).
/// Errors:        a negative number throws invalid_argument.
/// Cost:          as async_mutex.
class [[gnu::visibility("default")]] async_semaphore {
  public:
    /// One permit; given back at its end.
    ///
    /// Cancellation:  none: it waits for nothing.
    class [[nodiscard]] permit {
      public:
        permit() noexcept = default;
        permit(permit&& other) noexcept : of_{std::exchange(other.of_, nullptr)} {}
        permit& operator=(permit other) noexcept {
            std::swap(of_, other.of_);
            return *this;
        }
        ~permit() {
            if (of_) of_->give_back(1);
        }
        explicit operator bool() const noexcept { return of_ != nullptr; }
        /// It is not given back by this object; `release` of the semaphore does it.
        void keep() noexcept { of_ = nullptr; }

      private:
        friend async_semaphore;
        friend detail::permit_awaiter;
        explicit permit(async_semaphore& s) noexcept : of_{&s} {}
        async_semaphore* of_ = nullptr;
    };

    explicit async_semaphore(std::ptrdiff_t permits);
    async_semaphore(const async_semaphore&) = delete;
    async_semaphore& operator=(const async_semaphore&) = delete;

    /// Waits for a permit.
    [[nodiscard]] detail::permit_awaiter acquire() noexcept;
    /// An empty one if there is none, or others wait.
    permit try_acquire() noexcept;
    /// Puts permits in, kept ones or new ones.
    void release(std::ptrdiff_t permits = 1);
    /// Free ones, a moment ago.
    std::ptrdiff_t available() const noexcept;

  private:
    friend detail::permit_awaiter;
    bool take() noexcept { return permits_ > 0 && permits_--; } // under the lock
    void give_back(std::ptrdiff_t permits) noexcept;

    mutable detail::wait_queue queue_;
    std::ptrdiff_t permits_; // guarded by queue_.lock; 0 while somebody waits
};

namespace detail {
class [[nodiscard, gnu::visibility("default")]] permit_awaiter final : public queued_wait {
  public:
    explicit permit_awaiter(async_semaphore& s) noexcept : queued_wait{s.queue_}, of_{&s} {}
    permit_awaiter(permit_awaiter&& other) noexcept : permit_awaiter{*other.of_} {} // not awaited yet
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h);
    async_semaphore::permit await_resume();

  private:
    async_semaphore* of_;
};
} // namespace detail

inline detail::permit_awaiter async_semaphore::acquire() noexcept { return detail::permit_awaiter{*this}; }

} // namespace plait
