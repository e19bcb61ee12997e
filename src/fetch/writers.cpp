// SPDX-License-Identifier: Apache-2.0
#include "fetch/writers.hpp"

#include <pthread.h>

namespace plait::fetch {

writers::~writers() {
    {
        const std::lock_guard guard{mutex_};
        ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& one : threads_) one.join();
}

/// A call is queued until a thread takes it, under the lock; from then on it belongs to that thread until the
/// task is posted. So a canceller either finds it queued, and takes it back, or leaves it alone.
writers::taken writers::take(write_waiter& one) noexcept {
    bool wakes = false;
    {
        const std::lock_guard guard{mutex_};
        if (idle_ == 0 && threads_.size() < most) {
            try {
                threads_.reserve(most);
                threads_.emplace_back([this] { run(); });
            } catch (...) {
                if (threads_.empty()) return taken::no_thread;
            }
        }
        if (!one.pend()) return taken::cancelled;
        one.before_ = last_;
        (last_ != nullptr ? last_->behind_ : first_) = &one;
        last_ = &one;
        ++waiting_;
        wakes = idle_ > 0;
        if (wakes) --idle_;
    }
    if (wakes) wake_.notify_one();
    return taken::yes;
}

// Under the lock.
void writers::remove(write_waiter& one) noexcept {
    (one.before_ != nullptr ? one.before_->behind_ : first_) = one.behind_;
    (one.behind_ != nullptr ? one.behind_->before_ : last_) = one.before_;
    --waiting_;
}

void writers::run() noexcept {
    (void)::pthread_setname_np(::pthread_self(), "plait-writer");
    std::unique_lock lock{mutex_};
    for (;;) {
        while (first_ == nullptr) {
            if (ending_) return;
            ++idle_;
            wake_.wait(lock);
        }
        write_waiter& one = *first_;
        remove(one);
        one.begun_ = true;
        lock.unlock();
        one.call_(one.argument_);
        if (one.complete()) one.post(); // nobody else can have ended it; it is gone now
        lock.lock();
    }
}

bool write_waiter::await_suspend(std::coroutine_handle<> h) {
    if (!arm(h, "a file")) return false;
    switch (by_.take(*this)) {
    case writers::taken::yes:
        return true; // from here on it may be over: touch nothing
    case writers::taken::cancelled:
        break;
    case writers::taken::no_thread:
        if (complete_at_once()) call_(argument_);
        break;
    }
    return settle();
}

bool write_waiter::withdraw() noexcept {
    const std::lock_guard guard{by_.mutex_};
    return !begun_ && waiter::withdraw();
}

void write_waiter::unlink() noexcept { by_.remove(*this); }

} // namespace plait::fetch
