// SPDX-License-Identifier: Apache-2.0
#include "strand/pool_engine.hpp"

#include "strand/locals.hpp"
#include "sys/futex.hpp"
#include "sys/membarrier.hpp"
#include "sys/placement.hpp"

#include <atomic>
#include <bit>
#include <new>
#include <utility>

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
    asleep_.reserve(queues_.size());
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
    if (level_of(w) == normal && !all_asleep_.load(order::relaxed)) { // else post() hands it over
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
    if (all_asleep_.load(order::relaxed) && hand_over(w)) return;
    if (level == normal) {
        try {
            return carry_out(lane_of_this_thread().put(posted_record{w}, spares_,
                                                       [this] { return request_wake_for_lane(); }));
        } catch (...) { // no memory for words: into the inbox, which needs none
        }
    }
    inject(w, level);
}

// To a pool that is asleep: nothing is queued (invariant W), and so it overtakes nothing if it does not queue either, but
// goes to the thread that is woken for it. False: somebody is awake.
bool pool_engine::hand_over(work& w) noexcept {
    wake_order order;
    {
        const spin_guard guard{lock_};
        if (all_asleep_.load(order::relaxed)) order = request_wake(waking::for_one);
        if (!order.sleeper) return false;
        handed_ = &w;
    }
    carry_out(order);
    return true;
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
            receive_wake(mine_here);
        }
        unsigned turn = 0;
        for (;;) {
            if (work* w = woken ? first_after_sleep(slot, turn) : next(slot, turn)) {
                if (std::exchange(mine_here.passes_on, false)) pass_wake_on();
                w->run();
                // Who waits for it most likely waits for this processor, too, on which it has woken us.
                if (std::exchange(woken, false)) let_others_get_ahead(mine_here);
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
    std::vector<local_queue*> roused;
    {
        const spin_guard guard{lock_};
        stop_ = true;
        for (local_queue* q : parked_) asleep_.push_back(q);
        parked_.clear();
        for (local_queue* q : asleep_) q->asleep.store(0, order::relaxed); // as in rouse_last()
        roused.swap(asleep_);
    }
    for (local_queue* q : roused) futex_wake(q->asleep.address());
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
