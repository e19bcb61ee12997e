// SPDX-License-Identifier: Apache-2.0
#include "strand/pool_engine.hpp"

#include "strand/locals.hpp"
#include "sys/futex.hpp"
#include "sys/membarrier.hpp"
#include "sys/placement.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <plait/errors.hpp>
#include <string>

namespace plait::detail {

pool_engine::pool_engine(std::size_t workers, const char* name, function<void()> initializer,
                         unhandled_handler handler)
    : engine{"thread_pool", std::move(handler)},
      name_{name},
      initializer_{std::move(initializer)},
      slots_{static_cast<std::uint32_t>(workers)},
      workers_{workers},
      lanes_(workers == 1 ? 1 : std::bit_ceil(2 * workers)), // one worker takes everything in order
      last_lane_{lanes_.size() - 1},
      queues_(workers + most_spares),
      sleepers_pay_{workers <= most_interrupted && have_heavy_barrier()} {
    parked_.reserve(queues_.size());
    for (local_queue& q : queues_) {
        q.forks.belong_to(*this, sleepers_);
        if (sleepers_pay_) q.forks.let_sleepers_pay();
    }
}

pool_engine::~pool_engine() {
    // A thread that posted the last work may still be leaving post(): past this lock it has.
    const spin_guard guard{lock_};
    for (std::thread& t : threads_)
        if (t.joinable()) t.detach(); // it is this one, or has nothing left to do here
}

void pool_engine::start() {
    try {
        for (unsigned slot = 0; slot < workers_; ++slot) start_thread(slot, false);
    } catch (...) {
        stop_and_join();
        throw;
    }
}

void pool_engine::start_thread(unsigned slot, bool woken) {
    const std::lock_guard guard{threads_mutex_};
    if (joining_) return;
    add_owner();
    try {
        threads_.emplace_back([this, slot, woken] { thread_main(slot, woken); });
    } catch (...) {
        release_owner();
        throw;
    }
}

// Under lock_.
pool_engine::wake_order pool_engine::request_wake(waking wanted) noexcept {
    if (sleepers_.load(order::relaxed) == 0) return {};
    if (std::exchange(waking_, waking_ == waking::nobody ? wanted : waking::for_more) != waking::nobody)
        return {};
    if (asleep_ != 0) {
        // It has but to change: the kernel compares it, and who is woken takes lock_ before it looks at
        // anything.
        epoch_.fetch_add(1, order::release);
        return {wake::sleeper, epoch_.address()};
    }
    return take_place();
}

// Under lock_, by who has been woken, before it searches: see invariant W. True: it may have to pass the wake on.
bool pool_engine::receive_wake() noexcept {
    return std::exchange(waking_, waking::nobody) == waking::for_more;
}

// By those addresses alone: once the lock is released the pool may end, and be gone.
void pool_engine::carry_out(wake_order order) noexcept {
    if (order.what == wake::nobody) return;
    if (order.address)
        futex_wake(order.address);
    else if (order.what == wake::fresh)
        start_spare();
}

void pool_engine::wake_one() noexcept {
    wake_order order;
    {
        const spin_guard guard{lock_};
        order = request_wake(waking::for_more);
    }
    carry_out(order);
}

// By a worker that has found work: what else is queued may be some other's.
void pool_engine::pass_wake_on() noexcept {
    if (sleepers_.load(order::seq_cst) != 0 && work_anywhere()) wake_one();
}

void pool_engine::push_own(local_queue& q, std::span<work* const> items) noexcept {
    {
        const spin_guard guard{q.lock};
        for (work* const w : items) q.queue.push(*w);
        // seq_cst: pairs with the loads in work_anywhere(). Either we see the sleeper, or it sees our work.
        q.size.fetch_add(static_cast<std::uint32_t>(items.size()), order::seq_cst);
    }
    if (sleepers_.load(order::seq_cst) != 0) wake_one();
}

namespace {
constinit std::atomic<unsigned> numbered_threads{0};
} // namespace

void forget_thread_numbers() noexcept { numbered_threads.store(0, std::memory_order_relaxed); }

// Each thread keeps to one lane, so that what it posts is taken in its order.
constinit thread_local unsigned this_thread_number = 0;

unsigned number_this_thread() noexcept {
    return this_thread_number = numbered_threads.fetch_add(1, std::memory_order_relaxed) + 1;
}

inline pool_engine::wake_order pool_engine::request_wake_for_lane() noexcept {
    if (sleepers_.load(order::seq_cst) == 0) return {};
    const spin_guard guard{lock_};
    return request_wake(waking::for_one);
}

bool pool_engine::post_by_value(const posted_record& r) {
    const execution& e = current();
    if (e.scope || e.light || e.worker == this) return false;
    carry_out(lane_of_this_thread().put_on_credit(
        r, spares_, [this] { enter(post_lane::credit); }, [this] { return request_wake_for_lane(); }));
    return true;
}

bool pool_engine::close() noexcept {
    const bool first = engine::close();
    for (post_lane& l : lanes_)
        if (const std::uint32_t n = l.take_credit()) engine::leave(n);
    return first;
}

void pool_engine::count_in_and_post(work& w) {
    const execution& e = current();
    if (e.worker == this) {
        refuse_if_closed();
        // Whoever has ended here and is still counted stands in for it.
        if (std::uint32_t& left = queues_[e.slot].left; left != 0)
            --left;
        else
            enter();
        if (level_of(w) != normal) return inject(w, level_of(w));
        work* const single = &w;
        return push_own(queues_[e.slot], {&single, 1});
    }
    if (level_of(w) == normal) {
        try {
            return carry_out(lane_of_this_thread().put_on_credit(
                posted_record{w}, spares_, [this] { enter(post_lane::credit); },
                [this] { return request_wake_for_lane(); }));
        } catch (const std::bad_alloc&) { // no memory for words
        }
    }
    enter();
    post(w);
}

void pool_engine::post(work& w) noexcept {
    const execution& e = current();
    const std::size_t level = level_of(w);
    if (e.worker == this && (level == begun || level == normal)) {
        work* const single = &w;
        return push_own(queues_[e.slot], {&single, 1});
    }
    if (level == normal) {
        try {
            return carry_out(lane_of_this_thread().put(posted_record{w}, spares_,
                                                       [this] { return request_wake_for_lane(); }));
        } catch (...) { // no memory for words: into the inbox, which needs none
        }
    }
    inject(w, level);
}

void pool_engine::inject(work& w, std::size_t level) noexcept {
    wake_order order;
    {
        const spin_guard guard{lock_};
        inbox_[level].push(w);
        waiting_[level].fetch_add(1, order::relaxed);
        inbox_count_.store(inbox_count_.load(order::relaxed) + 1, order::relaxed);
        order = request_wake(waking::for_one);
    }
    carry_out(order);
}

void pool_engine::leave() noexcept {
    const execution& e = current();
    if (e.worker != this) return engine::leave(1);
    if (++queues_[e.slot].left == most_left) count_out(e.slot);
}

void pool_engine::count_out(unsigned slot) noexcept {
    if (const std::uint32_t n = std::exchange(queues_[slot].left, 0)) engine::leave(n);
}

bool pool_engine::work_anywhere() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const post_lane& l) { return !l.empty(); }) ||
           work_beside_lanes();
}

