// SPDX-License-Identifier: Apache-2.0
// Which of a thread_pool's threads is woken, and what for.
#include "support/process_status.hpp"

#include <gtest/gtest.h>

#include <plait/future.hpp>
#include <plait/thread_pool.hpp>

#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

/// The numbers of a pool's threads, each of which runs one of these.
std::vector<int> threads_of(plait::thread_pool& pool) {
    std::latch all{static_cast<std::ptrdiff_t>(pool.concurrency())};
    std::vector<plait::future<int>> asked;
    for (std::size_t i = 0; i < pool.concurrency(); ++i)
        asked.push_back(pool.submit([&all] {
            all.arrive_and_wait();
            return static_cast<int>(::gettid());
        }));
    std::vector<int> result;
    for (auto& f : asked) result.push_back(f.get());
    return result;
}

void wait_until_asleep(const std::vector<int>& threads) {
    const auto asleep = [](int t) { return status_of(t).state == 'S'; };
    while (!std::all_of(threads.begin(), threads.end(), asleep)) std::this_thread::yield();
}

// The one whose stack and data are the likeliest to be in a cache still: the others may sleep on.
TEST(PoolSleep, TheLastToFallAsleepIsWokenFirst) {
    plait::thread_pool pool{{.workers = 4}};
    const std::vector<int> threads = threads_of(pool);
    wait_until_asleep(threads);
    const int first = pool.submit([] { return static_cast<int>(::gettid()); }).get();
    for (int trip = 0; trip < 20; ++trip) {
        wait_until_asleep(threads);
        EXPECT_EQ(pool.submit([] { return static_cast<int>(::gettid()); }).get(), first);
    }
}

// Of two tasks for a sleeping pool the first is handed over, the other is queued; and it does not wait for the first.
TEST(PoolSleep, WhatComesBehindATaskThatIsHandedOverWakesAnother) {
    plait::thread_pool pool{{.workers = 2}};
    const std::vector<int> threads = threads_of(pool);
    for (int round = 0; round < 20; ++round) {
        wait_until_asleep(threads);
        std::latch second_runs{1};
        auto first = pool.submit([&second_runs] { second_runs.wait(); });
        auto second = pool.submit([&second_runs] { second_runs.count_down(); });
        second.get();
        first.get();
    }
}

// A sleeping pool, or not, or not quite: every task is run, and each thread's in order.
TEST(PoolSleep, OneWorkerKeepsTheOrderBetweenNaps) {
    plait::thread_pool pool{{.workers = 1}};
    const std::vector<int> threads = threads_of(pool);
    std::vector<int> order;
    int next = 0;
    for (int round = 0; round < 200; ++round) {
        if (round % 3 == 0) wait_until_asleep(threads);
        pool.post([&order, i = next++] { order.push_back(i); });
        static_cast<void>(pool.submit([&order, i = next++] { order.push_back(i); }));
        pool.post([&order, i = next++] { order.push_back(i); });
        auto last = pool.submit([&order, i = next++] { order.push_back(i); });
        if (round % 2 == 0) last.get();
    }
    pool.shutdown();
    EXPECT_EQ(order.size(), static_cast<std::size_t>(next));
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

} // namespace
