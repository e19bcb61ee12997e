// SPDX-License-Identifier: Apache-2.0
#include <plait/testing_explore.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <stdexcept>
#include <string>

using namespace plait::testing;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;

namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void racing_additions() {
    atomic<int> x{0};
    label(x, "x");
    const auto add = [&x] { x.store(x.load() + 1); };
    thread one{"one", add};
    thread two{"two", add};
    one.join();
    two.join();
    check(x.load() == 2, "an addition was lost");
}

TEST(Explore, CountsEverySchedule) {
    // Two threads of two steps each that all touch one word: 4! / (2! 2!).
    const exploration r = explore({.name = "six"}, [] {
        atomic<int> x{0};
        const auto add = [&x] {
            x.fetch_add(1);
            x.fetch_add(1);
        };
        thread one{add};
        thread two{add};
        one.join();
        two.join();
        check(x.load() == 4);
    });
    EXPECT_TRUE(r) << r.story();
    EXPECT_TRUE(r.complete());
    EXPECT_EQ(r.schedules(), 6U);
    EXPECT_EQ(r.summary(), "six: 6 schedules, complete");
    EXPECT_EQ(r.story(), r.summary() + "\n");
}

TEST(Explore, StepsThatDoNotTouchEachOtherAreOneSchedule) {
    const exploration r = explore([] {
        atomic<int> x{0};
        atomic<int> y{0};
        thread one{[&x] { x.fetch_add(1); }};
        y.fetch_add(1);
        one.join();
    });
    EXPECT_TRUE(r);
    EXPECT_EQ(r.schedules(), 1U);
}

TEST(Explore, FindsALostAdditionAndTellsItsStory) {
    const exploration r = explore({.name = "additions"}, racing_additions);
    ASSERT_FALSE(r);
    EXPECT_FALSE(r.complete());
    EXPECT_EQ(r.failure(), "an addition was lost");
    EXPECT_TRUE(contains(r.story(), "x.load(seq_cst) is 0")) << r.story();
    EXPECT_TRUE(contains(r.story(), "x.store(1, seq_cst)")) << r.story();
    EXPECT_TRUE(contains(r.story(), "main")) << r.story();
    EXPECT_TRUE(contains(r.story(), "one")) << r.story();
    EXPECT_TRUE(contains(r.story(), "testing_explore_test.cpp:")) << r.story();
    EXPECT_TRUE(contains(r.story(), ".replay = \"")) << r.story();
    EXPECT_TRUE(contains(r.summary(), "then a failure: an addition was lost")) << r.summary();
}

