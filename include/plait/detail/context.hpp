// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/cancelled.hpp>
#include <plait/detail/atomic.hpp>
#include <plait/detail/registry.hpp>
#include <plait/detail/worker.hpp>
#include <utility>

namespace plait::detail {

class waiter;
class stop_callback_node;

/// The scope of a task: the unit of cancellation.
///
/// A scope is stopped or it is not; nothing is "delivered". Every wait in a stopped scope throws `cancelled`,
/// each time. Spawned tasks have one, and so have the children of gather, race, timeout and groups; a chain
/// of awaited tasks shares its caller's.
///
/// One slot says where the scope stands:
///
///     idle      runs, or is queued
///     W         suspended in the wait W
///     held      stopped; a canceller is using W, which must therefore not be resumed yet
///     parked    as held, and W was resumed meanwhile: the canceller posts it when it is done
///     stopped   stopped; nobody touches anything
///
///     arm       idle -> W        by the task, before it publishes W anywhere
///     disarm    W -> idle        by whoever resumes W; held -> parked, and goes away
///     stop      idle -> stopped, W -> held
///     release   held -> stopped, parked -> stopped and post W
///
/// From W on, a wait can be found by cancellers and completers on any thread; see `waiter` for who wins.
///
/// Orders: arm releases W, whole, and stop acquires it. stop releases what was done before it, and whoever
/// sees the scope stopped acquires that. Parking releases what ended the wait, and release, the step,
/// acquires it before it posts W; in the other direction it releases what the canceller did with W, and
/// disarm acquires that before W is gone. Disarming from W has nobody to meet: what it is resumed for has
/// come with the post.
class [[gnu::visibility("default")]] context {
    friend class stop_callback_node;
    static constexpr std::uintptr_t word_idle = 0, word_stopped = 1, word_held = 2, word_parked = 3;

    atomic<std::uintptr_t> slot_{word_idle};
    stop_callback_node* callbacks_ = nullptr; // guarded by callbacks_lock_
    atomic<std::uint32_t> callbacks_lock_{0};

  public:
    context() noexcept
        : home{nullptr},
          node{nullptr},
          deadline{time_point::max()},
          overdue_at{time_point::max()},
          attempt{1},
          previous{nullptr},
          next{nullptr},
          up_{nullptr},
          held_waiter_{nullptr} {}
    using function = void(context&) noexcept;
    /// A light one: that of a fork, of which most only compute. It can be stopped; the rest is made by `f` when
    /// the task first asks for its scope (see task_scope), or one that it waits for does.
    ///
    /// What a fork costs is mostly what it stores: hence zeros once more, in two stores, which the compiler then
    /// takes for all four.
    explicit context(function* f) noexcept : enter{f} { // NOLINT(*-member-init)
        constexpr std::size_t before_enter = 4 * sizeof(void*);
        __builtin_memset(static_cast<void*>(this), 0, before_enter);
    }

    /// Stops this scope and every scope that it waits for, depth first, without recursion. Idempotent.
    /// Threads:  any, as long as the scope has not ended.
    void stop() noexcept;

    bool stopped() const noexcept {
        // acquire: pairs with stop(), so that whoever sees the flag sees what was done before it was set.
        const std::uintptr_t s = slot_.load(order::acquire);
        return s >= word_stopped && s <= word_parked;
    }

    /// The task is about to suspend in `w`. False: stopped, so it must not.
    bool arm(waiter& w) noexcept {
        std::uintptr_t expected = word_idle;
        // release: a canceller that takes W sees all of it. acquire: stopped, it is seen for what.
        return slot_.compare_exchange(expected, reinterpret_cast<std::uintptr_t>(&w), order::acq_rel,
                                      order::acquire);
    }
    /// `w` is about to be resumed. False: a canceller still holds it, and will post it.
    bool disarm(waiter& w) noexcept;
    /// The same, but false too if the scope is stopped.
    bool disarm_quick(waiter& w) noexcept {
        std::uintptr_t s = reinterpret_cast<std::uintptr_t>(&w);
        return slot_.compare_exchange(s, word_idle, order::acq_rel, order::acquire);
    }

    /// Throws `cancelled` if stopped.
    void check() const;

    /// As stopped(), for a function that looks: where it holds up the loop that keeps its time limit, the
    /// timer cannot fire, and the look itself stops the scope.
    bool stop_due() noexcept { return stopped() || (overdue_at != time_point::max() && stop_if_overdue()); }

