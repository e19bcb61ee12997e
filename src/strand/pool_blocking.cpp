// SPDX-License-Identifier: Apache-2.0
// Threads in the place of those that block: see pool_engine.
#include "strand/pool_engine.hpp"

#include "sys/futex.hpp"

#include <algorithm>

namespace plait::detail {

// Under lock_, after a change of blocked_ or extra_: what follows from them. True: there are places that were not
// offered before.
bool pool_engine::recount() noexcept {
    const std::uint32_t wanted = std::min<std::uint32_t>(blocked_, most_spares);
    const std::uint32_t offered = wanted > extra_ ? wanted - extra_ : 0;
    // relaxed: who looks without lock_ looks again under it, in park().
    surplus_.store(extra_ > blocked_ ? extra_ - blocked_ : 0, order::relaxed);
    // seq_cst: as in sleep(); a worker that queues something sees the place, or we see its work.
    const bool more = offered > offered_;
    if (more)
        sleepers_.fetch_add(offered - offered_, order::seq_cst);
    else
        sleepers_.fetch_sub(offered_ - offered, order::relaxed); // overlooked, it costs a look under lock_
    offered_ = offered;
    return more;
}

// Under lock_, and nobody sleeps: somebody for a place that stands open.
pool_engine::wake_order pool_engine::take_place() noexcept {
    ++extra_;
    recount();
    if (parked_.empty()) {
        add_owner(); // the thread is started outside of the lock
        return {nullptr, true};
    }
    return rouse_last(parked_);
}

// After take_place() said so.
void pool_engine::start_spare() noexcept {
    unsigned slot = 0;
    {
        const spin_guard guard{lock_};
        slot = slots_.load(order::relaxed);
        if (slot < queues_.size()) slots_.store(slot + 1, order::relaxed);
    }
    try {
        if (slot == queues_.size()) throw std::bad_alloc{};
        start_thread(slot, true);
    } catch (...) {
        // None is to be had. The wake goes to whoever is awake: each looks everywhere before it sleeps.
        const spin_guard guard{lock_};
        waking_ = waking::nobody;
        --extra_;
        recount();
    }
    release_owner();
}

void pool_engine::begin_blocking() noexcept {
    count_out(current().slot); // for it may be long
    slow_lanes_down();
    wake_order order;
    bool offers = false;
    {
        const spin_guard guard{lock_};
        ++blocked_;
        offers = recount();
        if (work_possible()) order = request_wake(waking::for_more);
    }
    carry_out(order);
    if (offers && forks_seen_late()) wake_one();
}

void pool_engine::end_blocking() noexcept {
    const spin_guard guard{lock_};
    --blocked_;
    recount();
}

// Steps aside, if there is a thread too many. True: it was woken, for a place.
bool pool_engine::park(unsigned slot) noexcept {
    count_out(slot);
    slow_lanes_down();
    local_queue& mine = queues_[slot];
    wake_order order;
    bool offers = false;
    {
        const spin_guard guard{lock_};
        if (stop_ || surplus_.load(order::relaxed) == 0) return false;
        --extra_;
        offers = recount();
        lie_down(mine, parked_);
        if (work_possible())
            order = request_wake(waking::for_more); // what is in our queue is not ours to do any more
    }
    carry_out(order);
    if (offers && forks_seen_late()) wake_one();
    stay_down(mine, no_deadline);
    const spin_guard guard{lock_};
    if (stop_) return false;
    receive_wake(mine);
    return true;
}

} // namespace plait::detail