TEST(Explore, TheScheduleOfAFailureFailsAgain) {
    const exploration r = explore(racing_additions);
    const exploration again = explore({.replay = r.schedule()}, racing_additions);
    EXPECT_EQ(again.failure(), r.failure());
    EXPECT_EQ(again.schedule(), r.schedule());
    EXPECT_THROW(static_cast<void>(explore({.replay = "a3?"}, racing_additions)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(explore({.replay = "~1"}, racing_additions)), std::invalid_argument);
}

TEST(Explore, ABoundOnPreemptionsFindsWhatNeedsNoMore) {
    EXPECT_TRUE(explore({.preemptions = 0}, racing_additions));
    EXPECT_FALSE(explore({.preemptions = 1}, racing_additions));
    const exploration r = explore({.name = "bounded", .preemptions = 0}, racing_additions);
    EXPECT_TRUE(contains(r.summary(), "bounded by 0 preemptions")) << r.summary();
}

TEST(Explore, RandomSchedulesFindItTooAndTheSeedDecides) {
    const exploration_options options{.random_schedules = 1000, .seed = 42};
    const exploration r = explore(options, racing_additions);
    ASSERT_FALSE(r);
    const exploration again = explore(options, racing_additions);
    EXPECT_EQ(again.schedule(), r.schedule());
    EXPECT_EQ(again.schedules(), r.schedules());
    EXPECT_FALSE(explore({.replay = r.schedule()}, racing_additions));
}

TEST(Explore, StopsAfterSoManySchedules) {
    const exploration r = explore({.name = "some", .most_schedules = 3}, [] {
        atomic<int> x{0};
        const auto add = [&x] {
            for (int i = 0; i < 3; ++i) x.fetch_add(1);
        };
        thread one{add};
        add();
        one.join();
    });
    EXPECT_TRUE(r);
    EXPECT_FALSE(r.complete());
    EXPECT_EQ(r.schedules(), 3U);
    EXPECT_EQ(r.summary(), "some: 3 schedules, not all of them");
}

TEST(Explore, ADeadlockNamesWhoWaitsForWhom) {
    const exploration r = explore([] {
        mutex a;
        mutex b;
        label(a, "a");
        label(b, "b");
        const auto both = [](mutex& first, mutex& second) {
            first.lock();
            second.lock();
            second.unlock();
            first.unlock();
        };
        thread one{"one", [&] { both(a, b); }};
        thread two{"two", [&] { both(b, a); }};
        one.join();
        two.join();
    });
    ASSERT_FALSE(r);
    EXPECT_TRUE(contains(r.failure(), "every thread waits: ")) << r.failure();
    EXPECT_TRUE(contains(r.failure(), "'one' waits for b, which 'two' holds")) << r.failure();
    EXPECT_TRUE(contains(r.failure(), "'two' waits for a, which 'one' holds")) << r.failure();
}

TEST(Explore, AWaitThatNobodyWakesIsADeadlock) {
    const exploration r = explore([] {
        mutex m;
        condition_variable ready;
        bool set = false;
        thread setter{[&] {
            {
                const std::lock_guard guard{m};
                set = true;
            }
            ready.notify_one();
        }};
        bool seen = false;
        {
            const std::lock_guard guard{m};
            seen = set;
        }
        if (!seen) { // a bug: it may be set, and told, in between
            std::unique_lock lock{m};
            ready.wait(lock);
        }
        setter.join();
    });
    ASSERT_FALSE(r);
    EXPECT_TRUE(contains(r.failure(), "sleeps on")) << r.failure();
}

TEST(Explore, ATimedWaitMayEndAtAnyMoment) {
    bool timed_out = false;
    bool told = false;
    const exploration r = explore([&] {
        mutex m;
        condition_variable ready;
        bool set = false;
        thread setter{[&] {
            const std::lock_guard guard{m};
            set = true;
            ready.notify_all();
        }};
        {
            std::unique_lock lock{m};
            (ready.wait_for(lock, std::chrono::hours{1}, [&] { return set; }) ? told : timed_out) = true;
        }
        setter.join();
    });
    EXPECT_TRUE(r) << r.story();
    EXPECT_TRUE(r.complete());
    EXPECT_TRUE(timed_out);
    EXPECT_TRUE(told);
}

TEST(Explore, PlainMemoryThatTwoThreadsTouchIsARace) {
    const auto publish = [](std::memory_order order) {
        return explore([order] {
            atomic<int> ready{0};
            plain<int> data{0};
            label(data, "data");
            thread writer{"writer", [&] {
                              data = 42;
                              ready.store(1, order);
                          }};
            if (ready.load(memory_order_acquire) == 1) check(data == 42);
            writer.join();
        });
    };
    EXPECT_TRUE(publish(memory_order_release));
    const exploration r = publish(memory_order_relaxed);
    ASSERT_FALSE(r);
    EXPECT_TRUE(contains(r.failure(), "a data race on data: 'main' reads what 'writer' wrote"))
        << r.failure();
    EXPECT_TRUE(contains(r.story(), "writes data")) << r.story();
}

TEST(Explore, WhatIsDestroyedMustNotBeInUse) {
    const auto last_one_out = [](std::memory_order order) {
        return explore([order] {
            struct counted {
                atomic<int> owners{2};
            };
            auto* const shared = new counted;
            const auto leave = [shared, order] {
                if (shared->owners.fetch_sub(1, order) == 1) delete shared;
            };
            thread one{"one", leave};
            leave();
            one.join();
        });
    };
    EXPECT_TRUE(last_one_out(std::memory_order_acq_rel));
    const exploration r = last_one_out(memory_order_relaxed);
    ASSERT_FALSE(r);
    EXPECT_TRUE(contains(r.failure(), "destroys")) << r.failure();

    const exploration late = explore([] {
        auto shared = std::make_unique<atomic<int>>(0);
        atomic<int>& word = *shared;
        thread one{"one", [&word] {
                       word.store(1);
                       word.store(2);
                   }};
        while (word.load() == 0) plait::testing::yield();
        shared.reset();
        one.join();
    });
    ASSERT_FALSE(late);
    EXPECT_TRUE(contains(late.failure(), "'one' is about to use")) << late.failure();
}

TEST(Explore, ALoopThatPollsIsNotExploredForEver) {
    const exploration r = explore([] {
        atomic<int> x{0};
        thread setter{[&x] { x.store(1, memory_order_relaxed); }};
        while (x.load(memory_order_relaxed) == 0) plait::testing::yield();
        setter.join();
    });
    EXPECT_TRUE(r) << r.story();
    EXPECT_TRUE(r.complete());

    const exploration never = explore([] {
        const atomic<int> x{0};
        while (x.load() == 0) plait::testing::yield();
    });
    ASSERT_FALSE(never);
    EXPECT_TRUE(contains(never.failure(), "'main' polls, and nothing changes")) << never.failure();

    const exploration silent = explore({.most_steps = 500}, [] {
        const atomic<int> x{0};
        while (x.load() == 0) {}
    });
    ASSERT_FALSE(silent);
    EXPECT_TRUE(contains(silent.failure(), "more than 500 steps")) << silent.failure();
}

TEST(Explore, AnExceptionIsAFailure) {
    const exploration in_test = explore([] { throw std::runtime_error{"oops"}; });
    EXPECT_EQ(in_test.failure(), "an exception left the test: oops");
    const exploration in_thread = explore([] { thread{"one", [] { throw 42; }}.join(); });
    EXPECT_EQ(in_thread.failure(), "an exception left thread 'one'");
}

TEST(Explore, ExceptionsOfTwoThreadsDoNotMeet) {
    const exploration r = explore([] {
        atomic<int> x{0};
        const auto work = [&x](int n) {
            try {
                throw n;
            } catch (const int& caught) {
                x.fetch_add(1); // the other one goes on in the middle of this handler
                check(caught == n);
                try {
                    throw;
                } catch (int again) {
                    check(again == n);
                }
            }
            check(std::uncaught_exceptions() == 0);
        };
        thread one{[&] { work(1); }};
        work(2);
        one.join();
    });
    EXPECT_TRUE(r) << r.story();
    EXPECT_EQ(r.schedules(), 2U);
}

TEST(Explore, ATestThatIsNotDeterministicIsFoundOut) {
    int runs = 0;
    const exploration r = explore([&runs] {
        atomic<int> x{0};
        ++runs;
        for (int i = 0; i < runs; ++i) x.store(i);
        thread one{[&x] { x.store(1); }};
        x.store(2);
        one.join();
    });
    ASSERT_FALSE(r);
    EXPECT_TRUE(contains(r.failure(), "not deterministic")) << r.failure();
}

TEST(Explore, MutexesExcludeAndPublish) {
    const exploration r = explore([] {
        mutex m;
        plain<int> n{0};
        const auto add = [&] {
            const std::lock_guard guard{m};
            n = n + 1;
        };
        thread one{add};
        thread two{[&] {
            if (!m.try_lock()) return;
            n = n + 1;
            m.unlock();
        }};
        add();
        one.join();
        two.join();
        check(n == 2 || n == 3);
    });
    EXPECT_TRUE(r) << r.story();
    EXPECT_TRUE(r.complete());
}

TEST(Explore, WrongUseIsRefused) {
    EXPECT_THROW(static_cast<void>(explore({.preemptions = -2}, racing_additions)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(explore({.depth = 0}, racing_additions)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(explore({.most_steps = 0}, racing_additions)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(explore(nullptr)), std::invalid_argument);
    const exploration many = explore([] {
        std::vector<thread> threads;
        for (int i = 0; i < 8; ++i) threads.emplace_back([] {});
    });
    EXPECT_TRUE(contains(many.failure(), "at most 8 threads")) << many.failure();
    const exploration unlocked = explore([] {
        mutex m;
        m.unlock();
    });
    EXPECT_TRUE(contains(unlocked.failure(), "which it does not hold")) << unlocked.failure();
}

TEST(Explore, OutsideOfAnExplorationTheTypesArePlain) {
    atomic<int> x{1};
    EXPECT_EQ(x.fetch_add(2), 1);
    EXPECT_EQ(x.exchange(7), 3);
    int expected = 7;
    EXPECT_TRUE(x.compare_exchange_strong(expected, 8));
    EXPECT_FALSE(x.compare_exchange_strong(expected, 9));
    EXPECT_EQ(expected, 8);
    EXPECT_EQ(++x, 9);
    atomic<std::uint8_t> small{255};
    EXPECT_EQ(small.fetch_add(1), 255);
    EXPECT_EQ(small.load(), 0);
}

} // namespace
