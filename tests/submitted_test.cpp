// SPDX-License-Identifier: Apache-2.0
// Submitted functions: what is there of one before it runs, while it does, and when somebody cancels it.
#include "support/dumped.hpp"

#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
#include <plait/trace.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace {

TEST(Submitted, ShowsWhileItRunsAndWithANameFromTheStartOn) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch begun{1};
    std::latch go_on{1};
    const std::string place = "submitted_test.cpp:" + std::to_string(__LINE__ + 1);
    auto named = pool.submit({.name = "ahead"}, [&] {
        begun.count_down();
        go_on.wait();
    });
    begun.wait();
    auto behind = pool.submit({.name = "behind"}, [] {});
    auto unnamed = pool.submit([] { return dumped(); });
    const std::string before = dumped();
    EXPECT_NE(before.find("'ahead' running"), std::string::npos) << before;
    EXPECT_NE(before.find(place), std::string::npos) << before;
    EXPECT_NE(before.find("'behind' queued"), std::string::npos) << before;
    EXPECT_EQ(before.find("plait: 2 live tasks"), 0U) << before;
    go_on.count_down();
    const std::string then = unnamed.get();
    EXPECT_EQ(then.find("plait: 1 live task\n"), 0U) << then;
    named.get();
    behind.get();
}

TEST(Submitted, ItsChildrenStandBelowIt) {
    plait::thread_pool pool{{.workers = 1}};
    const std::string seen = pool.submit([&] { return pool.submit([] { return dumped(); }).get(); }).get();
    EXPECT_NE(seen.find("plait: 2 live tasks\n#"), std::string::npos) << seen;
    EXPECT_NE(seen.find("\n  #"), std::string::npos) << seen;
}

TEST(Submitted, CancelStopsWhatRuns) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch begun{1};
    auto f = pool.submit([&] {
        begun.count_down();
        while (true) plait::this_task::checkpoint();
    });
    begun.wait();
    EXPECT_TRUE(f.cancel());
    EXPECT_THROW(f.get(), plait::cancelled);
    EXPECT_FALSE(pool.submit([] { return plait::this_task::stop_token().stop_requested(); }).get());
}

// Its scope is on the stack: it has to wait for who uses it.
TEST(Submitted, IsNotDoneBeforeItsCancellerIsThrough) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch begun{1};
    std::latch stopping{1};
    std::latch go_on{1};
    std::atomic<bool> called{false};
    auto f = pool.submit([&] {
        const plait::stop_callback on_stop{plait::this_task::stop_token(), [&] {
                                               stopping.count_down();
                                               go_on.wait();
                                               called = true;
                                           }};
        begun.count_down();
        stopping.wait();
        return 7;
    });
    begun.wait();
    std::thread canceller{[&] { f.cancel(); }};
    stopping.wait();
    EXPECT_FALSE(f.done());
    go_on.count_down();
    EXPECT_EQ(f.get(), 7);
    EXPECT_TRUE(called);
    canceller.join();
}

TEST(Submitted, ACancelledOneThatWasQueuedGivesUpItsCallable) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch begun{1};
    std::latch go_on{1};
    auto first = pool.submit([&] {
        begun.count_down();
        go_on.wait();
    });
    begun.wait();
    const auto owned = std::make_shared<int>(1);
    auto f = pool.submit({.name = "never"}, [owned] { return *owned; });
    EXPECT_EQ(owned.use_count(), 2);
    EXPECT_TRUE(f.cancel());
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_EQ(dumped().find("'never'"), std::string::npos);
    go_on.count_down();
    first.get();
    EXPECT_THROW(f.get(), plait::cancelled);
}

TEST(Submitted, AfterShutdownTheArgumentsStayTheCallers) {
    plait::thread_pool pool{{.workers = 1}};
    pool.shutdown();
    auto argument = std::make_unique<int>(7);
    const auto run = [](std::unique_ptr<int>) {};
    EXPECT_THROW(static_cast<void>(pool.submit(run, std::move(argument))), plait::shutdown_error);
    EXPECT_TRUE(argument);
}

struct cannot_be_moved {
    cannot_be_moved() = default;
    cannot_be_moved(const cannot_be_moved&) { throw std::runtime_error{"copied"}; }
    int operator()() const { return 1; }
};

TEST(Submitted, ACallableThatThrowsWhenItIsTakenLeavesNothing) {
    plait::thread_pool pool{{.workers = 1}};
    const cannot_be_moved fn;
    EXPECT_THROW(static_cast<void>(pool.submit({.name = "broken"}, fn)), std::runtime_error);
    EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
    plait::event_loop loop;
    EXPECT_THROW(static_cast<void>(loop.submit({.name = "broken"}, fn)), std::runtime_error);
    EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
}

TEST(Submitted, TasksOfTasksAreCountedOnce) {
    std::atomic<int> runs{0};
    for (int round = 0; round < 50; ++round) {
        plait::thread_pool pool{{.workers = 2}};
        auto f = pool.submit([&] {
            for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit([&] { ++runs; }));
        });
        f.get();
        pool.shutdown(); // returns when all have ended
        EXPECT_EQ(runs.exchange(0), 100);
    }
}

TEST(Submitted, AFailureThatNobodyReadsIsTold) {
    std::atomic<int> told{0};
    std::string name;
    plait::thread_pool pool{{.workers = 1, .on_unhandled = [&](const plait::unhandled_failure& f) {
                                 name = f.task_name ? f.task_name : "";
                                 ++told;
                             }}};
    const auto fail = [] { throw std::runtime_error{"no"}; };
    {
        auto read_late = pool.submit({.name = "late"}, fail);
        read_late.wait();
    }
    EXPECT_EQ(told, 1);
    EXPECT_EQ(name, "late");
    static_cast<void>(pool.submit(fail));
    pool.shutdown();
    EXPECT_EQ(told, 2);
    EXPECT_EQ(name, "");
}

} // namespace
