// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/join.hpp>

#include <plait/detail/fork.hpp>
#include <plait/gather.hpp>
#include <stdexcept>

namespace plait::detail {

join::~join() { delete[] allocated_; }

void join::allocate(std::size_t n) {
    allocated_ = new join_child[n];
    use(allocated_, n);
}

void join::use(join_child* room, std::size_t n) noexcept {
    children_ = room;
    count_ = n;
    for (std::size_t i = 0; i < n; ++i) {
        children_[i].run_ = &begin_child;
        children_[i].parent = this;
    }
}

bool join::suspend(std::coroutine_handle<> h, std::size_t limit, bool driven) {
    if (!arm(h, what_)) return false;
    if (count_ == 0) return settle();
    const context& parent = scope();
    since_ = parent.home->coarse_now().time_since_epoch().count();
    for (std::size_t i = 0; i < count_; ++i) {
        context& s = children_[i].scope;
        s.home = parent.home;
        s.deadline = parent.deadline;
        s.attempt = parent.attempt;
        s.node = parent.node; // its own from when it begins
    }
    const std::size_t first = limit != 0 && limit < size() ? limit : size();
    execution& e = current();
    if (driven && e.forks && e.worker == parent.home) {
        fork_children(e, first);
        return true;
    }
    left_.store(size() + 1, order::relaxed);
    for (std::size_t i = 0; i < first; ++i) begin_next();
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(1, order::acq_rel) != 1 || settle();
}

// The parent has suspended, and cannot go on before the first child, which this thread goes on with, has
// ended.
void join::fork_children(execution& e, std::size_t n) noexcept {
    left_.store(size(), order::relaxed);
    begun_.store(n, order::relaxed);
    for (std::size_t i = n; i-- > 1;)
        if (!e.forks->fork(children_[i])) e.worker->post(children_[i]);
    join_child& first = children_[0];
    if (may_begin(first)) {
        e.scope = &first.scope;
        e.next = first.frame;
    } else if (count_out(first, child_end::cancelled)) {
        post();
    }
}

void join::begin_next() noexcept {
    const std::size_t i = begun_.fetch_add(1, order::relaxed);
    if (i >= size()) return;
    children_[i].scope.home->post(children_[i]);
}

// False: it never runs. Children are stopped one after the other, and those that are may end and let this one
// begin before it is its turn. What made them stop was set before all that.
bool join::may_begin(join_child& c) noexcept {
    if (c.scope.stopped() || scope().stopped() || stopping_.load(order::acquire) != 0) return false;
    // The registry's parent is the task that gathers.
    c.scope.node = &new_task_node(nullptr, {}, scope().node->id.load(order::relaxed), since_);
    c.scope.node->state.store(task_state::running, order::relaxed);
    c.run_ = &frame_ended;
    c.ran = true;
    return true;
}

void join::begin_child(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& parent = *self.parent;
    if (parent.may_begin(self))
        resume(self.frame, self.scope);
    else if (parent.count_out(self, child_end::cancelled))
        parent.post();
}

void join::frame_ended(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    free_task_node(*self.scope.node);
    join& parent = *self.parent;
    if (parent.count_out(self, parent.end_of(static_cast<std::size_t>(&self - parent.children_))))
        parent.go_on_from_child();
}

// True: it was the last one.
bool join::count_out(join_child& c, child_end how) noexcept {
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
    if (begun_.load(order::relaxed) < size()) begin_next();
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(1, order::acq_rel) == 1;
}

// In the last child's final suspension, from which `drive` goes on with whatever is next.
void join::go_on_from_child() noexcept {
    execution& e = current();
    context& mine = scope();
    // Not for ever: a task has its share of awaits that need no turn of the worker's.
    if (!e.forks || e.worker != mine.home || e.budget == 0 || !mine.disarm_quick(*this)) return post();
    --e.budget;
    e.scope = &mine;
    e.next = noted();
    mine.node->state.store(task_state::running, order::relaxed);
}

// By a child that has not been counted out, so all of this outlives it.
void join::stop_children() noexcept {
    if (stopping_.exchange(1, order::acq_rel) != 0) return;
    for (std::size_t i = 0; i < count_; ++i) children_[i].scope.stop();
}

// By whoever cancels the parent.
context* join::next_child() noexcept { return visited_ < size() ? &children_[visited_++].scope : nullptr; }

void join::report_failures(std::size_t but) noexcept {
    for (std::size_t i = 0; i < size(); ++i)
        if (i != but && children_[i].ran && end_of(i) == child_end::failure)
            scope().home->unhandled(error_of(i), nullptr);
}

void throw_empty_race() {
    throw std::invalid_argument{"race: the range is empty, so nobody can be the first"};
}

} // namespace plait::detail
