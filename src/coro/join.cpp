// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/join.hpp>

#include <plait/gather.hpp>
#include <stdexcept>

namespace plait::detail {

join::~join() { delete[] children_; }

void join::allocate(std::size_t n) {
    children_ = n ? new join_child[n] : nullptr;
    count_ = n;
    for (std::size_t i = 0; i < n; ++i) {
        children_[i].run_ = &begin_child;
        children_[i].parent = this;
    }
}

bool join::suspend(std::coroutine_handle<> h, std::size_t limit) {
    if (!arm(h, what_)) return false;
    if (count_ == 0) return settle();
    left_.store(count_ + 1, order::relaxed);
    const context& parent = scope();
    const std::size_t first = limit != 0 && limit < count_ ? limit : count_;
    for (std::size_t i = 0; i < count_; ++i) {
        context& s = children_[i].scope;
        s.home = parent.home;
        s.deadline = parent.deadline;
        s.attempt = parent.attempt;
        s.node = parent.node; // its own from when it begins
    }
    for (std::size_t i = 0; i < first; ++i) begin_next();
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(1, order::acq_rel) != 1 || settle();
}

void join::begin_next() noexcept {
    const std::size_t i = begun_.fetch_add(1, order::relaxed);
    if (i >= count_) return;
    children_[i].scope.home->post(children_[i]);
}

void join::begin_child(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    // Children are stopped one after the other, and those that are may end and let this one begin before it
    // is its turn. What made them stop was set before all that. It never runs.
    if (self.scope.stopped() || self.parent->scope().stopped() ||
        self.parent->stopping_.load(order::acquire) != 0)
        return self.parent->child_ended(self, child_end::cancelled);
    // The registry's parent is the task that gathers.
    execution& e = current();
    context* const before = std::exchange(e.scope, &self.parent->scope());
    self.scope.node = &new_task_node(nullptr, {});
    e.scope = before;
    self.run_ = &frame_ended;
    self.ran = true;
    resume(self.frame, self.scope);
}

void join::frame_ended(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    free_task_node(*self.scope.node);
    join& parent = *self.parent;
    parent.child_ended(self, parent.end_of(static_cast<std::size_t>(&self - parent.children_)));
}

void join::child_ended(join_child& c, child_end how) noexcept {
    if (how == child_end::cancelled) any_cancelled_.store(1, order::release);
    // A cancellation that we, or somebody further out, asked for decides nothing; one by hand counts as a
    // failure.
    const bool decides =
        mode_ == mode::all ? how == child_end::failure || (how == child_end::cancelled && !scope().stopped())
        : mode_ == mode::first ? how != child_end::cancelled
                               : false;
    if (decides) {
        std::size_t nobody = none;
        if (decisive_.compare_exchange(nobody, static_cast<std::size_t>(&c - children_), order::acq_rel,
                                       order::acquire))
            stop_children();
    }
    begin_next();
    if (left_.fetch_sub(1, order::acq_rel) == 1) post();
}

// By a child that has not been counted out, so all of this outlives it.
void join::stop_children() noexcept {
    if (stopping_.exchange(1, order::acq_rel) != 0) return;
    for (std::size_t i = 0; i < count_; ++i) children_[i].scope.stop();
}

// By whoever cancels the parent.
context* join::next_child() noexcept { return visited_ < count_ ? &children_[visited_++].scope : nullptr; }

void join::report_failures(std::size_t but) noexcept {
    for (std::size_t i = 0; i < count_; ++i)
        if (i != but && children_[i].ran && end_of(i) == child_end::failure)
            scope().home->unhandled(error_of(i), nullptr);
}

void throw_empty_race() {
    throw std::invalid_argument{"race: the range is empty, so nobody can be the first"};
}

} // namespace plait::detail
