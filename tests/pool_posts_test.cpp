// SPDX-License-Identifier: Apache-2.0
// limit: 120
// What is posted to a thread_pool from outside: order, nothing hidden behind a long task, nothing
// lost at the end.
#include "support/dumped.hpp"

#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <plait/errors.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
#include <plait/trace.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr int many = sanitized ? 20'000 : 200'000; // more than one chunk by far

TEST(PoolPosts, OneWorkerTakesEverythingInOrder) {
    plait::thread_pool pool{{.workers = 1}};
    std::vector<int> order;
    for (int i = 0; i < many; ++i) {
        if (i % 7 == 0)
            (void)pool.submit([&order, i] { order.push_back(i); }); // by address, between those by value
        else
            pool.post([&order, i] { order.push_back(i); });
    }
    pool.shutdown();
    ASSERT_EQ(order.size(), static_cast<std::size_t>(many));
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

// From one word to three, and those that do not fit into what is left of a block.
TEST(PoolPosts, FunctionsOfAllSizesKeepTheirOrder) {
    plait::thread_pool pool{{.workers = 1}};
    static std::vector<std::size_t> order; // of one that captures nothing, too
    order.clear();
    const auto post_one = [&pool](std::size_t i, std::size_t kinds) {
        switch (i % kinds) {
        case 0:
            return pool.post([] { order.push_back(order.size()); });
        case 1:
            return pool.post([i] { order.push_back(i); });
        case 2:
            return pool.post([i, far = ~i] { order.push_back(~far == i ? i : 0); });
        case 3:
            return pool.post([i, c = 'x'] { order.push_back(c == 'x' ? i : 0); });
        default:
            return pool.post([i, more = std::array{i, i}] { order.push_back(more[1] == i ? i : 0); });
        }
    };
    constexpr std::size_t each = many / 5;
    for (std::size_t kinds = 1; kinds <= 5; ++kinds)
        for (std::size_t i = 0; i < each; ++i) post_one((kinds - 1) * each + i, kinds);
    pool.shutdown();
    ASSERT_EQ(order.size(), 5 * each);
    for (std::size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], i);
}

TEST(PoolPosts, OneWorkerKeepsTheOrderOfSeveralThreads) {
    plait::thread_pool pool{{.workers = 1}};
    std::vector<int> order;
    std::atomic<int> turn{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (int i = t; i < 300; i += 3) {
                while (turn.load() != i) std::this_thread::yield();
                pool.post([&order, i] { order.push_back(i); });
                turn.store(i + 1);
            }
        });
    for (std::thread& t : threads) t.join();
    pool.shutdown();
    ASSERT_EQ(order.size(), 300U);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(PoolPosts, EachRunsOnceWhoeverPosts) {
    for (const int workers : {1, 2, 5}) {
        constexpr int posters = 4;
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(posters * (many / 10)));
        {
            plait::thread_pool pool{{.workers = workers}};
            std::barrier begin{posters};
            std::vector<std::thread> threads;
            for (int p = 0; p < posters; ++p)
                threads.emplace_back([&, p] {
                    begin.arrive_and_wait();
                    for (int i = 0; i < many / 10; ++i) {
                        const int task = p * (many / 10) + i;
                        pool.post([&mine = runs[static_cast<std::size_t>(task)]] {
                            mine.fetch_add(1, std::memory_order_relaxed);
                        });
                    }
                });
            for (std::thread& t : threads) t.join();
        }
        EXPECT_TRUE(std::all_of(runs.begin(), runs.end(), [](const auto& n) { return n.load() == 1; }));
    }
}

TEST(PoolPosts, ALongTaskHidesNothing) {
    for (int round = 0; round < 50; ++round) {
        std::latch released{1};
        std::latch others{100};
        std::latch queued{1};
        std::array<std::latch, 2> busy{std::latch{1}, std::latch{1}};
        plait::thread_pool pool{{.workers = 2}}; // gone before the latches are
        // Both workers wait while the rest is queued, so that one of them claims a good part of it.
        for (std::latch& l : busy) {
            pool.post([&] {
                l.count_down();
                queued.wait();
            });
            l.wait();
        }
        pool.post([&] { released.wait(); }); // until all behind it have run
        for (int i = 0; i < 100; ++i) pool.post([&] { others.count_down(); });
        queued.count_down();
        others.wait();
        released.count_down();
    }
}

