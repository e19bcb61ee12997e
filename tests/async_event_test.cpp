// SPDX-License-Identifier: Apache-2.0
// Semaphore, event, latch and barrier.
#include "support/strands.hpp"

#include <plait/async_barrier.hpp>
#include <plait/async_event.hpp>
#include <plait/async_latch.hpp>
#include <plait/async_semaphore.hpp>

#include <stdexcept>
#include <thread>

namespace plait::test {
namespace {

template <class E>
class AsyncWaits : public on_executor<E> {};
TYPED_TEST_SUITE(AsyncWaits, executors);

TYPED_TEST(AsyncWaits, Y10_NeverMoreThanThePermitsAreInside) {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    this->run([&]() -> task<> {
        async_semaphore s{3};
        auto body = [](async_semaphore& of, std::atomic<int>& in, std::atomic<int>& peak) -> task<> {
            for (int i = 0; i < 50; ++i) {
                const auto permit = co_await of.acquire();
                const int now = ++in;
                if (now > peak) peak = now;
                co_await yield();
                --in;
            }
        };
        std::vector<task<>> all;
        for (int i = 0; i < 10; ++i) all.push_back(body(s, inside, most));
        co_await gather(std::move(all));
        EXPECT_EQ(s.available(), 3);
    });
    EXPECT_LE(most, 3);
}

TEST(AsyncSemaphore, Y10_FirstComeFirstServedAndNoNewcomerOvertakes) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_semaphore s{0};
        std::vector<int> order;
        auto wait = [](async_semaphore& of, std::vector<int>& seen, int n) -> task<> {
            auto permit = co_await of.acquire();
            permit.keep();
            seen.push_back(n);
        };
        co_await with_group([&](task_group& group) -> task<> {
            std::vector<future<void>> all;
            for (int i = 0; i < 5; ++i) all.push_back(group.spawn(wait, std::ref(s), std::ref(order), i));
            co_await settle();
            all[1].cancel(); // its permit goes to the next
            co_await settle();
            s.release(2);
            EXPECT_FALSE(s.try_acquire()) << "they are handed over";
            co_await settle();
            EXPECT_EQ(order, (std::vector{0, 2}));
            s.release(2);
        });
        EXPECT_EQ(order, (std::vector{0, 2, 3, 4}));
        EXPECT_EQ(s.available(), 0);
        s.release();
        EXPECT_TRUE(s.try_acquire());
        EXPECT_EQ(s.available(), 1) << "given back at its end";
    }());
    EXPECT_THROW(async_semaphore{-1}, std::invalid_argument);
    EXPECT_THROW(async_semaphore{1}.release(-1), std::invalid_argument);
}

TEST(AsyncEvent, Y11_SetWakesAllThatWaitThoughResetFollowsAtOnce) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_event e;
        int woken = 0;
        auto wait = [](async_event& of, int& n) -> task<> {
            co_await of.wait();
            ++n;
        };
        co_await with_group([&](task_group& group) -> task<> {
            for (int i = 0; i < 4; ++i) group.spawn(wait, std::ref(e), std::ref(woken));
            co_await settle();
            e.set();
            e.set();
            e.reset();
            EXPECT_FALSE(e.is_set());
            auto late = group.spawn(wait, std::ref(e), std::ref(woken));
            co_await settle();
            EXPECT_EQ(woken, 4);
            EXPECT_FALSE(late.done());
            e.set();
        });
        EXPECT_EQ(woken, 5);
        co_await e.wait();
        EXPECT_TRUE(e.is_set());
    }());
}

TEST(AsyncEvent, Y11_SetWakesThemInTheOrderInWhichTheyCame) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_event e;
        std::vector<int> order;
        auto wait = [](async_event& of, std::vector<int>& seen, int n) -> task<> {
            co_await of.wait();
            seen.push_back(n);
        };
        co_await with_group([&](task_group& group) -> task<> {
            std::vector<future<void>> all;
            for (int i = 0; i < 5; ++i) all.push_back(group.spawn(wait, std::ref(e), std::ref(order), i));
            co_await settle();
            all[2].cancel();
            co_await settle();
            e.set();
        });
        EXPECT_EQ(order, (std::vector{0, 1, 3, 4}));
    }());
}

constexpr int parties = 5;
constexpr int rounds = sanitized ? 200 : 1000;

