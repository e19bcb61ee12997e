// SPDX-License-Identifier: Apache-2.0
#include <plait/async_latch.hpp>

#include <stdexcept>
#include <string>

namespace plait {

async_latch::async_latch(std::ptrdiff_t count) : count_{count} {
    if (count < 0)
        throw std::invalid_argument{"async_latch: a count of " + std::to_string(count) + " is below zero"};
}

bool async_latch::awaiter::await_ready() {
    return ready([this] { return latch_->count_ == 0; });
}
bool async_latch::awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_latch", [this] { return latch_->count_ == 0; });
}

void async_latch::count_down(std::ptrdiff_t n) {
    detail::woken_waits woken;
    std::ptrdiff_t left = 0;
    bool possible = false;
    {
        const detail::spin_guard guard{queue_.lock};
        left = count_;
        possible = n >= 0 && n <= count_;
        if (possible) count_ -= n;
        if (possible && count_ == 0) queue_.end_all(woken);
    }
    if (!possible)
        throw std::invalid_argument{"async_latch: cannot count down by " + std::to_string(n) + " from " +
                                    std::to_string(left)};
    detail::wait_queue::wake(woken);
}

async_latch::awaiter async_latch::arrive_and_wait(std::ptrdiff_t n) {
    count_down(n);
    return wait();
}

bool async_latch::try_wait() const noexcept {
    const detail::spin_guard guard{queue_.lock};
    return count_ == 0;
}

} // namespace plait