    // acquire: pairs with become_whole(): the rest is seen whole.
    bool light() const noexcept { return enter.load(order::acquire) != nullptr; }
    void make_whole() noexcept {
        // acquire: as light().
        if (function* const f = enter.load(order::acquire)) f(*this);
    }
    /// Gives it the rest, from the one around it.
    void become_whole(const context& outer, worker& runs_at, task_node& entry) noexcept {
        home = &runs_at;
        node = &entry;
        deadline = outer.deadline;
        overdue_at = time_point::max();
        attempt = outer.attempt;
        previous = nullptr;
        next = nullptr;
        enter.store(nullptr, order::release); // with all that
    }
    /// The task has reached that await.
    void note(std::source_location at) noexcept {
        site = at;
        if (!light()) node->at = at;
    }
    std::source_location site{};
    atomic<function*> enter{nullptr}; // makes it whole; see join and fork_group

    // Of a whole one:
    worker* home;    // where the task runs; changed by the task itself alone (resume_on)
    task_node* node; // its entry in the registry, or its caller's
    union {          // so that a light one leaves it as it is
        time_point deadline;
    };
    union {
        time_point overdue_at; // see stop_due()
    };
    int attempt;

    context* previous; // links of the list that remembers it: an executor's roots, a group's children
    context* next;

  private:
    bool stop_if_overdue() noexcept;
    static void continue_stop(work& handover) noexcept;
    static void stop_from(context* first, context* held) noexcept;
    waiter* hold(bool& newly) noexcept;
    void release(waiter& w, bool post) noexcept;
    void run_callbacks() noexcept;

    context* up_;         // while held: the held scope that this one was reached from
    waiter* held_waiter_; // while held: W
    struct handover : work {
        explicit handover(context& c) noexcept : work{&continue_stop}, self{c} {}
        context& self;
    };
    union {                 // made when it is needed
        handover handover_; // carries `held` to the only worker that may unlink W
    };
};

/// A suspended wait: of a coroutine for a future, a timer, a socket, its children, ...
///
/// Its word decides who ends it, however many structures it stands in:
///
///     arming -> pending      the waiting task, under the structure's lock, when it links itself in
///     pending -> done        a completer, under that lock, in one step with taking it off the list
///     pending -> cancelled   a canceller; it then unlinks it
///     arming -> cancelled    a canceller that comes before it is linked: the task notices and does not
///     suspend arming -> done         the task itself: what it wants is there already
///
/// Only the winner may resume it, and a value beats a cancel that came later.
///
/// Orders: pend releases the whole wait, which whoever takes it out of pending acquires. Who ends it releases
/// what it did, or hands over; the task acquires that by was_cancelled(), in `await_resume`, besides what its
/// resumption brings along. What the task does to itself, before it pends, needs none.
class [[gnu::visibility("default")]] waiter : public work {
  public:
    waiter() noexcept : work{&resume_work} {}

    /// Takes a place in the running task's scope. False: the scope is stopped; do not suspend. Throws
    /// logic_error outside of a task.
    /// `what` it waits for, in its entry.
    bool arm(std::coroutine_handle<> h, const char* what, worker* bound = nullptr);

    /// Under the structure's lock: from now on completers may find it. False: cancelled meanwhile; do not
    /// link.
    bool pend() noexcept {
        stage expected = stage::arming;
        // release: who takes it out of pending sees the whole wait. acquire: or we see why it is cancelled.
        return word_.compare_exchange(expected, stage::pending, order::acq_rel, order::acquire);
    }
    /// Under the structure's lock: this completer ends the wait. False: it is cancelled; pass what you have
    /// on.
    bool complete() noexcept {
        stage expected = stage::pending;
        // acquire: pairs with pend(). release: with was_cancelled(), for what the task is given.
        return word_.compare_exchange(expected, stage::done, order::acq_rel, order::acquire);
    }
    /// By the waiting task itself, before it pends: what it wants is there. False: cancelled meanwhile.
    bool complete_at_once() noexcept {
        stage expected = stage::arming;
        // acquire, if it fails: with the canceller's exchange.
        return word_.compare_exchange(expected, stage::done, order::acq_rel, order::acquire);
    }

    /// Ends `await_suspend` of a wait that is over already: true if it has to stay suspended (a canceller
    /// holds it).
    bool settle() noexcept { return !scope_->disarm(*this); }

    /// Resumes the task on its own worker. Only by the winner, and only once.
    void post() noexcept { scope_->home->post(*this); }

    /// The same here and now: on its own worker's thread, which runs no task at the moment.
    void resume_now() noexcept;

    // acquire: pairs with whoever ended it.
    bool was_cancelled() const noexcept { return word_.load(order::acquire) == stage::cancelled; }
    /// In `await_resume`: throws `cancelled` if that is how it ended.
    void check() const;

    context& scope() const noexcept { return *scope_; }

    /// The only worker on whose thread `withdraw` and `next_child` may be called; null: any thread.
    worker* bound() const noexcept { return bound_; }

