// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/posted.hpp>

#include <plait/detail/job.hpp>

namespace plait::detail {

posted::posted(worker& owner, std::source_location created, function* f) noexcept
    : work{f}, owner_{&owner}, created_{created}, parent_{0}, deadline_{time_point::max()} {
    unstarted_ = true;
    posted_ = true;
    priority_ = static_cast<unsigned char>(priority::normal);
    if (const context* parent = current().scope) {
        parent_ = parent->node->id.load(order::relaxed);
        deadline_ = parent->deadline;
    }
}

posted::running::running(const posted& self) noexcept : thread_{current()}, outer_{thread_.scope} {
    home = self.owner_;
    deadline = self.deadline_;
    node = &new_task_node(nullptr, self.created_, self.parent_);
    node->state.store(task_state::running, order::relaxed);
    thread_.scope = this;
}

posted::running::~running() {
    thread_.scope = outer_;
    free_task_node(*node);
}

void posted::end(worker& owner, const std::exception_ptr& failure) noexcept {
    if (failure && !is_cancellation(failure)) owner.unhandled(failure, nullptr);
    owner.leave();
}

} // namespace plait::detail
