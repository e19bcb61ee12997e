// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/join.hpp>

#include "base/spin_lock.hpp"
#include "base/stops.hpp"

#include <plait/detail/fork.hpp>
#include <plait/gather.hpp>
#include <stdexcept>
#include <utility>

namespace plait::detail {
namespace {
constinit atomic<std::uint32_t> entering{0};

join_child& child_of(context& scope) noexcept { return static_cast<join_child&>(scope); }
join& gather_of(context& child) noexcept { return child_of(child).parent; }
} // namespace

const char* join::what() const noexcept {
    return mode_ == mode::all ? "gather" : mode_ == mode::settled ? "gather_outcomes" : "race";
}

// Children are stopped one after the other, and those that are may end and let this one begin before it is its
// turn. What made them stop was set before all that.
inline bool join::stopped(const join_child& c) const noexcept {
    return c.stopped() || scope().stopped() || stopping_.load(order::acquire) != 0;
}

// False: it never runs.
inline bool join::may_begin(join_child& c) noexcept {
    if (stopped(c)) return false;
    // The registry's parent is the task that gathers.
    c.node = &new_task_node(nullptr, {}, scope().node->id.load(order::relaxed), since_);
    set_running(*c.node, current());
    return true;
}

// A fork that may begin is this thread's task from here on. False: it never runs.
inline bool join::may_begin_fork(execution& e, join_child& c) noexcept {
    c.run_ = at_end();
    c.use_own_scope();
    e.light = &c;
    e.scope = nullptr;
    // acquire: pairs with context::stop(). Nobody has been stopped since it was forked, so neither has it.
    if (stops_until_now.load(std::memory_order_acquire) == stops_) [[likely]]
        return true;
    return begin_late(e, c);
}

[[gnu::noinline]] bool join::begin_late(execution& e, join_child& c) noexcept {
    if (!stopped(c)) {
        if (!task_scope(e)->stopped()) return true; // somebody else was meant
        free_task_node(*c.node);
    }
    e.scope = nullptr;
    e.light = nullptr;
    return false;
}

inline void join::note_end(join_child& c) noexcept {
    if (c.result->end() != task_end::value || mode_ == mode::first) [[unlikely]]
        note_decision(c);
}

[[gnu::noinline]] void join::note_decision(join_child& c) noexcept {
    noted_.store(1, order::relaxed); // it is counted out later
    const task_end end = c.result->end();
    if (end == task_end::none) c.frame.destroy(); // it never begins
    const bool was_cancelled =
        end == task_end::none ||
        (end == task_end::error && is_cancellation(error_of(static_cast<std::size_t>(&c - children_))));
    if (was_cancelled) any_cancelled_.store(1, order::release);
    // Was that us, or somebody further out? Up there it may not be known yet.
    if (was_cancelled && end != task_end::none) c.make_whole();
    // A cancellation that was asked for decides nothing; one by hand counts as a failure.
    const bool decides = mode_ == mode::all ? end != task_end::value && !(was_cancelled && scope().stopped())
                         : mode_ == mode::first ? !was_cancelled
                                                : false;
    std::size_t nobody = 0;
    if (decides && decisive_.compare_exchange(nobody, static_cast<std::size_t>(&c - children_) + 1,
                                              order::acq_rel, order::acquire))
        stop_children();
}

// Where not all may run at the same time: in the place of those that are about to be counted out.
void join::begin_more(const join_child& c) noexcept {
    if (begun_.load(order::relaxed) < size())
        for (std::uint32_t i = 0; i <= c.owes; ++i) begin_next();
}

// With those that ended here before it. True: they were the last.
inline bool join::count_out(join_child& c) noexcept {
    const std::size_t n = std::size_t{c.owes} + 1;
    // acquire: if nobody else is in any more, none will be, and we see what all of them have done.
    if (left_.load(order::acquire) == n) return true;
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(n, order::acq_rel) == n;
}

// After child_ended().
inline void join::go_on_from_child(execution& e) noexcept {
    context& mine = scope();
    if (e.budget == 0 || !mine.light()) [[unlikely]]
        return go_on_otherwise(e);
    // It is light: then so are its children, which thus have never left the pool.
    --e.budget;
    e.light = &mine;
    e.next = noted();
}

[[gnu::noinline]] void join::go_on_otherwise(execution& e) noexcept {
    context& mine = scope();
    const bool light = mine.light();
    if (light || (e.forks && e.worker == home_)) {
        if (!light && e.budget != 0 && mine.disarm_quick(*this)) {
            --e.budget;
            e.scope = &mine;
            e.light = nullptr;
            e.next = noted();
            set_running(*mine.node, e);
            return;
        }
        if (light) run_ = &resume_forker;
        // After a turn of the worker's, but before what was forked earlier: else all of that would be
        // alive at once.
        if (e.forks->fork(*this)) return;
    }
    home_->post(*this);
}

// A light one, in a turn of its own.
void join::resume_forker(work& w) noexcept {
    auto& self = static_cast<join&>(w);
    run_light(self.noted(), self.scope());
}

// Those that may begin in other places, or later.
void join::make_children_whole() noexcept {
    const context& parent = scope();
    for (std::size_t i = 0; i < count_; ++i) {
        join_child& c = children_[i];
        c.run_ = &begin_child;
        c.become_whole(parent, *home_, *parent.node); // a node of its own from when it begins
    }
}

// The parent has suspended, and cannot go on before the first child has ended, with which this thread goes on.
inline void join::begin_first(execution& e) noexcept {
    e.light = children_;
    e.next = children_->frame;
}
[[gnu::noinline]] void join::fork_others(execution& e, std::size_t n) noexcept {
    for (join_child* c = children_ + n - 1; c != children_; --c)
        if (!e.forks->fork(*c)) [[unlikely]]
            home_->post(*c);
}

inline void join::begin_forks(execution& e, std::size_t n) noexcept {
    begun_.store(n, order::relaxed);
    begin_first(e);
    fork_others(e, n);
}

// Is the parent a fork that has no whole scope yet, so that it can stand without one? Then it stands.
inline bool join::stand_light(execution& e, std::coroutine_handle<> h) noexcept {
    // acquire: pairs with context::stop().
    stops_ = stops_until_now.load(std::memory_order_acquire);
    context* const parent = e.light;
    if (!parent || e.scope) return false;
    const join& above = gather_of(*parent);
    if (above.stops_ != stops_) [[unlikely]] // as in may_begin_fork()
        return false;
    arm_light(*parent, h);
    home_ = above.home_;
    return true;
}

bool join::suspend(std::coroutine_handle<> h, std::size_t first, bool driven) {
    execution& e = current();
    if (!driven || first == 0 || !stand_light(e, h)) return suspend_whole(e, h, first, driven);
    begin_forks(e, first);
    return true;
}

void join::suspend_pair(std::coroutine_handle<> h) {
    execution& e = current();
    if (!stand_light(e, h)) [[unlikely]]
        return suspend_pair_whole(h);
    begin_first(e);
    // Without a call, if there is room for it and nobody sleeps.
    fork_deque& forks = *e.forks;
    if (!forks.push_quickly(children_[1])) [[unlikely]]
        return fork_others(e, 2);
    if (forks.somebody_sleeps()) [[unlikely]]
        forks.wake();
}
[[gnu::noinline]] void join::suspend_pair_whole(std::coroutine_handle<> h) {
    if (!suspend_whole(current(), h, 2, true)) current().next = h;
}

[[gnu::noinline]] bool join::suspend_whole(execution& e, std::coroutine_handle<> h, std::size_t first,
                                           bool driven) {
    context* const parent = task_scope(e);
    if (!parent || !arm_in(*parent, h, what())) {
        noted_.store(1, order::relaxed); // nobody else is there
        for (std::size_t i = 0; i < size(); ++i) children_[i].frame.destroy();
        running_scope(); // which throws, if there is none
        return false;
    }
    home_ = parent->home;
    if (count_ == 0) return settle();
    if (driven && e.forks && e.worker == home_) {
        e.scope = nullptr;
        begin_forks(e, first);
        return true;
    }
    make_children_whole();
    since_ = home_->coarse_now().time_since_epoch().count();
    begun_.store(0, order::relaxed);
    left_.store(size() + 1, order::relaxed);
    for (std::size_t i = 0; i < first; ++i) begin_next();
    // acq_rel: the last one out sees what all the others have done.
    return left_.fetch_sub(1, order::acq_rel) != 1 || settle();
}

void join::begin_next() noexcept {
    const std::size_t i = begun_.fetch_add(1, order::relaxed);
    if (i >= size()) return;
    home_->post(children_[i]);
}

// By the task itself, which is about to wait, to have children of its own, or to look whether it is stopped.
// Those that gather it, and are light too, come first, so that the tree is whole, and cancellers find the way
// down. They wait for it, in their gathers, and would be made whole by another child at most: hence the lock.
// They see it when that child has been counted out.
void join::make_whole(context& c) noexcept {
    const spin_guard guard{entering};
    context* top = &c;
    for (context* below = nullptr;;) {
        top->previous = below; // the way back
        context& up = gather_of(*top).scope();
        if (!up.light()) break;
        below = std::exchange(top, &up);
    }
    const std::int64_t now = gather_of(c).home_->coarse_now().time_since_epoch().count();
    for (context* at = top; at;) {
        join_child& child = child_of(*at);
        const context& up = child.parent.scope();
        task_node& node = new_task_node(nullptr, {}, up.node->id.load(order::relaxed), now);
        node.at = at->site;
        // One that began alone is to be counted out after all. Of any other the frame may be gone.
        if (child.run_ == &begin_fork) task_access::promise_of(child.frame).continue_with(child);
        child.run_ = &child_ended;
        context* const below = at->previous;
        at->become_whole(up, *child.parent.home_, node);
        if (below) {
            join& own = gather_of(*below);
            at->node->awaits.store(own.what(), order::relaxed);
            at->node->state.store(task_state::waiting, order::release);
            // Stopped before it could be found waiting: then it is for us to tell the children.
            if (!at->arm(own))
                for (std::size_t i = 0; i < own.size(); ++i) own.children_[i].stop();
        } else {
            set_running(*at->node, current());
        }
        at = below;
    }
}

void join::begin_child(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& in = self.parent;
    self.run_ = &child_ended;
    self.use_own_scope();
    if (in.may_begin(self)) return resume(self.frame, self);
    in.note_end(self);
    in.begin_more(self);
    if (in.count_out(self)) in.home_->post(in);
}

// As a turn of the worker's.
void join::begin_fork(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& in = self.parent;
    execution& e = current();
    if (in.may_begin_fork(e, self)) {
        e.budget = ready_budget;
        drive(self.frame);
    } else {
        in.note_end(self);
        in.begin_more(self);
        if (in.count_out(self)) {
            if (in.scope().light()) in.run_ = &resume_forker;
            in.home_->post(in);
        }
    }
    e.scope = nullptr;
    e.light = nullptr;
    e.budget = 0;
}

// With a child that this thread has just taken back.
[[gnu::noinline]] void join::begin_next_or_leave(execution& e, join_child& first) noexcept {
    for (join_child* c = &first;; ++c) {
        if (may_begin_fork(e, *c)) {
            --e.budget;
            e.next = c->frame;
            return;
        }
        note_end(*c);
        if (take_next(e, *c)) continue;
        begin_more(*c);
        if (count_out(*c)) go_on_from_child(e);
        return;
    }
}

// False: it was the last one, or the next one has to wait, or was stolen.
inline bool join::take_next(execution& e, join_child& c) noexcept {
    join_child& next = (&c)[1];
    if (c.is_last || e.budget == 0 || !e.forks || !e.forks->pop_if(next)) return false;
    next.owes = c.owes + 1;
    return true;
}

// In the child's final suspension, from which `drive` goes on with whatever is next.
[[gnu::noinline]] void join::child_ended(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& in = self.parent;
    execution& e = current();
    in.note_end(self);
    if (!self.light()) free_task_node(*self.node);
    if (take_next(e, self)) return in.begin_next_or_leave(e, (&self)[1]);
    in.begin_more(self);
    if (in.count_out(self)) in.go_on_from_child(e);
}

// Is it the last one, and have all others ended? Then nobody else is in, nor will be, and as long as it is light, so
// is the parent, which goes on at its end as if it had awaited it: nothing is counted, nor a failure noted.
inline bool join::is_alone(const join_child& c) const noexcept {
    // acquire: as in count_out().
    return c.is_last && left_.load(order::acquire) == std::size_t{c.owes} + 1 && scope().light();
}

// The same for one that is light still: make_whole() sets the other. Of a gather, so a value decides nothing.
//
// If the next of our children is on top of this thread's deque, it has not been stolen. The address tells: this
// one may have gone to another thread than its parent's. Not for ever: a task has its share of awaits that need
// no turn of the worker's.
void join::light_child_ended(work& w) noexcept {
    auto& self = static_cast<join_child&>(w);
    join& in = self.parent;
    execution& e = current();
    if (self.result->end() != task_end::value) [[unlikely]]
        return child_ended(w);
    if (!self.is_last && e.budget != 0 && e.forks->pop_if((&self)[1])) {
        join_child& next = (&self)[1];
        next.owes = self.owes + 1;
        // acquire: pairs with context::stop(), see may_begin_fork().
        if (stops_until_now.load(std::memory_order_acquire) != in.stops_) [[unlikely]]
            return in.begin_next_or_leave(e, next);
        promise_base& promise = task_access::promise_of(next.frame);
        promise.enter(next);
        if (in.is_alone(next)) [[likely]] {
            promise.continue_with(in.noted());
        } else {
            next.run_ = &light_child_ended;
            promise.continue_with(next);
        }
        --e.budget;
        e.light = &next;
        e.next = next.frame;
    } else if (in.count_out(self)) {
        in.go_on_from_child(e);
    }
}

// By a child that has not been counted out, so all of this outlives it.
void join::stop_children() noexcept {
    if (stopping_.exchange(1, order::acq_rel) != 0) return;
    for (std::size_t i = 0; i < count_; ++i) children_[i].stop();
}

// By whoever cancels the parent.
context* join::next_child() noexcept { return visited_ < size() ? &children_[visited_++] : nullptr; }

void join::report_failures(std::size_t but) noexcept {
    for (std::size_t i = 0; i < size(); ++i) {
        if (i == but) continue;
        const std::exception_ptr error = error_of(i);
        if (error && !is_cancellation(error)) home_->unhandled(error, nullptr);
    }
}

void throw_empty_race() {
    throw std::invalid_argument{"race: the range is empty, so nobody can be the first"};
}

} // namespace plait::detail
