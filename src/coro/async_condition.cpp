// SPDX-License-Identifier: Apache-2.0
#include <plait/async_condition.hpp>

#include <plait/cancelled.hpp>
#include <plait/shield.hpp>
#include <stdexcept>

namespace plait {

class async_condition::awaiter final : public detail::queued_wait {
  public:
    awaiter(async_condition& c, async_mutex::guard& g) noexcept : queued_wait{c.queue_}, lock_{&g} {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h) {
        // It is unlocked only when this stands in the list: who then locks it and notifies finds us there.
        // By then this may be gone.
        async_mutex* unlocked = nullptr;
        const bool suspended = suspend(h, "async_condition", [&] {
            unlocked = lock_->release();
            return false;
        });
        if (unlocked) unlocked->unlock();
        return suspended;
    }
    void await_resume() const { check(); }

  private:
    async_mutex::guard* lock_;
};

namespace {
task<async_mutex::guard> lock_again(async_mutex& m) { co_return co_await m.lock(); }
} // namespace

task<> async_condition::wait(async_mutex::guard& lock) {
    if (!lock) throw std::logic_error{"async_condition: wait with a guard that holds no lock"};
    async_mutex& mutex = lock.mutex();
    bool stopped = false;
    awaiter notified{*this, lock};
    try {
        co_await notified;
    } catch (const cancelled&) {
        stopped = true;
    }
    if (!lock) {
        async_mutex::guard again = co_await shield(lock_again(mutex));
        lock = std::move(again);
    }
    if (stopped) throw cancelled{};
}

void async_condition::notify_one() noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard guard{queue_.lock};
        queue_.end_first(woken);
    }
    detail::wait_queue::wake(woken);
}

void async_condition::notify_all() noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard guard{queue_.lock};
        queue_.end_all(woken);
    }
    detail::wait_queue::wake(woken);
}

} // namespace plait
