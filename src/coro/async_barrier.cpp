// SPDX-License-Identifier: Apache-2.0
#include <plait/async_barrier.hpp>

#include <stdexcept>

namespace plait {

async_barrier::async_barrier(std::size_t n) : n_{n} {
    if (n == 0)
        throw std::invalid_argument{"async_barrier: nobody meets at a barrier for 0; give at least 1"};
}

bool async_barrier::awaiter::await_suspend(std::coroutine_handle<> h) {
    async_barrier& b = *barrier_;
    detail::woken_waits woken; // only the last one fills it, and that one does not suspend here
    const bool suspended = suspend(h, "async_barrier", [&] {
        if (b.waiting_ + 1 < b.n_) {
            ++b.waiting_;
            return false;
        }
        last_ = true;
        b.waiting_ = 0;
        b.queue_.end_all(woken);
        return true;
    });
    detail::wait_queue::wake(woken);
    return suspended;
}

void async_barrier::awaiter::left(detail::woken_waits&) noexcept { --barrier_->waiting_; }

} // namespace plait
