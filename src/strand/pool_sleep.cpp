// SPDX-License-Identifier: Apache-2.0
// How a pool's threads go to sleep, and who wakes whom. See pool_engine, invariant W.
#include "strand/pool_engine.hpp"

#include "sys/futex.hpp"

#include <algorithm>
#include <utility>

namespace plait::detail {

// Under lock_.
pool_engine::wake_order pool_engine::request_wake(waking wanted) noexcept {
    if (sleepers_.load(order::relaxed) == 0) return {};
    if (std::exchange(waking_, waking_ == waking::nobody ? wanted : waking::for_more) != waking::nobody)
        return {};
    if (asleep_.empty()) return take_place();
    all_asleep_.store(false, order::relaxed);
    return rouse_last(asleep_);
}

// Under lock_. Of all of them the last to lie down: of its stack and its data the most is in a cache still.
pool_engine::wake_order pool_engine::rouse_last(std::vector<local_queue*>& among) noexcept {
    atomic<std::uint32_t>& word = among.back()->asleep;
    among.pop_back();
    word.store(0, order::relaxed); // who sees it takes lock_ before it looks at anything
    return {word.address(), false};
}

// Under lock_: from now on it is found there, and may be roused.
void pool_engine::lie_down(local_queue& mine, std::vector<local_queue*>& among) noexcept {
    mine.asleep.store(1, order::relaxed); // by us alone looked at without lock_
    among.push_back(&mine);
}

// Until somebody rouses it. False: time is up.
bool pool_engine::stay_down(local_queue& mine, std::int64_t until) noexcept {
    // Wake-up: the word changes before futex_wake() comes. It may come late, when we sleep once more: then we look again.
    while (mine.asleep.load(order::relaxed) != 0)
        if (futex_wait(mine.asleep.address(), 1, until) == futex_result::timed_out) return false;
    return true;
}

// Under lock_, by who has been roused, before it searches: see invariant W.
void pool_engine::receive_wake(local_queue& mine) noexcept {
    mine.passes_on = std::exchange(waking_, waking::nobody) == waking::for_more;
    mine.handed = std::exchange(handed_, nullptr);
}

void pool_engine::carry_out(wake_order order) noexcept {
    if (order.sleeper)
        futex_wake(order.sleeper);
    else if (order.starts_one)
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
    {
        const spin_guard guard{lock_};
        // seq_cst: pairs with the load in push_own(); the announcement comes before the last look.
        sleepers_.fetch_add(1, order::seq_cst);
        if (stop_ || work_possible()) {
            sleepers_.fetch_sub(1, order::relaxed);
            return !(stop_ && !work_anywhere());
        }
        lie_down(mine, asleep_);
        // relaxed, here and elsewhere: who reads it without lock_ reads it again under that.
        all_asleep_.store(asleep_.size() >= workers_, order::relaxed);
    }
    // The barrier comes after a nap: whoever forks again and again wakes us before that, and would be interrupted each
    // time.
    if (!forks_were_made() || (!stay_down(mine, monotonic_now() + nap) && !forks_seen_late()))
        stay_down(mine, no_deadline);
    const spin_guard guard{lock_};
    sleepers_.store(sleepers_.load(order::relaxed) - 1, order::relaxed);
    if (mine.asleep.load(order::relaxed) == 0) {
        receive_wake(mine);
    } else { // by itself, for those forks
        std::erase(asleep_, &mine);
        all_asleep_.store(false, order::relaxed);
        mine.asleep.store(0, order::relaxed);
    }
    return true;
}

} // namespace plait::detail