bool pool_engine::work_beside_lanes() const noexcept {
    if (anything_injected()) return true;
    const auto end = queues_.begin() + slots_.load(order::relaxed);
    return std::any_of(queues_.begin(), end, [](const local_queue& q) {
        return q.size.load(order::seq_cst) != 0 || !q.forks.empty() || !q.claim.empty();
    });
}

bool pool_engine::forks_were_made() const noexcept {
    const auto end = queues_.begin() + slots_.load(order::relaxed);
    return sleepers_pay_ &&
           std::any_of(queues_.begin(), end, [](const local_queue& q) { return q.forks.used(); });
}
// By whoever has announced itself, or a place, in `sleepers_`. Where sleepers pay, those who fork need not have seen
// that yet, nor this thread what they have forked: after the barrier one of the two is true. Not under lock_: it is
// a system call.
bool pool_engine::forks_seen_late() const noexcept {
    if (!forks_were_made()) return false;
    system_policy::heavy_barrier();
    const auto end = queues_.begin() + slots_.load(order::relaxed);
    return std::any_of(queues_.begin(), end, [](const local_queue& q) { return !q.forks.empty(); });
}

// Before somebody announces itself, or a place, in `sleepers_`. Not under lock_, which who posts takes within the lane's.
void pool_engine::slow_lanes_down() noexcept {
    for (post_lane& l : lanes_) l.slow_down();
}
// After it: may there be any work?
bool pool_engine::work_possible() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const post_lane& l) { return l.may_hold_any(); }) ||
           work_beside_lanes();
}

