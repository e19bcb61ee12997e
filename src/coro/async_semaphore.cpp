// SPDX-License-Identifier: Apache-2.0
#include <plait/async_semaphore.hpp>

#include <limits>
#include <stdexcept>
#include <string>

namespace plait {

namespace detail {
namespace {
std::ptrdiff_t not_negative(std::ptrdiff_t permits) {
    if (permits < 0)
        throw std::invalid_argument{"async_semaphore: " + std::to_string(permits) +
                                    " permits: there cannot be less than none"};
    return permits;
}
} // namespace

bool permit_awaiter::await_ready() {
    return ready([this] { return of_->take(); });
}
bool permit_awaiter::await_suspend(std::coroutine_handle<> h) {
    return suspend(h, "async_semaphore", [this] { return of_->take(); });
}
async_semaphore::permit permit_awaiter::await_resume() {
    check();
    return async_semaphore::permit{*of_};
}
} // namespace detail

async_semaphore::async_semaphore(std::ptrdiff_t permits) : permits_{detail::not_negative(permits)} {}

async_semaphore::permit async_semaphore::try_acquire() noexcept {
    const detail::spin_guard guard{queue_.lock};
    return take() ? permit{*this} : permit{};
}

void async_semaphore::release(std::ptrdiff_t permits) { give_back(detail::not_negative(permits)); }

void async_semaphore::give_back(std::ptrdiff_t permits) noexcept {
    detail::woken_waits woken;
    {
        const detail::spin_guard guard{queue_.lock};
        while (permits > 0 && queue_.end_first(woken)) --permits;
        const std::ptrdiff_t room = std::numeric_limits<std::ptrdiff_t>::max() - permits_;
        permits_ += permits < room ? permits : room;
    }
    detail::wait_queue::wake(woken);
}

std::ptrdiff_t async_semaphore::available() const noexcept {
    const detail::spin_guard guard{queue_.lock};
    return permits_;
}

} // namespace plait
