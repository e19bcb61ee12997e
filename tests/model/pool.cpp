// SPDX-License-Identifier: Apache-2.0
// The pool's threads: whatever is posted is run, once; nobody sleeps while there is work; shutdown ends.
// with: strand/pool_engine strand/pool_search strand/pool_blocking strand/engine strand/post_lane strand/failures
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// with: coro/fork coro/group coro/posted coro/job strand/worker_local
#include "pools.hpp"

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

TEST(Model, Pool_TwoWorkersShareWhatIsPosted) {
    explored_at_random("pool: two workers, posts from two threads", [] {
        plait::testing::atomic<int> runs{0};
        pool p{2};
        const auto count = [&runs] { runs.fetch_add(1); };
        thread other{"other", [&] { p.post(count); }};
        p.post(count);
        p.post(count);
        other.join();
        p.shutdown();
        check(runs.load() == 3);
    });
}

// Waited for by a thread of the pool that does not say so: nobody takes its place.
class flag {
  public:
    void raise() noexcept {
        up_.store(1, plait::detail::order::release);
        plait::detail::futex_wake_all(up_.address());
    }
    void wait() const noexcept {
        while (up_.load(plait::detail::order::acquire) == 0) plait::detail::futex_wait(up_.address(), 0);
    }

  private:
    plait::detail::atomic<std::uint32_t> up_{0};
};

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

struct forked_one : plait::detail::work {
    explicit forked_one(flag& f) noexcept : work{&told}, ran{f} {}
    static void told(work& w) noexcept { static_cast<forked_one&>(w).ran.raise(); }
    flag& ran;
};

// Who forks looks for sleepers without a barrier: they have it, before they look for forks a last time. The first
// fork is another case, since before it they need none.
TEST(Model, Pool_AForkWakesASleeper) {
    explored_at_random("pool: a task that waits for its forks", [] {
        flag first_ran;
        flag second_ran;
        forked_one first{first_ran};
        forked_one second{second_ran};
        const auto forks_and_waits = [&] {
            plait::detail::fork_deque& forks = *plait::detail::current().forks;
            for (forked_one* const f : {&first, &second}) {
                check(forks.fork(*f));
                f->ran.wait();
            }
        };
        pool p{2};
        p.post([&forks_and_waits] { forks_and_waits(); });
        p.shutdown();
    });
}

} // namespace
