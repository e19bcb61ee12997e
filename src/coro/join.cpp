// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/join.hpp>

#include "base/execution.hpp"
#include "base/spin_lock.hpp"

#include <plait/detail/fork.hpp>
#include <plait/gather.hpp>
#include <stdexcept>
#include <utility>

namespace plait::detail {

join::~join() { delete[] allocated_; }

void join::allocate(std::size_t n) {
    allocated_ = new join_child[n];
    use(allocated_, n);
}

void join::use(join_child* room, std::size_t n) noexcept {
    children_ = room;
    count_ = n;
}

// False: it never runs. Children are stopped one after the other, and those that are may end and let this one
// begin before it is its turn. What made them stop was set before all that.
inline bool join::may_begin(join_child& c) noexcept {
    if (c.scope.stopped() || scope().stopped() || stopping_.load(order::acquire) != 0) return false;
    if (!c.scope.borrows_entry()) {
        // The registry's parent is the task that gathers.
        c.scope.node = &new_task_node(nullptr, {}, scope().node->id.load(order::relaxed), since_);
        c.scope.node->state.store(task_state::running, order::relaxed);
    }
    c.run_ = &frame_ended;
    c.ran = true;
    return true;
}

inline void join::note_end(join_child& c, child_end how) noexcept {
    if (how != child_end::value || mode_ == mode::first) [[unlikely]]
        note_decision(c, how);
}

void join::note_decision(join_child& c, child_end how) noexcept {
    if (how == child_end::cancelled) any_cancelled_.store(1, order::release);
    // A cancellation that we, or somebody further out, asked for decides nothing; one by hand counts as a
    // failure.
    const bool decides =
        mode_ == mode::all ? how == child_end::failure || (how == child_end::cancelled && !scope().stopped())
        : mode_ == mode::first ? how != child_end::cancelled
                               : false;
    std::size_t nobody = none;
    if (decides && decisive_.compare_exchange(nobody, static_cast<std::size_t>(&c - children_),
                                              order::acq_rel, order::acquire))
        stop_children();
}

// With those that ended here before it. True: they were the last.
inline bool join::count_out(join_child& c) noexcept {
    const std::size_t n = std::size_t{c.owes} + 1;
    if (begun_.load(order::relaxed) < size()) [[unlikely]]
        for (std::size_t i = 0; i < n; ++i) begin_next();
    // acquire: if nobody else is in any more, none will be, and we see what all of them have done.
    if (left_.load(order::acquire) == n) return true;
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(n, order::acq_rel) == n;
}

// After frame_ended().
inline void join::go_on_from_child(execution& e) noexcept {
    context& mine = scope();
    if (!e.forks || e.worker != mine.home) return post();
    if (e.budget == 0 || !mine.disarm_quick(*this)) {
        // After a turn of the worker's, but before what was forked earlier: else all of that would be
        // alive at once.
        if (!e.forks->fork(*this)) post();
        return;
    }
    --e.budget;
    e.scope = &mine;
    e.next = noted();
    if (!mine.borrows_entry()) mine.node->state.store(task_state::running, order::relaxed);
}

// The parent has suspended, and cannot go on before the first child, which this thread goes on with, has
// ended.
inline void join::fork_children(execution& e, std::size_t n) noexcept {
    left_.store(size(), order::relaxed);
    begun_.store(n, order::relaxed);
    for (std::size_t i = n; i-- > 1;)
        if (!e.forks->fork(children_[i])) e.worker->post(children_[i]);
    join_child& first = children_[0];
    if (may_begin(first)) {
        e.scope = &first.scope;
        e.next = first.frame;
        return;
    }
    note_end(first, child_end::cancelled);
    if (count_out(first)) post();
}

bool join::suspend(std::coroutine_handle<> h, std::size_t limit, bool driven) {
    execution& e = this_execution;
    context& parent = e.scope ? *e.scope : running_scope(); // which throws
    const bool forks = driven && e.forks && e.worker == parent.home;
    // A forked child that forks has no entry to say so in: see enter_registry().
    if (!arm_in(parent, h, forks && parent.borrows_entry() ? nullptr : what_)) return false;
    if (count_ == 0) return settle();
    for (std::size_t i = 0; i < count_; ++i) {
        join_child& c = children_[i];
        c.run_ = &begin_child;
        c.scope.parent = this;
        c.scope.home = parent.home;
        c.scope.deadline = parent.deadline;
        c.scope.attempt = parent.attempt;
        c.scope.node = parent.node; // its own from when it begins, or waits
        c.scope.enter = forks ? &enter_registry : nullptr;
    }
    const std::size_t first = limit != 0 && limit < size() ? limit : size();
    if (forks) {
        fork_children(e, first);
        return true;
    }
    since_ = parent.home->coarse_now().time_since_epoch().count();
    left_.store(size() + 1, order::relaxed);
    for (std::size_t i = 0; i < first; ++i) begin_next();
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(1, order::acq_rel) != 1 || settle();
}

void join::begin_next() noexcept {
    const std::size_t i = begun_.fetch_add(1, order::relaxed);
    if (i >= size()) return;
    children_[i].scope.home->post(children_[i]);
}

namespace {
constinit atomic<std::uint32_t> entering{0};
}

// By the task itself, which is about to wait or to have children of its own. Those that gather it, and
// have no entry either, have theirs made first, so that the tree is whole. They wait for it, in their gathers,
// and would be entered by another child at most: hence the lock. They see it when that child has been counted
// out.
void join::enter_registry(context& c) noexcept {
    const spin_guard guard{entering};
    context* top = &c;
    for (context* below = nullptr;;) {
        top->previous = below; // the way back
        context& up = static_cast<join_child::child_scope&>(*top).parent->scope();
        if (!up.borrows_entry()) break;
        below = std::exchange(top, &up);
    }
    const std::int64_t now = c.home->coarse_now().time_since_epoch().count();
    for (context* at = top; at; at = std::exchange(at->previous, nullptr)) {
        const join& in = *static_cast<join_child::child_scope&>(*at).parent;
        at->node = &new_task_node(nullptr, {}, in.scope().node->id.load(order::relaxed), now);
        at->node->at = at->site;
        if (at->previous) {
            const join& own = *static_cast<join_child::child_scope&>(*at->previous).parent;
            at->node->awaits.store(own.what_, order::relaxed);
        }
        at->node->state.store(at->previous ? task_state::waiting : task_state::running, order::release);
        at->enter = nullptr;
    }
}

void join::begin_child(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& parent = *self.scope.parent;
    if (parent.may_begin(self)) return resume(self.frame, self.scope);
    parent.note_end(self, child_end::cancelled);
    if (parent.count_out(self)) parent.post();
}

// In the child's final suspension, from which `drive` goes on with whatever is next.
void join::frame_ended(work& w) noexcept {
    auto* self = &static_cast<join_child&>(w);
    join& parent = *self->scope.parent;
    if (!self->scope.borrows_entry()) free_task_node(*self->scope.node);
    execution& e = this_execution;
    const join_child* const end = parent.children_ + parent.count_;
    parent.note_end(*self, parent.end_of(static_cast<std::size_t>(self - parent.children_)));
    // If the next of our children is on top of this thread's deque, it has not been stolen. The address
    // tells: this one may have gone to another thread than its parent's. Not for ever: a task has its share
    // of awaits that need no turn of the worker's.
    while (self + 1 != end && e.budget != 0 && e.forks && e.forks->newest() == self + 1 && e.forks->pop()) {
        join_child& next = self[1];
        next.owes = self->owes + 1;
        self = &next;
        if (parent.may_begin(next)) {
            --e.budget;
            e.scope = &next.scope;
            e.next = next.frame;
            return;
        }
        parent.note_end(next, child_end::cancelled);
    }
    if (parent.count_out(*self)) parent.go_on_from_child(e);
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
