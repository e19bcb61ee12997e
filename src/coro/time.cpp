// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <string>

namespace plait::detail {

bool sleep_awaiter::await_suspend(std::coroutine_handle<> h) {
    worker& home = *running_scope().home;
    if (duration_ <= nanoseconds::zero()) {
        if (!arm(h, "sleep_for")) return false;
        if (!complete_at_once()) return settle();
        post();
        return true;
    }
    worker& keeper = home.keeper();
    if (!arm(h, "sleep_for", &keeper)) return false;
    deadline_ = later(home.now(), duration_);
    if (!keeper.is_current()) {
        keeper.post(arm_); // published there; from here on the task may run elsewhere
        return true;
    }
    if (!pend()) return settle();
    publish();
    return true;
}

void sleep_awaiter::arm_on_keeper(work& w) noexcept {
    sleep_awaiter& self = static_cast<arm_work&>(w).self;
    if (self.pend())
        self.publish();
    else
        self.post(); // cancelled before it got here
}

void sleep_awaiter::publish() noexcept {
    if (deadline_ != time_point::max()) bound()->add_timer(*this);
}

void sleep_awaiter::fired(timer& t) noexcept {
    auto& self = static_cast<sleep_awaiter&>(t);
    if (self.complete()) self.post();
}

void sleep_awaiter::unlink() noexcept { bound()->remove_timer(*this); }

void yield_awaiter::await_suspend(std::coroutine_handle<> h) {
    handle_ = h;
    scope_ = &running_scope();
    task_node& entry = *scope_->node;
    entry.awaits.store("yield", order::relaxed);
    entry.state.store(task_state::waiting, order::release);
    scope_->home->post(*this);
}

void yield_awaiter::resume_work(work& w) noexcept {
    auto& self = static_cast<yield_awaiter&>(w);
    resume(self.handle_, *self.scope_);
}

bool timeout_core::begin(std::coroutine_handle<> h) {
    context& parent = running_scope();
    worker& home = *parent.home;
    child_.home = &home;
    child_.node = parent.node;
    child_.attempt = parent.attempt;
    timer_.deadline_ = later(home.now(), duration_);
    child_.deadline = timer_.deadline_ < parent.deadline ? timer_.deadline_ : parent.deadline;
    if (!arm(h, "timeout")) return false;
    if (timer_.deadline_ == time_point::max()) return true;
    worker& keeper = home.keeper();
    if (keeper.is_current())
        keeper.add_timer(timer_);
    else
        keeper.post(arm_);
    return true;
}

void timeout_core::arm_on_keeper(work& w) noexcept {
    timeout_core& self = static_cast<step_work&>(w).self;
    self.scope().home->keeper().add_timer(self.timer_);
}

void timeout_core::fired(timer& t) noexcept {
    timeout_core& self = static_cast<deadline_timer&>(t).self;
    // Before the stop: whoever sees the child cancelled sees why.
    self.fired_.store(1, order::release);
    self.child_.stop();
}

void timeout_core::child_ended(work& w) noexcept {
    timeout_core& self = static_cast<end_work&>(w).self;
    if (self.timer_.deadline_ != time_point::max()) {
        worker& keeper = self.scope().home->keeper();
        if (!keeper.is_current()) {
            // The timer is that thread's. When it is off there, nothing refers to us any more: the inbox
            // keeps the order, so `arm_` has run by then.
            keeper.post(self.disarm_);
            return;
        }
        keeper.remove_timer(self.timer_);
    }
    self.post();
}

void timeout_core::disarm_on_keeper(work& w) noexcept {
    timeout_core& self = static_cast<step_work&>(w).self;
    self.scope().home->keeper().remove_timer(self.timer_);
    self.post();
}

void timeout_core::throw_stopped() const {
    // Mine only if nobody further out wants the task to end as well.
    if (fired_.load(order::acquire) != 0 && !scope().stopped()) throw_expired(duration_);
    throw cancelled{};
}

void timeout_core::throw_expired(nanoseconds d) {
    throw timeout_error{"timeout: the task did not end within " +
                        std::to_string(std::chrono::duration<double>(d).count()) + " s"};
}

} // namespace plait::detail
