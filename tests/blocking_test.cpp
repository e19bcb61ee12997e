// SPDX-License-Identifier: Apache-2.0
// Blocking inside of tasks: who runs whom, and that no pool runs out of threads by it.
// limit: 120
#include <gtest/gtest.h>

#include <plait/blocking_region.hpp>
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>
#include <plait/wait.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

plait::task<int> twice(int x) {
    co_await plait::yield();
    co_return 2 * x;
}
plait::task<int> later(int x) {
    co_await plait::sleep_for(1ms);
    co_return 2 * x;
}

TEST(Blocking, E17_AWaitingTaskRunsACoroutineThatItHasSubmitted) {
    plait::thread_pool pool{{.workers = 1}};
    for (const auto child : {twice, later}) {
        EXPECT_EQ(pool.submit([&] { return pool.submit(child, 4).get(); }).get(), 8);
        EXPECT_EQ(pool.submit([&] {
                          int sum = 0;
                          for (int y : pool.map(child, std::vector{1, 2, 3})) sum += y;
                          return sum;
                      })
                      .get(),
                  12);
        EXPECT_EQ(pool.submit([&] {
                          std::vector<plait::future<int>> all;
                          for (int i = 0; i < 3; ++i) all.push_back(pool.submit(child, i));
                          int sum = 0;
                          for (auto&& f : plait::as_completed(std::move(all))) sum += f.get();
                          return sum;
                      })
                      .get(),
                  6);
    }
}

TEST(Blocking, E17_AGroupsWaitRunsCoroutines) {
    plait::thread_pool pool{{.workers = 1}};
    const int sum = pool.submit([&] {
                            plait::task_group group{pool};
                            auto a = group.spawn(twice, 1);
                            auto b = group.spawn(later, 2);
                            group.wait();
                            return a.get() + b.get();
                        })
                        .get();
    EXPECT_EQ(sum, 6);
}

int down(plait::thread_pool& pool, int levels) {
    const auto below = [&pool, levels]() -> plait::task<int> {
        co_await plait::yield();
        if (levels == 0) co_return 0;
        co_return 1 + co_await pool.submit(down, std::ref(pool), levels - 1);
    };
    return pool.submit(below).get();
}

TEST(Blocking, E17_ManyThreadsMayWaitForSuspendedChildren) {
    plait::thread_pool pool{{.workers = 2}};
    EXPECT_EQ(pool.submit(down, std::ref(pool), 60).get(), 60);
}

// The stranger may need what the waiting task holds: a mutex, say.
TEST(Blocking, AWaitForAChildRunsNoStranger) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch stranger_is_queued{1};
    std::latch begun{1};
    bool holds_a_lock = false; // of the one worker
    auto waiting = pool.submit([&] {
        begun.count_down();
        stranger_is_queued.wait();
        holds_a_lock = true;
        const int result = pool.submit([] { return 1; }).get(); // behind the stranger
        holds_a_lock = false;
        return result;
    });
    begun.wait();
    auto stranger = pool.submit([&] { return holds_a_lock; });
    stranger_is_queued.count_down();
    EXPECT_EQ(waiting.get(), 1);
    EXPECT_FALSE(stranger.get());
}

// The child runs elsewhere, and waits for a stranger, which some other thread has to run.
TEST(Blocking, AWaitForAChildThatRunsElsewhereRunsNoStranger) {
    plait::thread_pool pool{{.workers = 2}};
    for (int round = 0; round < 100; ++round) {
        std::latch child_runs{1};
        std::latch stranger_has_run{1};
        std::thread::id of_stranger;
        auto waiting = pool.submit([&] {
            auto child = pool.submit([&] {
                child_runs.count_down();
                stranger_has_run.wait();
            });
            child_runs.wait(); // on the other worker
            child.get();
            return std::this_thread::get_id();
        });
        child_runs.wait();
        auto stranger = pool.submit([&] {
            of_stranger = std::this_thread::get_id();
            stranger_has_run.count_down();
        });
        EXPECT_NE(waiting.get(), of_stranger);
        stranger.get();
    }
}

TEST(Blocking, AWaitWithADeadlineDoesNotRunTheChild) {
    plait::thread_pool pool{{.workers = 1}};
    std::atomic<bool> waited{false};
    const bool in_time = pool.submit([&] {
                                 auto child = pool.submit([&] {
                                     while (!waited) std::this_thread::yield();
                                 });
                                 const bool done = child.wait_for(1ms);
                                 waited = true;
                                 child.get();
                                 return done;
                             })
                             .get();
    EXPECT_FALSE(in_time);
}

TEST(Blocking, ARegionLetsAnotherTaskRunInItsPlace) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch gate{1};
    auto blocked = pool.submit([&] {
        const plait::blocking_region waiting;
        const plait::blocking_region nested;
        gate.wait();
    });
    pool.submit([&] { gate.count_down(); }).get();
    blocked.get();
}

