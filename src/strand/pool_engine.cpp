// SPDX-License-Identifier: Apache-2.0
#include "strand/pool_engine.hpp"

#include "strand/locals.hpp"
#include "sys/futex.hpp"

#include <algorithm>
#include <plait/errors.hpp>
#include <pthread.h>
#include <string>

namespace plait::detail {

pool_engine::pool_engine(std::size_t workers, const char* name, function<void()> initializer,
                         unhandled_handler handler)
    : engine{"thread_pool", std::move(handler)},
      name_{name},
      initializer_{std::move(initializer)},
      slots_{static_cast<std::uint32_t>(workers)},
      workers_{workers},
      queues_(workers + most_spares) {
    parked_.reserve(queues_.size());
    for (local_queue& q : queues_) q.forks.belong_to(*this, sleepers_);
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
pool_engine::wake_order pool_engine::request_wake() noexcept {
    if (waking_ || sleepers_.load(order::relaxed) == 0) return {};
    waking_ = true;
    if (asleep_ != 0) {
        epoch_.fetch_add(1, order::release);
        return {wake::sleeper, epoch_.address()};
    }
    return take_place();
}

// By those addresses alone: once the lock is released the pool may end, and be gone.
void pool_engine::carry_out(wake_order order) noexcept {
    if (order.address)
        futex_wake(order.address);
    else if (order.what == wake::fresh)
        start_spare();
}

void pool_engine::wake_one() noexcept {
    wake_order order;
    {
        const spin_guard guard{lock_};
        order = request_wake();
    }
    carry_out(order);
}

// By a worker that was woken and has found work: what was queued meanwhile may be some other's.
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

void pool_engine::post(work& w) noexcept {
    const execution& e = current();
    if (e.worker == this) {
        work* const single = &w;
        return push_own(queues_[e.slot], {&single, 1});
    }
    const std::size_t priority = w.unstarted_ ? w.priority_ : 0U;
    wake_order order;
    {
        const spin_guard guard{lock_};
        inbox_[priority].push(w);
        inbox_count_.store(inbox_count_.load(order::relaxed) + 1, order::relaxed);
        order = request_wake();
    }
    carry_out(order);
}

void pool_engine::leave() noexcept {
    const execution& e = current();
    if (e.worker != this) return engine::leave(1);
    if (++queues_[e.slot].left == largest_batch) count_out(e.slot);
}

void pool_engine::count_out(unsigned slot) noexcept {
    if (const std::uint32_t n = std::exchange(queues_[slot].left, 0)) engine::leave(n);
}

work* pool_engine::take_own(unsigned slot) noexcept {
    local_queue& q = queues_[slot];
    if (q.size.load(order::relaxed) == 0) return nullptr;
    const spin_guard guard{q.lock};
    work* const w = q.queue.pop();
    if (w) q.size.store(q.size.load(order::relaxed) - 1, order::relaxed);
    return w;
}

// Under injected_lock_. In no time, however much there is: those who post must not wait for those who take.
void pool_engine::take_inbox() noexcept {
    if (inbox_count_.load(order::relaxed) == 0) return;
    const spin_guard guard{lock_};
    for (std::size_t i = 0; i < priorities; ++i) injected_[i].append(inbox_[i]);
    injected_count_.store(injected_count_.load(order::relaxed) + inbox_count_.load(order::relaxed),
                          order::relaxed);
    inbox_count_.store(0, order::relaxed);
}

// One to run now; of a long queue a batch, the rest of which goes to the worker's own queue.
work* pool_engine::take_injected(unsigned slot) noexcept {
    std::array<work*, largest_batch> taken;
    std::uint32_t n = 0;
    bool more = false;
    {
        const spin_guard guard{injected_lock_};
        take_inbox();
        const std::uint32_t waiting = injected_count_.load(order::relaxed);
        if (waiting == 0) return nullptr;
        const auto share = static_cast<std::uint32_t>(waiting / (2 * workers_));
        const std::uint32_t batch = std::clamp(share, 1U, largest_batch);
        while (n < batch) {
            const bool lowest_first = ++injected_turn_ % high_share == 0;
            work* w = nullptr;
            for (std::size_t i = 0; i < priorities && !w; ++i)
                w = injected_[lowest_first ? priorities - 1 - i : i].pop();
            taken[n++] = w;
        }
        injected_count_.store(waiting - n, order::relaxed);
        more = waiting != n;
    }
    if (n > 1)
        push_own(queues_[slot], {taken.data() + 1, n - 1});
    else if (more && sleepers_.load(order::relaxed) != 0)
        wake_one(); // relaxed: who went to sleep since take_inbox() has seen injected_count_
    return taken[0];
}

// The oldest fork of the first worker after us that has any: of all that it has forked the largest part.
work* pool_engine::steal(unsigned slot) noexcept {
    const std::size_t slots = slots_.load(order::relaxed);
    for (std::size_t i = 1; i < slots; ++i)
        if (work* w = queues_[(slot + i) % slots].forks.steal()) return w;
    return steal_queued(slot);
}

// Half of what the first worker after us has that has anything; of much, a batch.
work* pool_engine::steal_queued(unsigned slot) noexcept {
    const std::size_t slots = slots_.load(order::relaxed);
    for (std::size_t i = 1; i < slots; ++i) {
        local_queue& victim = queues_[(slot + i) % slots];
        if (victim.size.load(order::relaxed) == 0) continue;
        std::array<work*, largest_batch> taken;
        std::uint32_t n = 0;
        bool more = false;
        {
            const spin_guard guard{victim.lock};
            const std::uint32_t size = victim.size.load(order::relaxed);
            const std::uint32_t wanted = std::min((size + 1) / 2, largest_batch);
            while (n < wanted) taken[n++] = victim.queue.pop();
            victim.size.store(size - n, order::relaxed);
            more = size != n;
        }
        if (n == 0) continue;
        if (n > 1)
            push_own(queues_[slot], {taken.data() + 1, n - 1});
        else if (more && sleepers_.load(order::relaxed) != 0)
            wake_one(); // wakes that came while we were being woken were swallowed
        return taken[0];
    }
    return nullptr;
}

work* pool_engine::next(unsigned slot, unsigned& turn) noexcept {
    // Now and then the others first: tasks that post themselves, or fork, again and again must not keep them out.
    if (++turn % own_share == 0) {
        if (work* w = take_injected(slot)) return w;
        if (work* w = take_own(slot)) return w;
    }
    // Depth first: what was forked last is what the task that waits for it needs next.
    if (work* w = queues_[slot].forks.pop()) return w;
    if (work* w = take_own(slot)) return w;
    count_out(slot);
    if (work* w = take_injected(slot)) return w;
    return steal(slot);
}

bool pool_engine::work_anywhere() const noexcept {
    if (inbox_count_.load(order::relaxed) != 0 || injected_count_.load(order::relaxed) != 0) return true;
    const auto end = queues_.begin() + slots_.load(order::relaxed);
    return std::any_of(queues_.begin(), end, [](const local_queue& q) {
        return q.size.load(order::seq_cst) != 0 || !q.forks.empty();
    });
}

// False: the pool ends.
bool pool_engine::sleep() noexcept {
    std::uint32_t epoch = 0;
    {
        const spin_guard guard{lock_};
        // seq_cst: pairs with the load in push_own(); the announcement comes before the last look.
        sleepers_.fetch_add(1, order::seq_cst);
        if (stop_ || work_anywhere()) {
            sleepers_.fetch_sub(1, order::relaxed);
            return !(stop_ && !work_anywhere());
        }
        ++asleep_;
        epoch = epoch_.load(order::relaxed);
    }
    futex_wait(epoch_.address(), epoch);
    const spin_guard guard{lock_};
    --asleep_;
    sleepers_.fetch_sub(1, order::relaxed);
    waking_ = false; // before we search: see invariant W
    return true;
}

void pool_engine::thread_main(unsigned slot, bool woken) noexcept {
    ::pthread_setname_np(::pthread_self(), name_);
    {
        locals mine;
        execution& e = current();
        e = {};
        e.worker = this;
        e.locals = &mine;
        e.slot = slot;
        e.forks = &queues_[slot].forks;
        initialize(initializer_);
        if (woken) { // a spare one, to whom a wake has come
            const spin_guard guard{lock_};
            waking_ = false;
        }
        unsigned turn = 0;
        for (;;) {
            if (work* w = next(slot, turn)) {
                if (std::exchange(woken, false)) pass_wake_on();
                w->run();
                if (surplus_.load(order::relaxed) != 0) woken = park(slot);
            } else {
                woken = true;
                if (!sleep()) break;
            }
        }
        mine.clear();
        current() = {};
    }
    release_owner();
}

void pool_engine::refuse_queued() noexcept {
    work_queue found;
    const auto sort_out = [&found](work_list& q) {
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
        for (work_list& q : injected_)
            injected_count_.store(injected_count_.load(order::relaxed) - sort_out(q), order::relaxed);
    }
    for (std::size_t i = 0; i < slots_.load(order::relaxed); ++i) {
        local_queue& q = queues_[i];
        const spin_guard guard{q.lock};
        q.size.store(q.size.load(order::relaxed) - sort_out(q.queue), order::relaxed);
    }
    while (work* w = found.pop()) w->run(); // refuses itself
}

void pool_engine::request_stop() noexcept {
    std::vector<local_queue*> spares;
    {
        const spin_guard guard{lock_};
        stop_ = true;
        epoch_.fetch_add(1, order::release);
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
