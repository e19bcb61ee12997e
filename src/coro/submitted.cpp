// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/submitted.hpp>

#include <bit>

namespace plait::detail {

submitted::submitted(worker& owner, const submit_options& options) noexcept // NOLINT(*-member-init)
    : work{nullptr},
      owner_{reinterpret_cast<std::uintptr_t>(&owner) & ((std::uint64_t{1} << address_bits) - 1)},
      place_{std::bit_cast<std::uintptr_t>(options.created)} {
    unstarted_ = true;
    posted_ = true;
    priority_ = static_cast<unsigned char>(options.priority);
    const context* const parent = task_scope(current());
    if (!parent && !options.name) return;
    parent_ = parent ? parent->node->id.load(order::relaxed) : 0; // the running task's own
    deadline_ = parent ? parent->deadline : time_point::max();
    if (options.name) {
        name_ = options.name;
        node_ = &new_task_node(name_, options.created, parent_);
        place_.store(has_details | has_node, order::relaxed);
    } else {
        created_ = options.created;
        place_.store(has_details, order::relaxed);
    }
}

submitted::running::running(submitted& self) noexcept : thread_{current()}, outer_{thread_.scope} {
    home = &self.owner();
    const std::uint64_t place = self.place_.load(order::relaxed); // it came with the queue, or the future
    const bool more = (place & has_details) != 0;
    if (more) deadline = self.deadline_;
    if ((place & has_node) != 0) {
        node = self.node_;
        set_running(*node, thread_);
    } else {
        const auto created = more ? self.created_ : std::bit_cast<std::source_location>(place);
        const std::uint64_t parent = more ? self.parent_ : 0;
        rests_ = thread_.own_node && thread_.own_node->id.load(order::relaxed) == 0;
        if (rests_) {
            node = thread_.own_node;
            wake_task_node(*node, created, parent);
        } else {
            node = &new_task_node(nullptr, created, parent);
            set_running(*node, thread_);
        }
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
    execution& e = current();
    if (e.worker != &owner() || owner().single_threaded()) return false;
    const context* const scope = task_scope(e);
    // relaxed: parent_ was written before anybody could ask, and the running task's number is its own. One
    // that has begun meanwhile is not to be claimed again: try_start() finds that.
    return scope && (place_.load(order::relaxed) & (has_details | is_scope)) == has_details &&
           scope->node->id.load(order::relaxed) == parent_;
}

void submitted::keep_failures(bool named) noexcept {
    failures_ = &owner().failures();
    failures_->add_owner();
    if (!named) name_ = nullptr;
}

void submitted::report(const std::exception_ptr& error) const noexcept { failures_->tell(error, name_); }

} // namespace plait::detail
