// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Forks: task_group::run, and gather on a pool.
#include <gtest/gtest.h>

#include <plait/errors.hpp>
#include <plait/gather.hpp>
#include <plait/task_group.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

long fib(plait::thread_pool& pool, int n) {
    if (n < 2) return n;
    long a = 0;
    plait::task_group group{pool};
    group.run([&] { a = fib(pool, n - 1); });
    const long b = fib(pool, n - 2);
    group.wait();
    return a + b;
}

TEST(Fork, DividesAndConquers) {
    for (const int workers : {1, 2, 4, 9}) { // from 9 on who sleeps does not pay (decision 0062)
        plait::thread_pool pool{{.workers = workers}};
        for (int round = 0; round < 20; ++round)
            EXPECT_EQ(pool.submit([&] { return fib(pool, 18); }).get(), 2584);
    }
}

TEST(Fork, FromOutsideItIsASpawn) {
    plait::thread_pool pool{{.workers = 2}};
    EXPECT_EQ(fib(pool, 8), 21);
    std::atomic<int> runs{0};
    plait::task_group group{pool};
    for (int i = 0; i < 100; ++i) group.run([&] { ++runs; });
    group.wait();
    EXPECT_EQ(runs, 100);
}

TEST(Fork, IsRunByOthersWhileItsParentBlocks) {
    // The wake-up of a thread that is just about to sleep: a lost one is a test that does not end.
    for (const int workers : {2, 9}) {
        plait::thread_pool pool{{.workers = workers}};
        for (int round = 0; round < 1000; ++round) {
            pool.submit([&] {
                    std::latch both{2};
                    plait::task_group group{pool};
                    group.run([&] { both.arrive_and_wait(); });
                    both.arrive_and_wait(); // nothing that plait knows of
                    group.wait();
                })
                .get();
        }
    }
}

TEST(Fork, FailuresStopTheRestAndComeOut) {
    for (const int workers : {1, 3}) {
        plait::thread_pool pool{{.workers = workers}};
        const auto captured = std::make_shared<int>(0);
        std::atomic<int> runs{0};
        const auto errors = pool.submit([&]() -> std::size_t {
                                    plait::task_group group{pool};
                                    for (int i = 0; i < 50; ++i)
                                        group.run([&runs, captured] {
                                            ++runs;
                                            throw std::runtime_error{"no"};
                                        });
                                    try {
                                        group.wait();
                                    } catch (const plait::error_group& e) {
                                        return e.errors().size();
                                    }
                                    return 0;
                                })
                                .get();
        EXPECT_GE(errors, 1U);
        EXPECT_EQ(errors, static_cast<std::size_t>(runs.load()));
        if (workers == 1) {
            EXPECT_EQ(runs, 1);
        } // the others were skipped
        EXPECT_EQ(captured.use_count(), 1); // and none was leaked
    }
}

TEST(Fork, CancelEndsTheGroupQuietly) {
    plait::thread_pool pool{{.workers = 1}};
    int runs = 0;
    pool.submit([&] {
            plait::task_group group{pool};
            for (int i = 0; i < 10; ++i) group.run([&] { ++runs; });
            group.cancel();
            group.wait();
        })
        .get();
    EXPECT_EQ(runs, 0);
}

TEST(Fork, CancelReachesAForkThatRuns) {
    plait::thread_pool pool{{.workers = 2}};
    pool.submit([&] {
            std::latch begun{1};
            plait::task_group group{pool};
            group.run([&] {
                const auto stop = plait::this_task::stop_token();
                begun.count_down();
                while (!stop.stop_requested()) std::this_thread::yield();
            });
            begun.wait(); // the other thread has it
            group.cancel();
            group.wait();
        })
        .get();
}

TEST(Fork, TheDestructorCancelsAndWaits) {
    plait::thread_pool pool{{.workers = 2}};
    const auto captured = std::make_shared<int>(0);
    for (int round = 0; round < 200; ++round) {
        EXPECT_THROW(pool.submit([&] {
                             plait::task_group group{pool};
                             group.run([captured] {});
                             group.run([captured] { plait::this_task::checkpoint(); });
                             throw std::runtime_error{"between run and wait"};
                         })
                         .get(),
                     std::runtime_error);
        EXPECT_EQ(captured.use_count(), 1);
    }
}

TEST(Fork, TheWaitRunsNoStranger) {
    plait::thread_pool pool{{.workers = 1}};
    std::mutex held;
    std::atomic<bool> stranger{false};
    pool.submit([&] {
            const std::lock_guard guard{held};
            pool.post([&] {
                const std::lock_guard mine{held}; // would never end on the thread that holds it
                stranger = true;
            });
            plait::task_group group{pool};
            int sum = 0;
            group.run([&] { sum += 1; });
            group.run([&] { sum += 2; });
            group.wait();
            EXPECT_EQ(sum, 3);
            EXPECT_FALSE(stranger);
        })
        .get();
    pool.shutdown();
    EXPECT_TRUE(stranger);
}

