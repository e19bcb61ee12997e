// SPDX-License-Identifier: Apache-2.0
#include <plait/shield.hpp>

namespace plait::detail {

void shield_core::begin(std::coroutine_handle<> h) {
    handle_ = h;
    parent_ = &running_scope();
    // No slot is taken in the parent's scope: a canceller finds nothing there to pass the stop on to.
    child_.home = parent_->home;
    child_.node = parent_->node;
    child_.attempt = parent_->attempt;
}

void shield_core::child_ended(work& w) noexcept {
    auto& self = static_cast<shield_core&>(w);
    self.run_ = &resume_parent;
    self.parent_->home->post(self);
}

void shield_core::resume_parent(work& w) noexcept {
    auto& self = static_cast<shield_core&>(w);
    resume(self.handle_, *self.parent_);
}

} // namespace plait::detail
