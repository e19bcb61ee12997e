// SPDX-License-Identifier: Apache-2.0
// What stops a parallel loop before its end: exceptions, and the caller's cancellation.
// limit: 120
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/parallel.hpp>
#include <plait/serial.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include "support/strands.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using plait::index_space;
using plait::test::failure;

constexpr std::size_t many = 1'000'000;

template <class E>
struct ParallelFailure : plait::test::on_executor<E> {};
TYPED_TEST_SUITE(ParallelFailure, plait::test::executors);

TYPED_TEST(ParallelFailure, TheFirstExceptionStopsTheRestAndIsThrown) {
    for (int round = 0; round < 50; ++round) {
        std::atomic<std::size_t> calls{0};
        std::atomic<int> inside{0};
        try {
            plait::for_each(this->ex, index_space{many}, [&](std::size_t i) {
                ++inside;
                ++calls;
                if (i == 10) {
                    --inside;
                    throw failure{7};
                }
                --inside;
            });
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 7);
        }
        EXPECT_EQ(inside, 0) << "not all had left";
        EXPECT_GE(calls, 1U);
        EXPECT_LT(calls, many);
    }
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(ParallelFailure, EveryExecutorLearnsOfACancelledCaller) {
    plait::thread_pool callers{{.workers = 1}};
    std::atomic<std::size_t> calls{0};
    std::latch begun{1};
    auto caller = callers.submit([&] {
        std::atomic<bool> first{true};
        plait::for_each(this->ex, index_space{1'000'000'000'000}, [&](std::size_t) {
            ++calls;
            if (first.exchange(false)) begun.count_down();
        });
    });
    begun.wait();
    caller.cancel();
    EXPECT_TRUE(plait::test::throws_cancelled(caller));
}

TYPED_TEST(ParallelFailure, OfTheOthersEndsThemToo) {
    std::vector<int> items(10'000);
    const auto fails = [](int, int) -> int { throw failure{1}; };
    const auto sum = [](int a, int b) { return a + b; };
    EXPECT_THROW(plait::reduce(this->ex, items, 0, fails), failure);
    EXPECT_THROW(plait::transform_reduce(this->ex, items, 0, sum, [](int) -> int { throw failure{2}; }),
                 failure);
    EXPECT_THROW(plait::inclusive_scan(this->ex, items, items, fails), failure);
    EXPECT_THROW(plait::sort(this->ex, items, [](int, int) -> bool { throw failure{3}; }), failure);
    EXPECT_THROW(plait::invoke(this->ex, [] { return 1; }, [] { throw failure{4}; }), failure);
    EXPECT_EQ(plait::reduce(this->ex, std::vector{1, 2}), 3);
}

// What is called, again and again, cancels the caller, whoever it runs for, at its first call.
TYPED_TEST(ParallelFailure, TheOthersLearnOfACancelledCallerToo) {
    plait::thread_pool callers{{.workers = 1}};
    const auto learns = [&](auto algorithm) {
        std::latch known{1};
        plait::future<void> caller;
        std::atomic<bool> first{true};
        const auto stop_caller = [&] {
            if (!first.exchange(false)) return;
            known.wait();
            caller.cancel();
        };
        caller = callers.submit([&] { algorithm(this->ex, stop_caller); });
        known.count_down();
        return plait::test::throws_cancelled(caller);
    };
    EXPECT_TRUE(learns([](auto& on, auto& stop_caller) {
        plait::transform_reduce(on, index_space{1'000'000'000'000}, std::size_t{0}, std::plus<>{},
                                [&](std::size_t i) {
                                    stop_caller();
                                    return i;
                                });
    }));
    std::vector<int> items(1'000'000);
    EXPECT_TRUE(learns([&](auto& on, auto& stop_caller) {
        plait::inclusive_scan(on, items, items, [&](int a, int) {
            stop_caller();
            return a;
        });
    }));
    EXPECT_TRUE(learns([](auto& on, auto& stop_caller) {
        const auto until_stopped = [&] {
            stop_caller();
            while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
            plait::this_task::checkpoint();
        };
        plait::invoke(on, until_stopped, until_stopped);
    }));
}

TYPED_TEST(ParallelFailure, InvokeGivesEachResultInItsPlace) {
    auto [number, nothing, text] =
        plait::invoke(this->ex, [] { return 7; }, [] {}, [] { return std::string{"seven"}; });
    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
    EXPECT_EQ(number, 7);
    EXPECT_EQ(text, "seven");
}

TEST(Parallel, FurtherFailuresGoToTheUnhandledHandler) {
    plait::test::unheard unheard;
    plait::thread_pool pool{{.workers = 2, .on_unhandled = unheard.handler()}};
    std::latch both{2};
    int thrown = 0;
    try {
        plait::for_each(pool, index_space{2},
                        [&](std::size_t i) {
                            both.arrive_and_wait();
                            throw failure{static_cast<int>(i)};
                        },
                        {.grain = 1});
    } catch (const failure& f) {
        thrown = f.number;
    }
    EXPECT_EQ(unheard.numbers(), std::vector{1 - thrown});
}

TEST(Parallel, ACancelledCallerThrowsWhenAllHaveLeft) {
    plait::thread_pool callers{{.workers = 1}};
    plait::thread_pool pool{{.workers = 2}};
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> inside{0};
        std::atomic<bool> left_behind{false};
        std::latch begun{1};
        auto caller = callers.submit([&] {
            std::atomic<bool> first{true};
            try {
                plait::for_each(pool, index_space{1'000'000'000'000}, [&](std::size_t) {
                    ++inside;
                    if (first.exchange(false)) begun.count_down();
                    --inside;
                });
            } catch (const plait::cancelled&) {
                left_behind = inside != 0;
                throw;
            }
        });
        begun.wait();
        caller.cancel();
        EXPECT_TRUE(plait::test::throws_cancelled(caller));
        EXPECT_FALSE(left_behind);
    }
}