// False: the pool ends.
bool pool_engine::sleep(local_queue& mine) noexcept {
    slow_lanes_down();
    std::uint32_t epoch = 0;
    {
        const spin_guard guard{lock_};
        // seq_cst: pairs with the load in push_own(); the announcement comes before the last look.
        sleepers_.fetch_add(1, order::seq_cst);
        if (stop_ || work_possible()) {
            sleepers_.fetch_sub(1, order::relaxed);
            return !(stop_ && !work_anywhere());
        }
        ++asleep_;
        epoch = epoch_.load(order::relaxed);
    }
    // The barrier comes after a nap: whoever forks again and again wakes us before that, and would be interrupted each
    // time.
    if (!forks_were_made() ||
        (futex_wait(epoch_.address(), epoch, monotonic_now() + nap) == futex_result::timed_out &&
         !forks_seen_late()))
        futex_wait(epoch_.address(), epoch);
    const spin_guard guard{lock_};
    --asleep_;
    sleepers_.fetch_sub(1, order::relaxed);
    mine.passes_on = receive_wake();
    return true;
}

void pool_engine::thread_main(unsigned slot, bool woken) noexcept {
    const std::uint32_t number = name_this_thread(name_, slot);
    {
        locals mine;
        execution& e = current();
        e = {};
        e.thread = number;
        posted_here here{*this};
        local_queue& mine_here = queues_[slot];
        mine_here.here = &here;
        e.worker = this;
        e.locals = &mine;
        e.slot = slot;
        e.forks = &mine_here.forks;
        initialize(initializer_);
        if (woken) { // a spare one, to whom a wake has come
            const spin_guard guard{lock_};
            mine_here.passes_on = receive_wake();
        }
        unsigned turn = 0;
        for (;;) {
            if (work* w = woken ? first_after_sleep(slot, turn) : next(slot, turn)) {
                woken = false;
                if (std::exchange(mine_here.passes_on, false)) pass_wake_on();
                w->run();
                if (w == &here && ++mine_here.left == most_left)
                    count_out(slot); // it does not leave by itself
                if (surplus_.load(order::relaxed) != 0) woken = park(slot);
            } else {
                woken = true;
                if (!sleep(mine_here)) break;
            }
        }
        mine.clear();
        current() = {};
    }
    release_owner();
}

void pool_engine::refuse_queued() noexcept {
    work_queue found;
    const auto sort_out = [&found](work_queue& q) {
        work_queue kept;
        std::uint32_t n = 0;
        while (work* w = q.pop()) {
            (w->unstarted_ ? found : kept).push(*w);
            n += w->unstarted_ ? 1 : 0;
        }
        while (work* w = kept.pop()) q.push(*w);
        return n;
    };
    {
        const spin_guard guard{injected_lock_};
        take_inbox();
        for (std::size_t level = 0; level < levels; ++level) {
            const std::uint32_t n = sort_out(injected_[level]);
            injected_count_.store(injected_count_.load(order::relaxed) - n, order::relaxed);
            waiting_[level].fetch_sub(n, order::relaxed);
        }
    }
    for (std::size_t i = 0; i < slots_.load(order::relaxed); ++i) {
        local_queue& q = queues_[i];
        const spin_guard guard{q.lock};
        q.size.store(q.size.load(order::relaxed) - sort_out(q.queue), order::relaxed);
    }
    refuse_lanes(found);
    while (work* w = found.pop()) w->run(); // refuses itself
}

void pool_engine::refuse_lanes(work_queue& found) noexcept {
    record_claim mine;
    posted_record r;
    const auto empty_claim = [&] {
        while (mine.take(r, spares_)) {
            if (r.kind()) {
                posted::end(*this, refusal());
                continue;
            }
            found.push(*r.held());
        }
    };
    for (std::size_t i = 0; i < slots_.load(order::relaxed); ++i)
        while (queues_[i].claim.steal_into(mine)) empty_claim();
    bool more = false;
    for (post_lane& l : lanes_)
        while (l.claim_into(mine, spares_, largest_claim, more)) empty_claim();
}

void pool_engine::request_stop() noexcept {
    std::vector<local_queue*> spares;
    {
        const spin_guard guard{lock_};
        stop_ = true;
        epoch_.fetch_add(1, order::release); // as in request_wake(): stop_ is seen under lock_
        spares.swap(parked_);
        for (local_queue* q : spares) q->parked.store(0, order::release);
    }
    futex_wake_all(epoch_.address());
    for (local_queue* q : spares) futex_wake(q->parked.address());
}

void pool_engine::on_idle() noexcept {
    // Nobody waits for the end (see engine::defer): each thread ends by itself, and the last one takes the
    // engine along.
    add_owner();
    request_stop();
    release_owner();
}

void pool_engine::stop_and_join() noexcept {
    request_stop();
    std::vector<std::thread> ending;
    {
        const std::lock_guard guard{threads_mutex_};
        joining_ = true;
        ending.swap(threads_);
    }
    for (std::thread& t : ending)
        if (t.joinable()) t.join();
}

} // namespace plait::detail
