// SPDX-License-Identifier: Apache-2.0
#include <plait/async_shared_mutex.hpp>

namespace plait {

namespace detail {

bool exclusive_awaiter::await_ready() {
    return ready([this] { return mutex_->take(); });
}
bool exclusive_awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_shared_mutex", [this] { return mutex_->take(); });
}
// Readers may have stood behind it alone.
void exclusive_awaiter::left(woken_waits& others) noexcept { mutex_->admit(others); }

bool shared_awaiter::await_ready() {
    return ready([this] { return mutex_->take_shared(); });
}
bool shared_awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_shared_mutex, shared", [this] { return mutex_->take_shared(); });
}

} // namespace detail

async_shared_mutex::guard async_shared_mutex::try_lock() noexcept {
    const detail::spin_guard mine{queue_.lock};
    return take() ? guard{*this, false} : guard{};
}
async_shared_mutex::guard async_shared_mutex::try_lock_shared() noexcept {
    const detail::spin_guard mine{queue_.lock};
    return take_shared() ? guard{*this, true} : guard{};
}

// Under the lock: all from the front on that can go in.
void async_shared_mutex::admit(detail::woken_waits& woken) noexcept {
    while (const auto* const first = static_cast<detail::shared_mutex_wait*>(queue_.list.front())) {
        if (first->shared() ? users_ < 0 : users_ != 0) return;
        users_ = first->shared() ? users_ + 1 : -1;
        queue_.end_first(woken);
    }
}

void async_shared_mutex::unlock(bool shared) noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard mine{queue_.lock};
        users_ = shared ? users_ - 1 : 0;
        admit(woken);
    }
    detail::wait_queue::wake(woken);
}

} // namespace plait
