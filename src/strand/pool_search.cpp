// SPDX-License-Identifier: Apache-2.0
// What a worker does next: where it looks, in which order, and how much it takes. See pool_engine.
#include "strand/pool_engine.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace plait::detail {

// The next record of the worker's claim.
inline work* pool_engine::take_claimed(local_queue& mine) noexcept {
    posted_record& r = mine.here->record;
    if (!mine.claim.take(r, spares_)) return nullptr;
    return r.kind() ? mine.here : r.held();
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
    for (std::size_t i = 0; i < levels; ++i) injected_[i].append(inbox_[i]);
    injected_count_.store(injected_count_.load(order::relaxed) + inbox_count_.load(order::relaxed),
                          order::relaxed);
    inbox_count_.store(0, order::relaxed);
}

// One to run now, of the first of these levels that has any. Of a long queue of what has begun a batch, the rest of
// which goes to the worker's own queue; of a priority nothing else: what comes meanwhile may have a higher one.
work* pool_engine::take_injected(unsigned slot, std::size_t first, std::size_t last) noexcept {
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
        for (std::size_t level = first; level <= last && n == 0; ++level) {
            while (n < (level == begun ? batch : 1)) {
                work* const w = injected_[level].pop();
                if (!w) break;
                taken[n++] = w;
            }
            waiting_[level].fetch_sub(n, order::relaxed);
        }
        if (n == 0) return nullptr;
        injected_count_.store(waiting - n, order::relaxed);
        more = waiting != n;
    }
    if (n > 1)
        push_own(queues_[slot], {taken.data() + 1, n - 1});
    else if (more && sleepers_.load(order::relaxed) != 0)
        wake_one(); // relaxed: who went to sleep since take_inbox() has seen injected_count_
    return taken[0];
}

// The first record of a claim that was just made. Whoever went to sleep meanwhile may have seen the others neither where
// they were nor here.
work* pool_engine::take_first_claimed(local_queue& mine, bool more) noexcept {
    work* const w = take_claimed(mine); // null: a thief was quicker, and tells of what it has
    // seq_cst: as in push_own(), and the claim is set before.
    if (sleepers_.load(order::seq_cst) != 0 && (more || !mine.claim.empty())) wake_one();
    return w;
}

work* pool_engine::take_from_lanes(unsigned slot) noexcept {
    if (work* w = take_claimed(queues_[slot])) return w;
    return claim_more(slot);
}

// Who has caught up with those who post lets them get ahead a little first, on its own processor if they wait for one.
// At their heels it would take every task by itself, and for each they would have to fetch back the lines that it has
// just looked at, for several times what the task costs.
void pool_engine::let_others_get_ahead(local_queue& mine) noexcept {
    if (std::exchange(mine.caught_up, false)) std::this_thread::yield();
}

// Records of a lane, beginning with another one each time: all that there are, since others can halve a claim.
work* pool_engine::claim_more(unsigned slot) noexcept {
    local_queue& mine = queues_[slot];
    const std::size_t lanes = lanes_.size();
    let_others_get_ahead(mine);
    for (std::size_t i = 0; i < lanes; ++i) {
        bool more = false;
        const std::uint32_t at = mine.next_lane++;
        if (!lanes_[at & (lanes - 1)].claim_into(mine.claim, spares_, largest_claim, more)) continue;
        mine.last_lane = at;
        mine.caught_up = !more;
        return take_first_claimed(mine, more);
    }
    return nullptr;
}

work* pool_engine::steal_claim(unsigned slot) noexcept {
    const std::size_t slots = slots_.load(order::relaxed);
    local_queue& mine = queues_[slot];
    for (std::size_t i = 1; i < slots; ++i)
        if (queues_[(slot + i) % slots].claim.steal_into(mine.claim)) return take_first_claimed(mine, false);
    return nullptr;
}

// The oldest fork of the first worker after us that has any: of all that it has forked the largest part.
work* pool_engine::steal(unsigned slot) noexcept {
    const std::size_t slots = slots_.load(order::relaxed);
    for (std::size_t i = 1; i < slots; ++i)
        if (work* w = queues_[(slot + i) % slots].forks.steal()) return w;
    if (work* w = steal_claim(slot)) return w;
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

// After a sleep: nothing is left of what it had. What it was woken for it has been handed, or it most likely is where
// something was before.
work* pool_engine::first_after_sleep(unsigned slot, unsigned& turn) noexcept {
    local_queue& mine = queues_[slot];
    if (work* w = std::exchange(mine.handed, nullptr)) {
        mine.caught_up = true;
        return w;
    }
    mine.next_lane = mine.last_lane;
    if (!anything_injected())
        if (work* w = claim_more(slot)) return w;
    return next(slot, turn);
}

work* pool_engine::next(unsigned slot, unsigned& turn) noexcept {
    local_queue& mine = queues_[slot];
    const bool injected = anything_injected();
    // Most of the time there is a claim, and nothing that may go before it.
    if (!injected && mine.size.load(order::relaxed) == 0 && mine.forks.idle()) {
        mine.in_a_row = 0;
        if (work* w = take_claimed(mine)) return w;
    }
    if (work* w = take_neglected(slot, injected, turn)) return w;
    if (injected && waits(high))
        if (work* w = take_injected(slot, high, high)) return w;
    // Depth first: what was forked last is what the task that waits for it needs next.
    if (work* w = mine.forks.pop()) return w;
    if (work* w = take_own(slot)) return w;
    if (waits(begun))
        if (work* w = take_injected(slot, begun, begun)) return w;
    if (work* w = take_from_lanes(slot)) return w;
    count_out(slot);
    if (anything_injected())
        if (work* w = take_injected(slot, begun, low)) return w;
    return steal(slot);
}

// Now and then somebody else first: who comes, or forks, again and again must not keep the others out. Each of them
// has turns of its own, whatever all the others do.
work* pool_engine::take_neglected(unsigned slot, bool injected, unsigned& turn) noexcept {
    local_queue& mine = queues_[slot];
    mine.in_a_row = injected ? mine.in_a_row + 1 : 0;
    if (mine.in_a_row == low_share / 2) {
        if (work* w = take_under_way(slot)) return w;
    } else if (mine.in_a_row == low_share) {
        mine.in_a_row = 0;
        if (work* w = take_injected(slot, low, low)) return w;
        if (work* w = take_from_lanes(slot)) return w;
    }
    if (++turn % own_share != 0) return nullptr;
    if (turn / own_share % 2 == 0)
        if (work* w = take_under_way(slot)) return w;
    if (work* w = take_from_lanes(slot)) return w;
    return take_under_way(slot);
}

// Of what a high priority goes before: forks, the worker's own queue, what has begun, beginning with another one each
// time.
work* pool_engine::take_under_way(unsigned slot) noexcept {
    local_queue& mine = queues_[slot];
    const unsigned first = mine.next_under_way++;
    for (unsigned i = 0; i < 3; ++i) {
        const unsigned at = (first + i) % 3;
        work* const w = at == 0   ? (waits(begun) ? take_injected(slot, begun, begun) : nullptr)
                        : at == 1 ? take_own(slot)
                                  : mine.forks.pop();
        if (w) return w;
    }
    return nullptr;
}

} // namespace plait::detail
