// SPDX-License-Identifier: Apache-2.0
// The pool's threads: whatever is posted is run, once; nobody sleeps while there is work; shutdown ends.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// with: coro/fork coro/group coro/posted coro/job strand/worker_local
#include "pools.hpp"

#include <array>
#include <memory>
#include <plait/errors.hpp>

using plait::detail::pool_engine;
using plait::testing::check;
using plait::testing::thread;

namespace {

constexpr unsigned long_ones = 10;

TEST(Model, Pool_APostWakesASleeper) {
    explored_tasks(
        "pool: one worker, two posts, shutdown",
        [] {
            int runs = 0;
            pool p{1};
            p.post([&runs] { ++runs; });
            p.post([&runs] { ++runs; });
            p.shutdown();
            check(runs == 2, "a post was lost, or run twice");
        },
        long_ones);
}

// Each goes to the worker, if that sleeps, or else into the lane.
TEST(Model, Pool_WhatIsHandedToASleeperIsRunOnceInItsTurn) {
    explored_tasks(
        "pool: one worker, two submits",
        [] {
            int runs = 0;
            pool p{1};
            auto first = p.submit([&runs] { return runs++; });
            auto second = p.submit([&runs] { return runs++; });
            p.shutdown();
            check(first.get() == 0 && second.get() == 1, "one has overtaken the other");
        },
        long_ones);
}

template <class Give>
void two_workers_share_what_two_threads_give(const char* name, Give give) {
    explored_at_random(name, [give] {
        plait::testing::atomic<int> runs{0};
        pool p{2};
        const auto count = [&runs] { runs.fetch_add(1); };
        thread other{"other", [&] { give(p, count); }};
        give(p, count);
        give(p, count);
        other.join();
        p.shutdown();
        check(runs.load() == 3);
    });
}
TEST(Model, Pool_TwoWorkersShareWhatIsPosted) {
    two_workers_share_what_two_threads_give("pool: two workers, posts from two threads",
                                            [](pool& p, auto count) { p.post(count); });
}
// Once one has run, both may be asleep again.
TEST(Model, Pool_TwoWorkersShareWhatIsHandedToThem) {
    two_workers_share_what_two_threads_give("pool: two workers, submits from two threads",
                                            [](pool& p, auto count) { p.submit(count).wait(); });
}

TEST(Model, Pool_WhatIsCancelledInASleepersHandIsTakenAllTheSame) {
    explored_tasks(
        "pool: a submit that is cancelled, shutdown",
        [] {
            bool ran = false;
            bool cancelled = false;
            {
                pool p{1};
                auto task = p.submit([&ran] { ran = true; });
                cancelled = task.cancel();
                p.shutdown();
            }
            check(ran != cancelled, "cancelled and run, or neither");
        },
        long_ones);
}

TEST(Model, Pool_ShutdownOfAnIdlePool) {
    explored_tasks(
        "pool: two workers, shutdown at once",
        [] {
            pool p{2};
            p.shutdown();
        },
        long_ones);
}

TEST(Model, Pool_LateCallersAreRefused) {
    explored_tasks(
        "pool: post against shutdown",
        [] {
            int runs = 0;
            bool accepted = true;
            pool p{1};
            thread late{"late", [&] {
                            try {
                                p.post([&runs] { ++runs; });
                            } catch (const plait::shutdown_error&) {
                                accepted = false;
                            }
                        }};
            p.shutdown();
            late.join();
            check(runs == (accepted ? 1 : 0), "accepted and not run, or run and refused");
        },
        long_ones);
}

// A low one goes another way than what is posted, and is looked for later: its worker may be held up before.
struct low_one : plait::detail::work {
    low_one(pool_engine& e, flag& f) noexcept : work{&told}, engine{e}, ran{f} {
        unstarted_ = true;
        priority_ = 2;
    }
    static void told(work& w) noexcept {
        low_one& self = static_cast<low_one&>(w);
        pool_engine& engine = self.engine;
        self.ran.raise();
        engine.leave();
    }
    pool_engine& engine;
    flag& ran;
};

// The second wake comes while the first is under way; who receives that is held up until the other has run.
TEST(Model, Pool_ASwallowedWakeIsPassedOn) {
    explored_at_random("pool: a task that waits for another one", [] {
        flag ran;
        pool p{2};
        low_one second{*p.engine, ran};
        p.engine->engine::enter();
        p.post([&ran] { ran.wait(); });
        p.engine->post(second);
        p.shutdown();
    });
}

// Three threads, three places: whoever has the first passes the wake on to whoever takes the second, who has to pass it on
// once more.
TEST(Model, Pool_ASwallowedWakeIsPassedOnTwice) {
    explored_at_random("pool: two tasks that wait for a third", [] {
        flag ran;
        pool p{3};
        low_one third{*p.engine, ran};
        p.engine->engine::enter();
        const auto waits = [&ran] { ran.wait(); };
        thread other{"other", [&] { p.post(waits); }};
        p.post(waits);
        p.engine->post(third);
        other.join();
        p.shutdown();
    });
}

// Both are claimed together, by a worker that is held up in the first: the other one, on its way to sleep, must not
// overlook the second, neither in the lane nor in the claim nor in between.
TEST(Model, Pool_WhatIsClaimedIsNotHiddenBehindALongTask) {
    explored_at_random("pool: a task that waits for the one behind it", [] {
        flag ran;
        pool p{2};
        p.post([&ran] { ran.wait(); });
        p.post([&ran] { ran.raise(); });
        p.shutdown();
    });
}

// The third and fourth go into a fast lane: it has filled a chunk.
TEST(Model, Pool_APostToAFastLaneWakesASleeper) {
    explored_at_random("pool: a task that waits for the last of three behind it", [] {
        flag ran;
        pool p{2};
        p.post([&ran] { ran.wait(); });
        p.post([] {});
        p.post([] {});
        p.post([&ran] { ran.raise(); });
        p.shutdown();
    });
}

void a_worker_posts(const char* name, unsigned char priority) {
    explored_at_random(name, [priority] {
        flag ran;
        pool p{2};
        low_one posted{*p.engine, ran};
        posted.priority_ = priority;
        p.engine->engine::enter();
        p.post([&posted] {
            posted.engine.post(posted);
            posted.ran.wait();
        });
        p.shutdown();
    });
}
TEST(Model, Pool_WhatAWorkerPostsWakesASleeper) {
    a_worker_posts("pool: a task that waits for what it has posted", 1);
}
TEST(Model, Pool_WhatAWorkerPostsWithAPriorityWakesASleeper) {
    a_worker_posts("pool: a task that waits for a low one that it has posted", 2);
}

// Who forks looks for sleepers without a barrier: they have it, before they look for forks a last time. The first
// fork is another case, since before it they need none.
TEST(Model, Pool_AForkWakesASleeper) {
    explored_at_random("pool: a task that waits for its forks", [] {
        std::array<forked_one, 2> forks;
        pool p{2};
        p.post([&forks] {
            for (forked_one& f : forks) f.fork_and_wait();
        });
        p.shutdown();
    });
}

// Who has gone to sleep and finds the first fork late wakes by itself, and is held up in it; the second needs another.
struct waiting_fork : forked_one {
    waiting_fork() noexcept { run_ = &told; }
    static void told(plait::detail::work& w) noexcept {
        auto& self = static_cast<waiting_fork&>(w);
        self.next.ran.wait();
        self.ran.raise();
    }
    forked_one next;
};
TEST(Model, Pool_WhoHasWokenByItselfIsNotTakenForAsleep) {
    explored_at_random("pool: a fork that waits for the one after it", [] {
        waiting_fork first;
        pool p{3};
        p.post([&first] {
            check(plait::detail::current().forks->fork(first));
            first.next.fork_and_wait();
            first.ran.wait();
        });
        p.shutdown();
    });
}

// What was cancelled in the queue has been counted out, and what lies there is taken out of it all the same.
struct cancelled_one : plait::detail::work {
    cancelled_one() noexcept : work{&told} {
        unstarted_ = true;
        priority_ = 1;
    }
    static void told(work& w) noexcept { static_cast<cancelled_one&>(w).taken = true; }
    bool taken = false;
};

TEST(Model, Pool_TheEndTakesOutWhatWasCancelled) {
    explored_tasks(
        "pool: one task that is cancelled, shutdown",
        [] {
            cancelled_one task;
            {
                pool p{1};
                p.engine->engine::enter();
                p.engine->post(task);
                p.engine->leave();
                p.shutdown();
            }
            check(task.taken, "it lies in the queue, and the pool has ended");
        },
        long_ones);
}

// Who was told by the last task that it has run may end the pool, while the post of that task is still on its way out.
TEST(Model, Pool_ItsEndWaitsForWhoPostsTheLastTask) {
    explored_tasks(
        "pool: shutdown by who has seen the last task run",
        [] {
            flag ran;
            auto p = std::make_unique<pool>(1);
            thread poster{"poster", [&ran, &p = *p] { p.post([&ran] { ran.raise(); }); }};
            ran.wait();
            p->shutdown();
            p.reset();
            poster.join();
        },
        long_ones);
}

} // namespace