TEST(Fork, GroupsMayInterleave) {
    for (const int workers : {1, 2}) {
        plait::thread_pool pool{{.workers = workers}};
        for (int round = 0; round < 100; ++round)
            pool.submit([&] {
                    std::atomic<int> sum{0};
                    plait::task_group a{pool};
                    plait::task_group b{pool};
                    a.run([&] { sum += 1; });
                    b.run([&] { sum += 10; });
                    a.run([&] { sum += 100; });
                    b.run([&] { sum += 1000; });
                    a.wait();
                    EXPECT_EQ(sum / 100 % 10, 1);
                    EXPECT_EQ(sum % 10, 1);
                    b.wait();
                    EXPECT_EQ(sum, 1111);
                })
                .get();
    }
}

TEST(Fork, AGroupMayBeUsedAgain) {
    plait::thread_pool pool{{.workers = 2}};
    const int sum = pool.submit([&] {
                            std::atomic<int> n{0};
                            plait::task_group group{pool};
                            for (int round = 0; round < 100; ++round) {
                                for (int i = 0; i < 5; ++i) group.run([&] { ++n; });
                                if (round % 3 == 0) (void)group.spawn([&] { ++n; });
                                group.wait();
                                EXPECT_EQ(n, 5 * (round + 1) + round / 3 + 1);
                            }
                            return n.load();
                        })
                        .get();
    EXPECT_EQ(sum, 534);
}

TEST(Fork, TakesAnyFunction) {
    plait::thread_pool pool{{.workers = 2}};
    pool.submit([&] {
            struct alignas(64) wide {
                std::array<char, 64> bytes{};
            };
            std::atomic<int> sum{0};
            std::array<int, 100> large{};
            large.back() = 1;
            wide w{};
            w.bytes[0] = 10;
            auto owned = std::make_unique<int>(100);
            plait::task_group group{pool};
            group.run([&sum, large] { sum += large.back(); });
            group.run([&sum, w] {
                sum += reinterpret_cast<std::uintptr_t>(&w) % alignof(wide) == 0 ? w.bytes[0] : 0;
            });
            group.run([&sum, owned = std::move(owned)] { sum += *owned; });
            group.run([&sum] { return sum += 1000; }); // a result is dropped
            for (int i = 0; i < 5000; ++i) group.run([&sum] { sum += 10'000; });
            group.wait();
            EXPECT_EQ(sum, 50'001'111);
        })
        .get();
}

TEST(Fork, BelongsToItsParentTask) {
    plait::thread_pool pool{{.workers = 2}};
    pool.submit({.name = "parent"},
                [&] {
                    std::string of_fork;
                    plait::task_group group{pool};
                    group.run([&] { of_fork = plait::this_task::name(); });
                    group.wait();
                    EXPECT_EQ(of_fork, "parent");
                })
        .get();
}

int depth(plait::thread_pool& pool, int levels) {
    if (levels == 0) return 0;
    int below = 0;
    plait::task_group group{pool};
    group.run([&] { below = depth(pool, levels - 1); });
    group.wait();
    return below + 1;
}

TEST(Fork, IsDeepOnOneThread) {
    plait::thread_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit([&] { return depth(pool, 1000); }).get(), 1000);
}

plait::task<int> group_that_moves(plait::thread_pool& pool) {
    std::atomic<int> sum{0};
    for (int round = 0; round < 50; ++round) {
        plait::task_group group{pool};
        group.run([&] { ++sum; });
        co_await plait::yield(); // perhaps on another thread from here on
        group.run([&] { ++sum; });
        group.wait();
    }
    co_return sum.load();
}

TEST(Fork, ACoroutineMayMoveWithItsGroup) {
    plait::thread_pool pool{{.workers = 3}};
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 20; ++i) all.push_back(pool.submit(group_that_moves, std::ref(pool)));
    for (auto& f : all) EXPECT_EQ(f.get(), 100);
}

std::atomic<int> alive{0};
std::atomic<int> most_alive{0};

struct counted {
    counted() {
        const int now = ++alive;
        int most = most_alive;
        while (now > most && !most_alive.compare_exchange_weak(most, now)) {}
    }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --alive; }
};

plait::task<int> leaves(int levels) {
    const counted here;
    if (levels == 0) co_return 1;
    auto [a, b] = co_await plait::gather(leaves(levels - 1), leaves(levels - 1));
    co_return a + b;
}

TEST(Fork, GatherWalksATreeDepthFirst) {
    plait::thread_pool one{{.workers = 1}};
    most_alive = 0;
    EXPECT_EQ(one.submit(leaves, 14).get(), 1 << 14);
    EXPECT_EQ(most_alive, 15); // the path, and no sibling's body
    for (const int workers : {3, 9}) {
        plait::thread_pool several{{.workers = workers}};
        for (int round = 0; round < 10; ++round) EXPECT_EQ(several.submit(leaves, 12).get(), 1 << 12);
    }
    EXPECT_EQ(alive, 0);
}

plait::task<int> ready() { co_return 1; }

TEST(Fork, C28_GathersInALoopGiveWay) {
    plait::thread_pool pool{{.workers = 1}};
    std::atomic<bool> told{false};
    const auto until_told = [&]() -> plait::task<int> {
        int rounds = 0;
        while (!told) {
            auto [a, b] = co_await plait::gather(ready(), ready());
            rounds += a + b;
        }
        co_return rounds;
    };
    auto f = pool.submit(until_told);
    pool.post([&] { told = true; });
    EXPECT_GE(f.get(), 0);
}

} // namespace