    /// By a canceller, scope held: tries to end the wait. True: the canceller has to post it.
    virtual bool withdraw() noexcept {
        stage expected = stage::arming;
        // release: pairs with pend(), or with was_cancelled(). acquire: what unlink() works on, from pend().
        if (word_.compare_exchange(expected, stage::cancelled, order::acq_rel, order::acquire)) return false;
        if (expected != stage::pending ||
            !word_.compare_exchange(expected, stage::cancelled, order::acq_rel, order::acquire))
            return false;
        unlink();
        return true;
    }

    /// By a canceller, scope held, before `withdraw`: the next scope that this one waits for; null: no more.
    virtual context* next_child() noexcept { return nullptr; }

  protected:
    ~waiter() = default;

    // For a structure whose lock guards the word too, since its `withdraw` takes it: these are called under
    // that lock, and need no atomic read-modify-write of the word.

    /// In a light scope, in whose slot it is put only when that is made whole.
    void arm_light(context& scope, std::coroutine_handle<> h) noexcept {
        scope_ = &scope;
        handle_ = h.address();
        bound_ = nullptr;
    }
    bool arm_in(context& scope, std::coroutine_handle<> h, const char* what) noexcept {
        return arm_as(stage::arming, scope, h, what, nullptr);
    }
    /// arm() and pend() in one step; `scope` is the running task's. False: the scope is stopped.
    bool arm_pending(context& scope, std::coroutine_handle<> h, const char* what, worker* bound) noexcept {
        return arm_as(stage::pending, scope, h, what, bound);
    }
    /// The same for a wait that is over, and only gives way to others: the task posts it then.
    bool arm_done(context& scope, std::coroutine_handle<> h, const char* what) noexcept {
        return arm_as(stage::done, scope, h, what, nullptr);
    }
    /// As complete(); it is pending.
    // release, as in withdraw_pending(): pairs with was_cancelled(), which takes no lock.
    void complete_pending() noexcept { word_.store(stage::done, order::release); }
    /// As withdraw().
    bool withdraw_pending() noexcept {
        if (!pending()) return false;
        word_.store(stage::cancelled, order::release);
        unlink();
        return true;
    }
    /// Before a system call that is probably all: what to arm it with, if it is not.
    void note(std::coroutine_handle<> h) noexcept { handle_ = h.address(); }
    /// What was noted, or waits.
    std::coroutine_handle<> noted() const noexcept { return std::coroutine_handle<>::from_address(handle_); }
    // Without the lock a first look, which the one under it repeats.
    bool pending() const noexcept { return word_.load(order::acquire) == stage::pending; }

    /// Takes it off its structure, under the structure's lock. Called by the canceller that won.
    virtual void unlink() noexcept {}

  private:
    enum class stage : std::uint32_t { arming, pending, done, cancelled };
    bool arm_as(stage s, context& scope, std::coroutine_handle<> h, const char* what, worker* bound) noexcept;
    static void resume_work(work& w) noexcept;
    void go_on() noexcept;
    void go_on_unless_held() noexcept;

    std::uint16_t unused_ = 0; // with it what `work` and this begin with is one store
    atomic<stage> word_{stage::arming};
    // Set when it is armed; most awaits of sockets never are.
    context* scope_;
    worker* bound_;
    void* handle_;
};

inline bool waiter::arm_as(stage s, context& scope, std::coroutine_handle<> h, const char* what,
                           worker* bound) noexcept {
    scope_ = &scope;
    handle_ = h.address();
    bound_ = bound;
    word_.store(s, order::relaxed); // scope.arm() publishes it
    scope.node->awaits.store(what, order::relaxed);
    scope.node->state.store(task_state::waiting, order::release);
    if (scope.arm(*this)) return true;
    word_.store(stage::cancelled, order::relaxed); // nobody else has seen it
    scope.node->state.store(task_state::running, order::release);
    return false;
}

[[noreturn, gnu::visibility("default")]] void throw_cancelled();

/// A task runs, or goes on, on the thread whose execution this is.
inline void set_running(task_node& n, const execution& e) noexcept {
    n.thread.store(e.thread, order::relaxed);
    n.state.store(task_state::running, order::relaxed);
}

/// The running task's, whole; null outside of a task.
inline context* task_scope(execution& e) noexcept {
    if (e.light && !e.scope) [[unlikely]] {
        e.scope = std::exchange(e.light, nullptr);
        e.scope->make_whole();
    }
    return e.scope;
}
inline context* task_scope() noexcept { return task_scope(current()); }

/// The scope of the running task; throws logic_error in a coroutine that is no plait task's.
[[gnu::visibility("default")]] context& running_scope();

/// In `await_ready`: may the task take what is there without suspending? False: it is stopped, or has had its
/// share of ready awaits.
inline bool may_go_on() {
    execution& e = current();
    const context& scope = e.scope ? *e.scope : running_scope();
    if (e.budget == 0 || scope.stopped()) return false;
    --e.budget;
    return true;
}

} // namespace plait::detail
