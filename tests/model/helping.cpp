// SPDX-License-Identifier: Apache-2.0
// Who waits for a fork that was stolen helps its thief: with what that fork has forked, and with nothing else.
// with: coro/fork coro/group coro/posted coro/job coro/task_group
// small: plait/detail/fork.hpp fork_group() noexcept {} -> ~fork_group() {} fork_group() noexcept {}
#include "tasks.hpp"

#include <plait/detail/fork.hpp>

using plait::detail::fork_deque;
using plait::detail::fork_group;
using plait::detail::work;
using plait::testing::check;
using plait::testing::thread;

namespace {

// A pool's two threads by hand: an owner that forks and waits, a thief that steals one fork. Whether they do it at the right
// time is the pool's affair.
struct two_threads {
    two_threads() {
        for (fork_deque* const d : {&owner, &thief}) d->belong_to(home, sleepers);
        root.home = &home;
        root.node = &node;
    }
    void run_on(fork_deque& mine) {
        plait::detail::execution& e = plait::detail::current();
        e = {};
        e.worker = &home;
        e.forks = &mine;
    }
    /// In a task of the owner's.
    template <class F>
    void fork_and_wait(F fn) {
        run_on(owner);
        plait::detail::current().scope = &root;
        fork_group group;
        group.belong_to(plait::detail::current());
        group.run(fn);
        group.join();
        run_on(owner);
    }
    void steal_one() {
        if (work* const w = owner.steal()) w->run();
    }

    model_worker home;
    plait::detail::atomic<std::uint32_t> sleepers{0};
    fork_deque owner;
    fork_deque thief;
    plait::detail::context root;
    plait::detail::task_node node{};
};

// The thief's own, of another task: it may need a lock that the owner's task holds.
struct stranger : work {
    explicit stranger(two_threads& in) noexcept : work{&told}, threads{in} {}
    static void told(work& w) noexcept {
        check(plait::detail::current().forks == &static_cast<stranger&>(w).threads.thief,
              "who waits runs what is not its own");
    }
    two_threads& threads;
};

void run_all(fork_deque& forks) {
    while (work* const w = forks.pop()) w->run();
}

TEST(Model, Helping_WhatTheForkHasForkedIsRunOnce) {
    explored_tasks(
        "helping: a fork that forks another one",
        [] {
            two_threads both;
            payload result;
            thread thief{"thief", [&both] {
                             both.run_on(both.thief);
                             both.steal_one();
                         }};
            both.fork_and_wait([&result] {
                fork_group inner;
                inner.belong_to(plait::detail::current());
                inner.run([&result] { result = payload{7}; });
                inner.join();
            });
            check(result.value() == 7);
            thief.join();
        },
        2);
}

TEST(Model, Helping_WhatLayThereBeforeIsLeftAlone) {
    explored_tasks(
        "helping: a thief that had forked before",
        [] {
            two_threads both;
            stranger before{both};
            thread thief{"thief", [&] {
                             both.run_on(both.thief);
                             check(both.thief.push(before));
                             both.steal_one();
                             run_all(both.thief);
                         }};
            both.fork_and_wait([] {});
            thief.join();
        },
        2);
}

TEST(Model, Helping_WhatComesAfterwardsIsLeftAlone) {
    explored_tasks(
        "helping: a thief that forks when the stolen one has ended",
        [] {
            two_threads both;
            stranger after{both};
            thread thief{"thief", [&] {
                             both.run_on(both.thief);
                             both.steal_one();
                             check(both.thief.push(after));
                             run_all(both.thief);
                         }};
            both.fork_and_wait([] {});
            thief.join();
        },
        2);
}

} // namespace
