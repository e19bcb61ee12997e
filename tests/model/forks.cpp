// SPDX-License-Identifier: Apache-2.0
// What task_group::run forks on a pool's two threads: run by its owner or by a thief, waited for, helped with.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// with: coro/fork coro/group coro/posted coro/job coro/task_group strand/worker_local
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// small: plait/detail/fork.hpp fork_group() noexcept {} -> ~fork_group() {} fork_group() noexcept {}
#include "pools.hpp"

#include <exception>
#include <plait/errors.hpp>
#include <plait/task_group.hpp>
#include <plait/this_task.hpp>

using plait::testing::check;

namespace {

struct bad : std::exception {};

TEST(Model, Forks_OneIsRunHereOrThere) {
    explored_at_random("forks: one fork", [] {
        pool p;
        const int value = run_on(p, [&p] {
            payload result;
            plait::task_group group{p};
            group.run([&result] { result = payload{7}; });
            group.wait();
            return result.value();
        });
        check(value == 7);
    });
}

int tree(pool& p, int depth) {
    if (depth == 0) return 1;
    payload left;
    payload right;
    plait::task_group halves{p};
    halves.run([&] { left = payload{tree(p, depth - 1)}; });
    halves.run([&] { right = payload{tree(p, depth - 1)}; });
    halves.wait();
    return left.value() + right.value();
}

// Who waits for a stolen fork helps with what that one forks.
TEST(Model, Forks_ATree) {
    explored_at_random("forks: a tree of six forks", [] {
        pool p;
        check(run_on(p, [&p] { return tree(p, 2); }) == 4, "a value was lost");
    });
}

// Both are light, and share a scope: it is made by the first that asks.
TEST(Model, Forks_TwoAskWhetherTheyAreStopped) {
    explored_at_random("forks: two that ask for their scope", [] {
        pool p;
        run_on(p, [&p] {
            plait::task_group group{p};
            for (int n = 0; n < 2; ++n)
                group.run([] { check(!plait::this_task::stop_token().stop_requested()); });
            group.wait();
        });
    });
}

TEST(Model, Forks_AFailureComesOut) {
    explored_at_random("forks: one of two fails", [] {
        pool p;
        try {
            run_on(p, [&p] {
                plait::task_group group{p};
                group.run([] { throw bad{}; });
                group.run([] {});
                group.wait();
            });
            check(false, "no failure came out");
        } catch (const plait::error_group& e) {
            check(e.errors().size() == 1);
        }
    });
}

TEST(Model, Forks_OneCancelsTheGroup) {
    explored_at_random("forks: one of two cancels the group", [] {
        pool p;
        run_on(p, [&p] {
            plait::task_group group{p};
            group.run([&group] { group.cancel(); });
            group.run([] {});
            group.wait();
        });
    });
}

} // namespace
