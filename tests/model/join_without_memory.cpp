// SPDX-License-Identifier: Apache-2.0
// A gather's children, any of which may find no room in the deque: those are posted, and begin in another order.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// with: coro/fork coro/group coro/posted coro/job coro/join strand/worker_local
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// small: plait/detail/deque.hpp if (bottom == limit_) -> if (bottom == limit_ || testing::model::choose(2, {}) != 0)
#include "pools.hpp"

#include <plait/gather.hpp>
#include <plait/task.hpp>

using plait::testing::check;

namespace {

plait::task<payload> one() { co_return payload{1}; }
plait::task<int> pair() {
    const auto [a, b] = co_await plait::gather(one(), one());
    co_return a.value() + b.value();
}
plait::task<int> four() {
    const auto [a, b, c, d] = co_await plait::gather(one(), one(), one(), one());
    co_return a.value() + b.value() + c.value() + d.value();
}

TEST(Model, JoinWithoutMemory_TwoPairs) {
    explored_at_random("join without memory: two pairs", [] {
        pool p;
        const int sum = run_on(p, []() -> plait::task<int> {
            const auto [a, b] = co_await plait::gather(pair(), pair());
            co_return a + b;
        });
        check(sum == 4, "a value was lost");
    });
}

// The last of them may be the first to begin here, and is not to be taken for alone: another thread has the second.
TEST(Model, JoinWithoutMemory_FourOfAFork) {
    explored_at_random("join without memory: four children of a fork", [] {
        pool p;
        const int sum = run_on(p, []() -> plait::task<int> {
            const auto [a, b] = co_await plait::gather(four(), one());
            co_return a + b.value();
        });
        check(sum == 5, "a value was lost");
    });
}

} // namespace
