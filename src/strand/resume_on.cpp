// SPDX-License-Identifier: Apache-2.0
#include <plait/resume_on.hpp>

#include <stdexcept>

namespace plait::detail {

bool move_awaiter::await_ready() const {
    if (!to_->driven())
        throw std::logic_error{
            "resume_on: this serial has no thread that could go on with the task; only a task "
            "that was submitted to it can come back to it"};
    return false;
}

void move_awaiter::await_suspend(std::coroutine_handle<> h) {
    handle_ = h;
    scope_ = &running_scope();
    scope_->home = to_;
    task_node& entry = *scope_->node;
    entry.awaits.store("resume_on", order::relaxed);
    entry.state.store(task_state::waiting, order::release);
    to_->post(*this); // from here on the task may run there
}

void move_awaiter::arrived(work& w) noexcept {
    auto& self = static_cast<move_awaiter&>(w);
    resume(self.handle_, *self.scope_);
}

} // namespace plait::detail
