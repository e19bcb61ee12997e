// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Threads that wait for a task do the pool's everyday work meanwhile (decision 0053): nobody else is the worse for it.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/process_pool.hpp>

#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;

// Long enough for the pool to see that its tasks are long.
void work_for(int milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{milliseconds};
    while (std::chrono::steady_clock::now() < until) {}
}

TEST(ProcessPoolAttend, ATimeLimitHoldsForATaskThatAWaitingThreadHasPlaced) {
    process_pool pool{{.workers = 1}};
    // So long that nothing is fed ahead, and the pool's thread sleeps until it is told of something.
    for (int i = 0; i < 3; ++i) pool.submit(work_for, 20).get();
    auto first = pool.submit(work_for, 20);
    auto endless = pool.submit({.timeout = std::chrono::milliseconds{50}}, spin);
    first.get(); // which places the other one
    EXPECT_THROW(endless.get(), plait::timeout_error);
}

TEST(ProcessPoolAttend, TasksThatNobodyWaitsForAreRunAllTheSame) {
    process_pool pool{{.workers = 2}};
    for (int round = 0; round < 20; ++round) {
        std::vector<plait::future<int>> all;
        for (int i = 0; i < 1000; ++i) all.push_back(pool.submit(add, i, round));
        for (auto& f : all)
            while (!f.done()) std::this_thread::yield();
        for (int i = 0; i < 1000; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i + round);
    }
}

TEST(ProcessPoolAttend, ManyThreadsWaitForTheTasksOfOneWorker) {
    process_pool pool{{.workers = 1}};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&pool, t] {
            for (int i = 0; i < 500; ++i) {
                auto one = pool.submit(add, i, t);
                auto two = pool.submit(add, t, 1);
                const auto patience = std::chrono::seconds{t == 0 ? 30 : 0}; // one of them by the clock
                static_cast<void>(two.wait_for(patience));
                EXPECT_EQ(two.get(), t + 1);
                EXPECT_EQ(one.get(), i + t);
            }
        });
    for (std::thread& each : threads) each.join();
}

TEST(ProcessPoolAttend, ACoroutineHasItsResultWhileThreadsWaitForOthers) {
    process_pool pool{{.workers = 2}};
    plait::event_loop loop;
    auto sums = loop.submit([&pool]() -> plait::task<int> {
        int sum = 0;
        for (int i = 0; i < 300; ++i) sum += co_await pool.submit(add, i, 1);
        co_return sum;
    });
    int mine = 0;
    while (!sums.done()) mine += pool.submit(add, 1, 0).get();
    EXPECT_EQ(sums.get(), 299 * 150 + 300);
    EXPECT_GT(mine, 0);
}

TEST(ProcessPoolAttend, AThreadThatWaitsIsToldOfItsWorkersDeath) {
    process_pool pool{{.workers = 2}};
    for (int i = 0; i < 20; ++i) {
        auto behind = pool.submit(add, i, 1);
        EXPECT_THROW(pool.submit(die_by_void, SIGKILL).get(), plait::worker_lost);
        EXPECT_EQ(behind.get(), i + 1);
    }
}

} // namespace
