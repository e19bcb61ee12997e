// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/context.hpp>

#include "base/stops.hpp"

#include <plait/detail/stop.hpp>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait::detail {

constinit std::atomic<std::uint64_t> stops_until_now{0};

bool context::disarm(waiter& w) noexcept {
    std::uintptr_t s = reinterpret_cast<std::uintptr_t>(&w);
    // acquire, if it fails: stopped by now, and the canceller is through with W before that goes.
    if (slot_.compare_exchange(s, word_idle, order::acq_rel, order::acquire)) return true;
    // Only a canceller can have changed it: held, or stopped by now. release: pairs with release(), so that
    // what ended the wait comes before its post.
    if (s == word_held && slot_.compare_exchange(s, word_parked, order::acq_rel, order::acquire))
        return false;
    return true;
}

bool context::stop_if_overdue() noexcept {
    if (home->now() < overdue_at) return false;
    stop();
    return true;
}

void context::check() const {
    if (stopped()) throw cancelled{};
}

// Takes the scope into "stopped": returns W, now held, if it was suspended.
waiter* context::hold(bool& newly) noexcept {
    // acquire, of the last look: pairs with arm(), W is whole. release: pairs with stopped().
    std::uintptr_t s = slot_.load(order::acquire);
    for (;;) {
        newly = s == word_idle || s > word_parked;
        if (!newly) return nullptr;
        const std::uintptr_t wanted = s == word_idle ? word_stopped : word_held;
        if (slot_.compare_exchange(s, wanted, order::acq_rel, order::acquire))
            return wanted == word_held ? reinterpret_cast<waiter*>(s) : nullptr;
    }
}

// `post`: this canceller ended W. Otherwise whoever did may have found it held, and left it to us.
void context::release(waiter& w, bool post) noexcept {
    worker& to = *home; // W's task is suspended until somebody posts it, so home stands still
    std::uintptr_t s = word_held;
    // release: pairs with disarm(), after which W may be gone. acquire, if it fails: with disarm() too, which
    // has parked it.
    if (!slot_.compare_exchange(s, word_stopped, order::acq_rel, order::acquire)) {
        // release: who sees this in place of the exchange in hold() sees as much.
        slot_.store(word_stopped, order::release);
        post = true;
    }
    // Without `post` W may be gone already; so may this scope.
    if (post) to.post(w);
}

void context::stop() noexcept { stop_from(this, nullptr); }

void context::continue_stop(work& w) noexcept {
    context& self = static_cast<handover&>(w).self;
    self.up_ = nullptr;
    stop_from(nullptr, &self);
}

void context::stop_from(context* first, context* held) noexcept {
    // Every scope on the path from the top to `held` is held, hence alive: its wait cannot end before its
    // release.
    for (context* c = first;;) {
        if (c) {
            bool newly = false;
            waiter* w = c->hold(newly);
            if (newly) {
                // release: whoever sees the new number sees the flag.
                stops_until_now.fetch_add(1, std::memory_order_release);
                c->run_callbacks();
            }
            if (w) {
                c->held_waiter_ = w;
                if (w->bound() && !w->bound()->is_current()) {
                    // Its structure belongs to that thread. It stays held until the work below has run there.
                    w->bound()->post(*::new (static_cast<void*>(&c->handover_)) handover{*c});
                } else {
                    c->up_ = held;
                    held = c;
                }
            }
        }
        if (!held) return;
        waiter& w = *held->held_waiter_;
        c = w.next_child();
        if (c) continue;
        context* const up = held->up_;
        held->release(w, w.withdraw());
        held = up;
    }
}

void context::run_callbacks() noexcept {
    // The slot says "stopped" already: a callback that comes later sees that under the lock, and runs itself.
    stop_callback_node::run_all(*this);
}

bool waiter::arm(std::coroutine_handle<> h, const char* what, worker* bound) {
    return arm_as(stage::arming, running_scope(), h, what, bound);
}

void waiter::check() const {
    if (was_cancelled()) throw cancelled{};
}

void throw_cancelled() { throw cancelled{}; }

context& running_scope() {
    context* scope = task_scope(current());
    if (!scope)
        throw std::logic_error{
            "plait: awaited outside of a task: the coroutine was not started by run, submit, spawn "
            "or gather; await it from a plait::task instead"};
    return *scope;
}

} // namespace plait::detail