TYPED_TEST(AsyncWaits, Y12_ABarrierOfAThousandRounds) {
    std::atomic<int> arrived{0};
    std::atomic<int> lasts{0};
    std::atomic<int> wrong{0};
    this->run([&]() -> task<> {
        async_barrier b{parties};
        auto body = [](async_barrier& at, std::atomic<int>& in, std::atomic<int>& last,
                       std::atomic<int>& bad) -> task<> {
            for (int r = 0; r < rounds; ++r) {
                ++in;
                const bool i_am_last = co_await at.arrive_and_wait();
                if (i_am_last) ++last;
                // All of this round have come, and nobody can be more than one round ahead.
                if (in < parties * (r + 1) || in > parties * (r + 2)) ++bad;
            }
        };
        std::vector<task<>> all;
        for (int i = 0; i < parties; ++i) all.push_back(body(b, arrived, lasts, wrong));
        co_await gather(std::move(all));
    });
    EXPECT_EQ(lasts, rounds);
    EXPECT_EQ(wrong, 0);
    EXPECT_THROW(async_barrier{0}, std::invalid_argument);
}

TEST(AsyncBarrier, Y12_ACancelledOneNoLongerCountsAndALateComerJoinsTheNextRound) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_barrier b{2};
        int through = 0;
        auto body = [](async_barrier& at, int& n) -> task<> {
            co_await at.arrive_and_wait();
            ++n;
        };
        co_await with_group([&](task_group& group) -> task<> {
            auto gives_up = group.spawn(body, std::ref(b), std::ref(through));
            co_await settle();
            gives_up.cancel();
            co_await settle();
            group.spawn(body, std::ref(b), std::ref(through));
            co_await settle();
            EXPECT_EQ(through, 0) << "one is missing again";
            group.spawn(body, std::ref(b), std::ref(through));
            co_await settle();
            EXPECT_EQ(through, 2);
            group.spawn(body, std::ref(b), std::ref(through));
            co_await settle();
            EXPECT_EQ(through, 2);
            group.spawn(body, std::ref(b), std::ref(through));
        });
        EXPECT_EQ(through, 4);
    }());
}

TEST(AsyncLatch, Y13_CountsDownFromAnyThreadAndNotBelowZero) {
    EXPECT_THROW(async_latch{-1}, std::invalid_argument);
    event_loop loop;
    async_latch l{3};
    EXPECT_THROW(l.count_down(4), std::invalid_argument);
    EXPECT_THROW(l.count_down(-1), std::invalid_argument);
    std::jthread thread{[&l] { l.count_down(2); }};
    loop.run([](async_latch& latch) -> task<> {
        co_await latch.arrive_and_wait();
        EXPECT_TRUE(latch.try_wait());
        co_await latch.wait(); // at once
    }(l));
    EXPECT_THROW(l.count_down(), std::invalid_argument);
}

TEST(AsyncLatch, Y13_ACancelledWaitLeavesTheCountAsItWasAndTheOthersGoOnInTheirOrder) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_latch l{2};
        std::vector<int> order;
        auto wait = [](async_latch& of, std::vector<int>& seen, int n) -> task<> {
            co_await of.wait();
            seen.push_back(n);
        };
        co_await with_group([&](task_group& group) -> task<> {
            std::vector<future<void>> all;
            for (int i = 0; i < 4; ++i) all.push_back(group.spawn(wait, std::ref(l), std::ref(order), i));
            co_await settle();
            all[0].cancel();
            co_await settle();
            l.count_down();
            co_await settle();
            EXPECT_TRUE(order.empty());
            EXPECT_FALSE(l.try_wait());
            l.count_down();
        });
        EXPECT_EQ(order, (std::vector{1, 2, 3}));
    }());
}

TYPED_TEST(AsyncWaits, C20_TasksThatWaitEndWhenTheyAreCancelled) {
    std::atomic<int> went_on{0};
    this->run([&went_on]() -> task<> {
        async_semaphore semaphore{0};
        async_event event;
        async_latch latch{1};
        async_barrier barrier{2};
        auto body = [&](std::atomic<int>& n, int how) -> task<> {
            if (how == 0) (void)co_await semaphore.acquire();
            if (how == 1) co_await event.wait();
            if (how == 2) co_await latch.wait();
            if (how == 3) co_await barrier.arrive_and_wait();
            ++n;
        };
        co_await with_group([&](task_group& group) -> task<> {
            for (int how = 0; how < 4; ++how) group.spawn(body, std::ref(went_on), how);
            co_await settle();
            group.cancel();
        });
        semaphore.release();
        EXPECT_EQ(semaphore.available(), 1);
    });
    EXPECT_EQ(went_on, 0);
}

} // namespace
} // namespace plait::test
