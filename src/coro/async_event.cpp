// SPDX-License-Identifier: Apache-2.0
#include <plait/async_event.hpp>

namespace plait {

bool async_event::awaiter::await_ready() {
    return ready([this] { return event_->set_; });
}
bool async_event::awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_event", [this] { return event_->set_; });
}

void async_event::set() noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard guard{queue_.lock};
        set_ = true;
        queue_.end_all(woken);
    }
    detail::wait_queue::wake(woken);
}

void async_event::reset() noexcept {
    const detail::spin_guard guard{queue_.lock};
    set_ = false;
}

bool async_event::is_set() const noexcept {
    const detail::spin_guard guard{queue_.lock};
    return set_;
}

} // namespace plait