TEST(PoolPosts, ByValueOrNotMakesNoDifference) {
    std::atomic<int> failures{0};
    std::atomic<int> sum{0};
    const auto owned = std::make_shared<int>(100);
    {
        plait::thread_pool pool{
            {.workers = 2, .on_unhandled = [&](const plait::unhandled_failure&) { ++failures; }}};
        std::array<int, 4> large{}; // with the reference to sum 24 bytes
        std::array<int, 2> just{};  // 16 bytes
        large.back() = just.back() = 1;
        struct alignas(32) wide {
            int value = 10;
        };
        const wide w;
        pool.post([&sum, large] { sum += large.back(); });
        pool.post([&sum, just] { sum += just.back(); });
        pool.post([&sum, w] { sum += w.value; });
        pool.post([&sum, owned] { sum += *owned; });
        pool.post([] { throw std::runtime_error{"posted"}; });
        pool.post([owned] { throw std::runtime_error{"posted"}; });
    }
    EXPECT_EQ(sum, 112);
    EXPECT_EQ(failures, 2);
    EXPECT_EQ(owned.use_count(), 1);
}

TEST(PoolPosts, IsSeenWhileItRuns) {
    plait::thread_pool pool{{.workers = 1}};
    for (int round = 0; round < 3; ++round) { // one after the other, in the same thread's entry
        std::string seen;
        std::latch over{1};
        const std::string place = "pool_posts_test.cpp:" + std::to_string(__LINE__ + 1);
        pool.post([&] {
            seen = dumped();
            over.count_down();
        });
        over.wait();
        EXPECT_NE(seen.find(place), std::string::npos) << seen;
    }
    pool.shutdown();
    EXPECT_EQ(dumped().find("pool_posts_test.cpp:"), std::string::npos) << dumped();
}

TEST(PoolPosts, OneObjectThatIsPostedInTwoPlacesIsSeenInBoth) {
    plait::thread_pool pool{{.workers = 1}};
    std::string seen;
    const auto look = [&seen] { seen = dumped(); };
    const auto seen_in_line = [&](int line) {
        pool.submit([] {}).get(); // one worker: after what was posted
        EXPECT_NE(seen.find("pool_posts_test.cpp:" + std::to_string(line)), std::string::npos) << seen;
    };
    for (int round = 0; round < 2; ++round) {
        pool.post(look);
        seen_in_line(__LINE__ - 1);
        pool.post(look);
        seen_in_line(__LINE__ - 1);
    }
}

TEST(PoolPosts, CancelPendingDropsWhatHasNotBegun) {
    for (int round = 0; round < 20; ++round) {
        plait::thread_pool pool{{.workers = 2}};
        std::latch begun{2};
        std::latch go_on{1};
        std::atomic<int> runs{0};
        for (int i = 0; i < 2; ++i)
            pool.post([&] {
                begun.count_down();
                go_on.wait();
            });
        begun.wait();
        std::vector<plait::future<void>> submitted;
        for (int i = 0; i < 2000; ++i) {
            pool.post([&] { ++runs; });
            if (i % 100 == 0) submitted.push_back(pool.submit([&] { ++runs; }));
        }
        pool.shutdown({.wait = false, .cancel_pending = true});
        for (auto& f : submitted) EXPECT_THROW(f.get(), plait::cancelled);
        EXPECT_THROW(pool.post([] {}), plait::shutdown_error);
        go_on.count_down();
        pool.shutdown();
        EXPECT_EQ(runs, 0);
    }
}

TEST(PoolPosts, ShutdownBesidePostsLosesNothing) {
    for (int round = 0; round < 200; ++round) {
        std::atomic<int> accepted{0};
        std::atomic<int> ran{0};
        {
            plait::thread_pool pool{{.workers = 2}};
            std::latch begin{3};
            std::vector<std::thread> posters;
            for (int p = 0; p < 2; ++p)
                posters.emplace_back([&] {
                    begin.arrive_and_wait();
                    try {
                        for (int i = 0; i < 500; ++i) {
                            pool.post([&ran] { ran.fetch_add(1, std::memory_order_relaxed); });
                            accepted.fetch_add(1, std::memory_order_relaxed);
                        }
                    } catch (const plait::shutdown_error&) {
                        return; // from here on nobody is let in
                    }
                });
            begin.arrive_and_wait();
            pool.shutdown();
            for (std::thread& t : posters) t.join();
        }
        EXPECT_EQ(accepted, ran);
    }
}

} // namespace
