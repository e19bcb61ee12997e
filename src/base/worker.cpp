// SPDX-License-Identifier: Apache-2.0

#include <cassert>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <plait/blocking_region.hpp>
#include <plait/detail/context.hpp>
#include <sched.h>

namespace plait::detail {

constinit thread_local execution this_execution [[gnu::tls_model("initial-exec")]]{};

void drive(std::coroutine_handle<> h) noexcept {
    execution& e = current();
    const std::coroutine_handle<> before = e.next;
    do {
        e.next = {};
        h.resume();
        h = e.next;
    } while (h);
    e.next = before;
}

void resume(std::coroutine_handle<> h, context& scope) noexcept {
    execution& e = current();
    context* const before = e.scope;
    context* const light = e.light;
    const unsigned budget = e.budget;
    e.scope = &scope;
    e.budget = ready_budget;
    set_running(*scope.node, e);
    drive(h);
    e.scope = before;
    e.light = light;
    e.budget = budget;
}

void run_light(std::coroutine_handle<> h, context& scope) noexcept {
    execution& e = current();
    assert(!e.scope && !e.light && !e.next);
    e.light = &scope;
    e.budget = ready_budget;
    drive(h);
    e.scope = nullptr;
    e.light = nullptr;
    e.budget = 0;
}

void waiter::resume_work(work& w) noexcept { static_cast<waiter&>(w).resume_now(); }

// As `resume`, but there is nothing to be restored: a worker does this between two tasks.
inline void waiter::go_on() noexcept {
    context& scope = *scope_;
    execution& e = current();
    assert(!e.scope && !e.light && !e.next);
    e.scope = &scope;
    e.budget = ready_budget;
    set_running(*scope.node, e);
    std::coroutine_handle<> h = std::coroutine_handle<>::from_address(handle_);
    do {
        e.next = {};
        h.resume();
        h = e.next;
    } while (h);
    e.scope = nullptr;
    e.light = nullptr;
    e.budget = 0;
}

[[gnu::noinline]] void waiter::go_on_unless_held() noexcept {
    if (scope_->disarm(*this)) go_on();
}

void waiter::resume_now() noexcept {
    if (scope_->disarm_quick(*this)) [[likely]]
        go_on();
    else
        go_on_unless_held();
}

time_point worker::now() const noexcept { return std::chrono::steady_clock::now(); }
time_point worker::coarse_now() const noexcept { return coarse_clock(); }

time_point coarse_clock() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return time_point{std::chrono::seconds{now.tv_sec} + nanoseconds{now.tv_nsec}};
}

// Only loops keep timers, and timers are only ever given to `keeper()`.
void worker::add_timer(timer&) noexcept { std::abort(); }
void worker::remove_timer(timer&) noexcept { std::abort(); }

void system_policy::pause(unsigned round) noexcept {
    if (round < 64)
        spin_pause();
    else
        ::sched_yield(); // the other one may wait for this processor
}

} // namespace plait::detail

namespace plait {

blocking_region::blocking_region() noexcept : pool_{nullptr} {
    detail::execution& e = detail::current();
    if (!e.worker || e.blocking) return;
    e.blocking = true;
    pool_ = e.worker;
    pool_->begin_blocking();
}

blocking_region::~blocking_region() {
    if (!pool_) return;
    pool_->end_blocking();
    detail::current().blocking = false;
}

} // namespace plait
