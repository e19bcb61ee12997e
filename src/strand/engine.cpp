// SPDX-License-Identifier: Apache-2.0
#include "strand/engine.hpp"

#include "strand/failures.hpp"
#include "sys/futex.hpp"

#include <plait/detail/job.hpp>
#include <plait/errors.hpp>
#include <string>

namespace plait::detail {

engine::engine(const char* kind, unhandled_handler handler)
    : kind_{kind}, failures_{make_failure_handler(kind, std::move(handler))} {
    engine_begins();
}

engine::~engine() {
    // relaxed: the last owner sees it all.
    if (keeper_.load(std::memory_order_relaxed)) release_shared_keeper();
    engine_ended();
}

void engine::release_owner() noexcept {
    // acq_rel: who deletes it sees what the other owners have done.
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void engine::enter(std::uint32_t n) {
    // acquire: who is refused sees what was done before close().
    const std::uint32_t before = live_.fetch_add(n * one, order::acq_rel);
    if (!(before & closed_bit)) return;
    leave(n);
    throw_closed();
}

void engine::throw_closed() const {
    throw shutdown_error{std::string{kind_} + ": the executor has been shut down and takes no more tasks"};
}

void engine::leave() noexcept { leave(1); }

void engine::leave(std::uint32_t n) noexcept {
    // acq_rel: what the tasks did happens before whatever follows their executor's end.
    left(live_.fetch_sub(n * one, order::acq_rel), n);
}

void engine::left(std::uint32_t before, std::uint32_t n) noexcept {
    if (before / one != n) return;
    // The last one out. With `deferred` set the engine lives on until on_idle() has been called, which
    // happens once; otherwise it may be gone already, and the address alone is used. Somebody may wait in
    // shutdown in either case: while `run` drains its loop, say.
    if (before & closed_bit) futex_wake_all(live_.address());
    if (!(before & deferred_bit)) return;
    if (live_.fetch_and(~deferred_bit, order::acq_rel) & deferred_bit) {
        on_idle();
    }
}

// release: pairs with enter() and closed().
bool engine::close() noexcept { return !(live_.fetch_or(closed_bit, order::acq_rel) & closed_bit); }

void engine::wait_idle() noexcept {
    for (;;) {
        const std::uint32_t now = live_.load(order::acquire); // pairs with leave()
        if (now / one == 0) return;
        // Wake-up: the word itself changes to "closed, nobody in", so a wake between the load and the wait is
        // seen.
        futex_wait(live_.address(), now);
    }
}

void engine::defer() noexcept {
    // release: the last one out finds the flag, and what on_idle() needs with it. acquire: or that has been
    // us, and on_idle() comes after all tasks. Who takes the flag back calls it.
    const std::uint32_t before = live_.fetch_or(deferred_bit, order::acq_rel);
    if (before / one == 0 && (live_.fetch_and(~deferred_bit, order::acq_rel) & deferred_bit)) on_idle();
}

void engine::remember(job_core& root) noexcept {
    {
        const std::lock_guard guard{roots_mutex_};
        roots_.add(root);
    }
    // It was taken from the queue before cancel_pending(), and may come too late for stop_roots(). The flag
    // is set before that takes the lock, so one of the two has seen the other: it is the lock that orders
    // them.
    if (cancelling_.load(order::acquire) != 0) root.stop();
}

void engine::forget(job_core& root) noexcept {
    const std::lock_guard guard{roots_mutex_};
    context_ring::remove(root);
}

void engine::stop_roots() noexcept {
    // One at a time, kept, and without the lock: a stop runs callbacks of the user's.
    std::unique_lock guard{roots_mutex_};
    while (!roots_.empty()) {
        auto& root = static_cast<job_core&>(roots_.front());
        root.keep();
        context_ring::remove(root);
        stopped_roots_.add(root);
        guard.unlock();
        root.stop();
        root.let_go();
        guard.lock();
    }
}

std::exception_ptr engine::refusal() const noexcept {
    // acquire: pairs with initialize(), for cause_.
    return broken_.load(order::acquire) != 0 ? cause_ : cancelled_error();
}

void engine::initialize(function<void()>& initializer) noexcept {
    constexpr int attempts = 3;
    if (!initializer) return;
    const std::lock_guard guard{initializer_mutex_};
    if (broken_.load(order::relaxed) != 0) return; // written under this mutex
    for (int attempt = 1; attempt <= attempts; ++attempt) {
        try {
            return initializer();
        } catch (...) {
            if (attempt < attempts) continue;
            try {
                std::throw_with_nested(
                    pool_broken{std::string{kind_} + ": the .initializer failed " + std::to_string(attempts) +
                                " times, so no task can run: " + describe(std::current_exception())});
            } catch (...) {
                cause_ = std::current_exception();
            }
            broken_.store(1, order::release); // with cause_
        }
    }
}

worker& engine::keeper() {
    // acquire: pairs with the store below, so that the keeper is seen whole. relaxed: under the mutex.
    if (worker* k = keeper_.load(std::memory_order_acquire)) return *k;
    const std::lock_guard guard{keeper_mutex_};
    worker* k = keeper_.load(std::memory_order_relaxed);
    if (!k) {
        k = &acquire_shared_keeper();
        keeper_.store(k, std::memory_order_release);
    }
    return *k;
}

} // namespace plait::detail
