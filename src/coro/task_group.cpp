// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/parking_place.hpp>
#include <plait/errors.hpp>
#include <plait/task_group.hpp>

#include <stdexcept>

namespace plait {

void task_group::cancel_and_wait() noexcept {
    core().cancel(true);
    forks_.join();
    wait_quietly();
}

bool task_group::admit(detail::job_core& child) {
    try {
        if (core().add(child)) {
            child.group = &core();
            return true;
        }
    } catch (...) {
        child.cancel_unqueued();
        throw;
    }
    return false;
}

void task_group::refuse_own_loop() const {
    const detail::worker& home = *home_;
    if (home.single_threaded() && home.is_current())
        throw std::logic_error{"task_group: its wait would block the loop that runs the children; use "
                               "co_await plait::with_group(...)"};
}

void task_group::wait_for_children() {
    if (!admit_) throw std::logic_error{"task_group::wait: with_group waits for its group by itself"};
    refuse_own_loop();
    wait_quietly();
    if (auto errors = core().take_errors(); !errors.empty()) throw error_group{std::move(errors)};
}

void task_group::wait_quietly() {
    // A thread of the pool runs what nobody has begun: it may be the only one.
    if (detail::current().worker == home_)
        while (detail::job_core* child = core().next_unclaimed()) {
            child->run_if_unclaimed();
            child->let_go();
        }
    struct all_gone : detail::work {
        all_gone() noexcept
            : work{[](detail::work& w) noexcept { static_cast<all_gone&>(w).place.wake(); }} {}
        detail::parking_place place;
    } last;
    if (!core().wait_with(last)) last.place.sleep();
    core().reopen();
}

namespace detail {

bool group_join::begin(std::coroutine_handle<> h) {
    context& parent = running_scope();
    body_.home = parent.home;
    body_.node = parent.node;
    body_.deadline = parent.deadline;
    body_.attempt = parent.attempt;
    core_.body = &body_; // before a canceller can find us
    core_.when_all_gone(last_);
    return arm(h, "with_group");
}

void group_join::everybody_gone(work& w) noexcept { static_cast<last_work&>(w).self.post(); }

void settle_group(group_core& core, const context& scope, bool body_cancelled, bool body_is_void) {
    if (auto errors = core.take_errors(); !errors.empty()) throw error_group{std::move(errors)};
    if (scope.stopped() && (body_cancelled || core.any_cancelled())) throw cancelled{};
    // group.cancel() in a body that gives nothing: a quiet end.
    if (body_cancelled && !(core.cancelled_by_owner() && body_is_void)) throw cancelled{};
}

} // namespace detail
} // namespace plait