TEST(Blocking, BeyondItsBoundARegionDoesNothing) {
    constexpr int most = 1 + 256; // the worker, and spare threads
    constexpr int tasks = most + 20;
    plait::thread_pool pool{{.workers = 1}};
    std::latch all_inside{most};
    std::latch gate{1};
    std::atomic<int> begun{0};
    std::vector<plait::future<void>> all;
    for (int i = 0; i < tasks; ++i)
        all.push_back(pool.submit([&] {
            if (++begun <= most) all_inside.count_down();
            const plait::blocking_region waiting;
            gate.wait();
        }));
    all_inside.wait();
    EXPECT_EQ(begun, most);
    gate.count_down();
    for (auto& f : all) f.get();
    EXPECT_EQ(begun, tasks);
}

TEST(Blocking, AfterARegionThereAreAsManyAtWorkAsThereAreWorkers) {
    constexpr int workers = 3;
    plait::thread_pool pool{{.workers = workers}};
    for (int round = 0; round < 50; ++round) {
        std::latch gate{1};
        auto blocked = pool.submit([&] {
            const plait::blocking_region waiting;
            gate.wait();
        });
        pool.submit([&] { gate.count_down(); }).get();
        blocked.get(); // its thread, or the one in its place, steps aside before it takes another task
        std::atomic<int> now{0};
        std::atomic<int> most{0};
        std::vector<plait::future<void>> all;
        for (int i = 0; i < 40; ++i)
            all.push_back(pool.submit([&] {
                const int n = ++now;
                for (int seen = most; n > seen && !most.compare_exchange_weak(seen, n);) {}
                std::this_thread::yield();
                --now;
            }));
        for (auto& f : all) f.get();
        EXPECT_LE(most, workers + 1) << "round " << round;
    }
    // With nobody left to step aside, exactly so many.
    std::latch begun{workers};
    std::latch gate{1};
    std::atomic<int> started{0};
    std::vector<plait::future<void>> all;
    for (int i = 0; i < 5 * workers; ++i)
        all.push_back(pool.submit([&] {
            if (++started <= workers) begun.count_down();
            gate.wait();
        }));
    begun.wait();
    EXPECT_EQ(started, workers);
    gate.count_down();
    for (auto& f : all) f.get();
}

TEST(Blocking, AFailedAsCompletedLeavesNothingBehind) {
    plait::promise<int> elsewhere;
    plait::event_loop loop;
    loop.run([](plait::event_loop& here, plait::promise<int>& other) -> plait::task<> {
        std::vector<plait::future<int>> all;
        all.push_back(here.submit(twice, 1));
        all.push_back(other.get_future());
        auto done = plait::as_completed(all);
        EXPECT_THROW(done.begin(), std::logic_error);
        other.set_value(3); // nobody stands there to be woken any more
        EXPECT_EQ(co_await all[0], 2);
        EXPECT_EQ(co_await all[1], 3);
    }(loop, elsewhere));
}

TEST(Blocking, AGroupOnItsOwnLoopIsRefused) {
    plait::event_loop loop;
    const auto make = [&loop] { plait::task_group group{loop}; };
    EXPECT_THROW(loop.submit(make).get(), std::logic_error);
    plait::task_group elsewhere{loop};
    auto f = elsewhere.spawn(later, 2);
    elsewhere.wait();
    EXPECT_EQ(f.get(), 4);
}

struct counted {
    explicit counted(int& n) : live{&n} { ++*live; }
    counted(const counted& other) : live{other.live} { ++*live; }
    ~counted() { --*live; }
    int* live;
};

TEST(Blocking, ASpawnThatIsRefusedLeavesNothingOfTheTask) {
    int live = 0;
    plait::thread_pool pool{{.workers = 1}};
    {
        plait::task_group group{pool};
        pool.shutdown();
        const counted captured{live};
        EXPECT_THROW(group.spawn([captured] {}), plait::shutdown_error);
    }
    EXPECT_EQ(live, 0);
}

TEST(Blocking, OverAlignedCapturesAreAligned) {
    struct alignas(64) wide {
        char bytes[64];
    };
    plait::thread_pool pool{{.workers = 2}};
    const wide value{};
    for (int i = 0; i < 100; ++i) {
        const auto off =
            pool.submit([value] { return reinterpret_cast<std::uintptr_t>(&value) % alignof(wide); }).get();
        EXPECT_EQ(off, 0U);
        pool.post([value] { EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&value) % alignof(wide), 0U); });
    }
}

TEST(Blocking, WhatIsSubmittedWhenARunEndsStillEnds) {
    for (int round = 0; round < 100; ++round) {
        plait::event_loop loop;
        std::atomic<bool> over{false};
        std::thread other{[&] {
            while (!over) {
                auto f = loop.submit([] { return 1; });
                try {
                    EXPECT_EQ(f.get(), 1);          // it ends, whoever drives the loop
                } catch (const plait::cancelled&) { // left over when a run ended
                }
            }
        }};
        for (int i = 0; i < 100; ++i) EXPECT_EQ(loop.run(twice(i)), 2 * i);
        over = true;
        other.join();
    }
}

TEST(Blocking, AShutdownBesideARunReturns) {
    for (int round = 0; round < 500; ++round) {
        plait::event_loop loop;
        std::latch running{1};
        std::thread other{[&] {
            running.wait();
            loop.shutdown();
        }};
        const auto main_task = [&]() -> plait::task<int> {
            running.count_down();
            co_await plait::yield();
            co_return 1;
        };
        EXPECT_EQ(loop.run(main_task()), 1);
        other.join();
    }
}

} // namespace
