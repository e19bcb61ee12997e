// SPDX-License-Identifier: Apache-2.0
// A pool whose threads block: others do their work, at most as many as there may be, and whatever is queued is run.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// with: coro/fork coro/group coro/posted coro/job strand/worker_local
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
#include "pools.hpp"

#include <plait/blocking_region.hpp>

using plait::testing::check;

namespace {

// When it was queued nobody slept, and nobody was told: who blocks has to look.
TEST(Model, Blocking_WhatIsQueuedIsRunMeanwhile) {
    explored_at_random("blocking: a task that waits for the one behind it", [] {
        flag ran;
        pool p{1};
        p.post([&ran] {
            const plait::blocking_region waiting;
            ran.wait();
        });
        p.post([&ran] { ran.raise(); });
        p.shutdown();
    });
}

// The place of the one that blocks is all there is for it.
TEST(Model, Blocking_AForkIsRunMeanwhile) {
    explored_at_random("blocking: a task that blocks, and one that waits for its fork", [] {
        forked_one fork;
        pool p{2};
        p.post([&fork] {
            const plait::blocking_region waiting;
            fork.ran.wait();
        });
        p.post([&fork] { fork.fork_and_wait(); });
        p.shutdown();
    });
}

// One worker and one spare thread are in a region, both, so that the third task has to wait until one of them is through.
TEST(Model, Blocking_BeyondTheBoundARegionDoesNothing) {
    explored_at_random("blocking: two tasks that block, a third one, and one spare thread", [] {
        flag go_on;
        plait::testing::atomic<int> inside{0};
        plait::testing::atomic<int> ended{0};
        pool p{1};
        const auto work = [&] {
            check(inside.fetch_add(1) < 2, "more threads than there may be");
            {
                const plait::blocking_region waiting;
                go_on.wait();
            }
            inside.fetch_sub(1);
            ended.fetch_add(1);
        };
        for (int n = 0; n < 3; ++n) p.post([&work] { work(); });
        while (inside.load() != 2) plait::testing::yield();
        go_on.raise();
        p.shutdown();
        check(ended.load() == 3, "a task was lost");
    });
}

} // namespace
