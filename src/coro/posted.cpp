// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/posted.hpp>

#include <plait/detail/job.hpp>

namespace plait::detail {

posted::posted(worker& owner, std::source_location created, function* f) noexcept
    : work{f}, owner_{&owner}, created_{created}, parent_{0}, deadline_{time_point::max()} {
    unstarted_ = true;
    posted_ = true;
    priority_ = static_cast<unsigned char>(priority::normal);
    if (context* const parent = task_scope()) {
        parent_ = parent->node->id.load(order::relaxed);
        deadline_ = parent->deadline;
    }
}

posted::running::running(const posted& self) noexcept : thread_{current()}, outer_{thread_.scope} {
    home = self.owner_;
    deadline = self.deadline_;
    node = &new_task_node(nullptr, self.created_, self.parent_);
    set_running(*node, thread_);
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

posted_here::posted_here(worker& owner) noexcept
    : work{&run_record},
      owner_{owner},
      thread_{current()},
      node_{new_task_node(nullptr, {}, 0)},
      visible_{node_.id.load(order::relaxed) != 0} {
    if (!visible_) return;
    node_.thread.store(thread_.thread, order::relaxed);
    rest_task_node(node_);
    thread_.own_node = &node_;
}

posted_here::~posted_here() {
    thread_.own_node = nullptr;
    free_task_node(node_);
}

void posted_here::run_record(work& w) noexcept {
    posted_here& self = static_cast<posted_here&>(w);
    std::exception_ptr failure;
    if (self.owner_.refusing()) {
        failure = self.owner_.refusal();
    } else {
        if (!self.scope_ || self.scope_->stopped()) { // a time limit of the last one's
            context& fresh = self.scope_.emplace();
            fresh.home = &self.owner_;
            fresh.node = &self.node_;
        }
        posted_kind& kind = *self.record.kind();
        if (self.visible_) wake_task_node(self.node_, kind.place.load(order::relaxed), 0);
        context* const outer = std::exchange(self.thread_.scope, &*self.scope_);
        try {
            kind.run(self.record);
        } catch (...) {
            failure = std::current_exception();
        }
        self.thread_.scope = outer;
        if (self.visible_) rest_task_node(self.node_);
    }
    if (failure && !is_cancellation(failure)) self.owner_.unhandled(failure, nullptr);
}

} // namespace plait::detail
