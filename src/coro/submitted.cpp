// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/submitted.hpp>

#include "base/execution.hpp"

namespace plait::detail {

submitted::submitted(worker& owner, const submit_options& options) noexcept
    : work{nullptr}, owner_{&owner}, name_{options.name}, deadline_{time_point::max()} {
    unstarted_ = true;
    posted_ = true;
    priority_ = static_cast<unsigned char>(options.priority);
    if (context* const parent = this_execution.scope) {
        place_.store(parent->entry().id.load(order::relaxed), order::relaxed);
        deadline_ = parent->deadline;
    }
    if (name_) {
        node_ = &new_task_node(name_, options.created, place_.load(order::relaxed));
        in_registry_ = true;
    } else {
        created_ = options.created;
    }
}

submitted::running::running(submitted& self) noexcept : thread_{this_execution}, outer_{thread_.scope} {
    home = self.owner_;
    deadline = self.deadline_;
    if (std::exchange(self.in_registry_, false)) {
        node = self.node_;
        node->state.store(task_state::running, order::relaxed);
    } else if (thread_.own_node && thread_.own_node->id.load(order::relaxed) == 0) {
        rests_ = true;
        node = thread_.own_node;
        wake_task_node(*node, self.created_, self.place_.load(order::relaxed));
    } else {
        node = &new_task_node(nullptr, self.created_, self.place_.load(order::relaxed));
        node->state.store(task_state::running, order::relaxed);
    }
    // release: a canceller that finds it finds a scope.
    self.place_.store(reinterpret_cast<std::uintptr_t>(static_cast<context*>(this)) | is_scope,
                      order::release);
    thread_.scope = this;
}

void submitted::running::over() noexcept {
    thread_.scope = outer_;
    if (rests_)
        rest_task_node(*node);
    else
        free_task_node(*node);
}

context& submitted::scope() const noexcept {
    // A few instructions after it was claimed it is there. acquire: as a scope.
    std::uint64_t place = place_.load(order::acquire);
    for (unsigned round = 0; !(place & is_scope); place = place_.load(order::acquire))
        system_policy::pause(round++);
    return *reinterpret_cast<context*>(place & ~is_scope);
}

bool submitted::can_help() const noexcept {
    const execution& e = this_execution;
    return e.worker == owner_ && e.scope && !owner_->single_threaded() &&
           e.scope->node->id.load(order::relaxed) == place_.load(order::relaxed);
}

void submitted::keep_failures() noexcept {
    failures_ = &owner_->failures();
    failures_->add_owner();
    keeps_failures_ = true;
}

void submitted::report(const std::exception_ptr& error) const noexcept {
    if (keeps_failures_) failures_->tell(error, name_);
}

} // namespace plait::detail