TEST(Parallel, ACancelledCallerDoesNotWaitForParticipantsThatHaveNotBegun) {
    plait::thread_pool callers{{.workers = 1}};
    plait::thread_pool pool{{.workers = 1}};
    std::latch gate{1};
    std::latch held{1};
    auto busy = pool.submit([&] {
        held.count_down();
        gate.wait();
    });
    held.wait();
    std::latch begun{1};
    auto caller = callers.submit([&] {
        begun.count_down();
        plait::for_each(pool, index_space{3}, [](std::size_t) { ADD_FAILURE(); });
    });
    begun.wait();
    caller.cancel();
    EXPECT_TRUE(plait::test::throws_cancelled(caller));
    gate.count_down();
    busy.get();
}

TEST(Parallel, AStoppedCallerBeginsNothing) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch begun{1};
    auto caller = pool.submit([&] {
        begun.count_down();
        while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
        plait::for_each(pool, index_space{3}, [](std::size_t) { ADD_FAILURE(); });
    });
    begun.wait();
    caller.cancel();
    EXPECT_TRUE(plait::test::throws_cancelled(caller));
}

TEST(Parallel, ItemsSeeThatTheyAreToStop) {
    plait::thread_pool pool{{.workers = 2}};
    plait::thread_pool callers{{.workers = 1}};
    std::latch begun{2};
    const auto wait_for_stop = [&](std::size_t) {
        begun.count_down();
        while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
    };
    auto caller = callers.submit([&] { plait::for_each(pool, index_space{2}, wait_for_stop, {.grain = 1}); });
    begun.wait();
    caller.cancel();
    caller.get(); // every item was done, though early: nothing was lost
    std::latch other{1};
    EXPECT_THROW(plait::for_each(pool, index_space{2},
                                 [&](std::size_t i) {
                                     if (i == 0) {
                                         other.wait();
                                         throw failure{0};
                                     }
                                     other.count_down();
                                     while (!plait::this_task::stop_token().stop_requested())
                                         std::this_thread::yield();
                                 },
                                 {.grain = 1}),
                 failure);
}

TEST(Parallel, ACancellationReachesNestedLoops) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch begun{1};
    auto caller = pool.submit([&] {
        std::atomic<bool> first{true};
        plait::for_each(pool, index_space{4}, [&](std::size_t) {
            plait::for_each(pool, index_space{1'000'000'000'000}, [&](std::size_t) {
                if (first.exchange(false)) begun.count_down();
            });
        });
    });
    begun.wait();
    caller.cancel();
    EXPECT_TRUE(plait::test::throws_cancelled(caller));
}

TEST(Parallel, ATimeLimitEndsALoopInTheCallersOwnThread) {
    plait::serial serial;
    std::atomic<std::size_t> calls{0};
    const auto count = [&](std::size_t) { ++calls; };
    const auto endless = [&] { plait::for_each(serial, index_space{1'000'000'000'000}, count); };
    EXPECT_THROW(serial.submit({.timeout = 1ms}, endless).get(), plait::timeout_error);
    plait::thread_pool pool{{.workers = 1}};
    EXPECT_THROW(
        pool.submit({.timeout = 1ms}, [&] { plait::for_each(pool, index_space{1'000'000'000'000}, count); })
            .get(),
        plait::timeout_error);
}

TEST(Parallel, WithoutItsInitializerAPoolSaysWhy) {
    plait::thread_pool pool{{.workers = 2, .initializer = [] { throw failure{1}; }}};
    EXPECT_THROW(plait::for_each(pool, index_space{3}, [](std::size_t) { ADD_FAILURE(); }),
                 plait::pool_broken);
}

TEST(Parallel, InvokeGivesResultsAndTheFirstFailure) {
    plait::thread_pool pool{{.workers = 2}};
    int side = 0;
    auto [number, nothing, text] =
        plait::invoke(pool, [] { return 7; }, [&] { side = 1; }, [] { return std::string{"seven"}; });
    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
    EXPECT_EQ(number, 7);
    EXPECT_EQ(text, "seven");
    EXPECT_EQ(side, 1);
    static_assert(std::is_void_v<decltype(plait::invoke(pool, [] {}, [] {}))>);
    EXPECT_THROW(plait::invoke(pool, [] { throw failure{1}; }, [] {}), failure);
    std::latch both{2}; // they run side by side
    plait::invoke(pool, [&] { both.arrive_and_wait(); }, [&] { both.arrive_and_wait(); });
    const auto fib = [&pool](auto& self, int n) -> int {
        if (n < 2) return n;
        const auto [a, b] =
            plait::invoke(pool, [&] { return self(self, n - 1); }, [&] { return self(self, n - 2); });
        return a + b;
    };
    EXPECT_EQ(fib(fib, 12), 144);
    auto [moved] = plait::invoke(pool, [] { return std::make_unique<int>(3); });
    EXPECT_EQ(*moved, 3);
}

} // namespace
