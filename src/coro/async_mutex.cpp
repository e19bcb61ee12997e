// SPDX-License-Identifier: Apache-2.0
#include <plait/async_mutex.hpp>

#include <stdexcept>

namespace plait {

namespace detail {
namespace {
[[noreturn]] void throw_not_locked() {
    throw std::logic_error{"async_mutex: unlock of a mutex that is not locked (by this guard, if it is one)"};
}
} // namespace

bool lock_awaiter::await_ready() {
    return ready([this] { return mutex_->take(); });
}
bool lock_awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_mutex", [this] { return mutex_->take(); });
}
async_mutex::guard lock_awaiter::await_resume() {
    check();
    return async_mutex::guard{*mutex_};
}
} // namespace detail

async_mutex::guard async_mutex::try_lock() noexcept {
    const detail::spin_guard mine{queue_.lock};
    return take() ? guard{*this} : guard{};
}

// False: it was not locked.
bool async_mutex::hand_on() noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard mine{queue_.lock};
        if (!locked_) return false;
        if (!queue_.end_first(woken)) locked_ = false;
    }
    detail::wait_queue::wake(woken);
    return true;
}

void async_mutex::unlock() {
    if (!hand_on()) detail::throw_not_locked();
}

void async_mutex::guard::unlock() {
    if (!mutex_) detail::throw_not_locked();
    release()->unlock();
}

} // namespace plait
