// SPDX-License-Identifier: Apache-2.0
#include <plait/future.hpp>

#include <future>
#include <vector>

namespace plait::detail {

namespace {

// Cancels what a cancelled task awaited. That may be a task that awaits a future, and so on: a chain of any
// length must not need stack, so only the outermost call on a thread cancels, and those inside leave it their
// states.
void cancel_awaited(state_base& state) noexcept {
    thread_local std::vector<state_base*>* outermost = nullptr;
    if (outermost) {
        state.add_owner(); // the waiter that owns it may go on, and be gone
        outermost->push_back(&state);
        return;
    }
    std::vector<state_base*> inner;
    outermost = &inner;
    state.cancel(cancel_mode::ask);
    while (!inner.empty()) {
        state_base* const next = inner.back();
        inner.pop_back();
        next->cancel(cancel_mode::ask);
        next->release_owner();
    }
    outermost = nullptr;
}

} // namespace

bool future_waiter::await_suspend(std::coroutine_handle<> h) {
    if (!arm(h, "future")) {
        cancel_awaited(*state_); // stopped before it came here: the same as while it waits
        return false;
    }
    switch (state_->add_hook(*this)) {
    case state_base::added::linked:
        return true;                 // from here on the task may already run elsewhere
    case state_base::added::refused: // cancelled before it was linked, so nobody has called unlink()
        cancel_awaited(*state_);
        return settle();
    case state_base::added::ready:
        break;
    }
    if (!complete_at_once() || current().budget != 0) return settle();
    // Ready, but the task has had its share of ready awaits: to the back of the queue.
    post();
    return true;
}

void future_waiter::unlink() noexcept {
    state_->remove_hook(*this);
    cancel_awaited(*state_);
}

void throw_already_satisfied() { throw std::future_error{std::future_errc::promise_already_satisfied}; }
void throw_already_retrieved() { throw std::future_error{std::future_errc::future_already_retrieved}; }
std::exception_ptr broken_promise_error() noexcept {
    return std::make_exception_ptr(std::future_error{std::future_errc::broken_promise});
}

} // namespace plait::detail
