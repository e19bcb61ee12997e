// SPDX-License-Identifier: Apache-2.0
// limit: 120
// timeout, sleep_for, yield: what comes first, and what stays behind.
#include "support/strands.hpp"

#include "strand/loop_engine.hpp"

#include <plait/errors.hpp>
#include <plait/this_task.hpp>

#include <thread>

namespace plait::test {
namespace {

using namespace conformance;

template <class E>
class Timeout : public on_executor<E> {};
TYPED_TEST_SUITE(Timeout, executors, conformance::names);

enum class end { value, timed_out, cancelled, failed };

/// What `timeout(d, t)` comes to.
template <class Duration, class T>
task<end> end_of(Duration d, task<T> t) {
    try {
        (void)co_await timeout(d, std::move(t));
        co_return end::value;
    } catch (const timeout_error&) {
        co_return end::timed_out;
    } catch (const cancelled&) {
        co_return end::cancelled;
    } catch (...) {
        co_return end::failed;
    }
}
template <class Duration>
task<end> end_of(Duration d, task<> t) {
    const auto as_int = [](task<> inner) -> task<int> {
        co_await std::move(inner);
        co_return 0;
    };
    co_return co_await end_of(d, as_int(std::move(t)));
}

TYPED_TEST(Timeout, C21_TimeoutErrorOnlyAfterTheTaskHasEndedThoughItResists) {
    witness w;
    this->run([&]() -> task<> {
        const end how = co_await end_of(1ms, w.wait_and_resist(50));
        EXPECT_EQ(how, end::timed_out);
        EXPECT_EQ(w.ended, 1);
        co_await yield();
    });
    EXPECT_EQ(w.cancelled, 1);
}

TYPED_TEST(Timeout, C21_ItsTextSaysHowLongThatWas) {
    this->run([]() -> task<> {
        try {
            co_await timeout(1ms, forever());
            ADD_FAILURE();
        } catch (const timeout_error& e) {
            EXPECT_NE(std::string{e.what()}.find("0.001"), std::string::npos) << e.what();
        }
    });
}

TYPED_TEST(Timeout, C22_DoneByTheDeadlineIsItsValueEvenInTheSameTurn) {
    // The task ends although it is past its deadline: it did not wait meanwhile, so the value is there.
    this->run([]() -> task<> {
        const auto busy = []() -> task<int> {
            const auto until = std::chrono::steady_clock::now() + 3ms;
            while (std::chrono::steady_clock::now() < until) {}
            co_return 5;
        };
        const int value = co_await timeout(1ms, busy());
        EXPECT_EQ(value, 5);
    });
}

TYPED_TEST(Timeout, C22_ATaskThatCatchesTheCancelGivesWhatItThenReturnsOrThrows) {
    this->run([]() -> task<> {
        const auto stubborn = [](bool fails) -> task<int> {
            try {
                co_await forever();
            } catch (const cancelled&) {}
            if (fails) throw failure{3};
            co_return 9;
        };
        const int value = co_await timeout(1ms, stubborn(false));
        EXPECT_EQ(value, 9);
        try {
            (void)co_await timeout(1ms, stubborn(true));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 3);
        }
        co_await yield();
    });
}

TYPED_TEST(Timeout, C22_TheSameUnderSubmitsTimeOut) {
    const auto resists = []() -> task<int> {
        try {
            co_await sleep_for(1h);
        } catch (const cancelled&) {}
        co_return 5;
    };
    EXPECT_EQ(this->ex.submit({.timeout = 1ms}, resists).get(), 5);
    auto stopped = this->ex.submit({.timeout = 1ms}, forever);
    EXPECT_THROW(stopped.get(), timeout_error);
}

TYPED_TEST(Timeout, C21_AFunctionsTimeOutHoldsAlsoWhereItHoldsUpTheLoop) {
    const auto until_stopped = [] {
        while (!this_task::stop_token().stop_requested()) std::this_thread::yield();
        return 5;
    };
    auto late = this->ex.submit({.timeout = 1ms}, until_stopped);
    EXPECT_THROW(late.get(), timeout_error);
    auto checked = this->ex.submit({.timeout = 1ms}, [] {
        for (;;) this_task::checkpoint();
    });
    EXPECT_THROW(checked.get(), timeout_error);
    EXPECT_EQ(this->ex.submit({.timeout = 1h}, [] { return 6; }).get(), 6);
}

TYPED_TEST(Timeout, C23_ZeroOrNegativeATaskIsNeverStarted) {
    std::atomic<bool> ran{false};
    this->run([&]() -> task<> {
        const auto start = [&]() -> task<> {
            ran = true;
            co_return;
        };
        const end zero = co_await end_of(0ms, start());
        const end less = co_await end_of(-1h, start());
        EXPECT_EQ(zero, end::timed_out);
        EXPECT_EQ(less, end::timed_out);
    });
    EXPECT_FALSE(ran);
}

TYPED_TEST(Timeout, C23_ButAFinishedFutureGivesItsValue) {
    this->run([]() -> task<> {
        promise<int> p;
        auto f = p.get_future();
        p.set_value(4);
        const int value = co_await timeout(0ms, std::move(f));
        EXPECT_EQ(value, 4);
        promise<int> never;
        auto g = never.get_future();
        try {
            (void)co_await timeout(-1ms, std::move(g));
            ADD_FAILURE();
        } catch (const timeout_error&) {}
        EXPECT_TRUE(never.cancelled());
    });
}

TYPED_TEST(Timeout, C23_TheLargestDurationNeverFires) {
    this->run([]() -> task<> {
        const int a = co_await timeout(std::chrono::nanoseconds::max(), after_yields(3, 1));
        const int b = co_await timeout(std::chrono::hours::max(), after_yields(3, 2));
        const int c = co_await timeout(std::chrono::duration<double>::max(), after_yields(3, 3));
        EXPECT_EQ(a + b + c, 6);
    });
}

TYPED_TEST(Timeout, C24_OuterCancelIsCancelledNotTimeoutError) {
    witness w;
    end how = end::value;
    this->run([&]() -> task<> {
        const auto limited = [&]() -> task<> { how = co_await end_of(1h, w.wait()); };
        const auto stop = [&]() -> task<> {
            while (w.began == 0) co_await yield();
            throw failure{1};
        };
        try {
            co_await gather(limited(), stop());
            ADD_FAILURE();
        } catch (const failure&) {}
    });
    EXPECT_EQ(how, end::cancelled);
}

TYPED_TEST(Timeout, C24_ForeignExceptionsPassThrough) {
    this->run([]() -> task<> {
        try {
            co_await timeout(1h, fail_after(1, 6));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 6);
        }
        const auto own = []() -> task<> {
            co_await yield();
            throw timeout_error{"of the task itself"};
        };
        try {
            co_await timeout(1h, own());
            ADD_FAILURE();
        } catch (const timeout_error& e) {
            EXPECT_STREQ(e.what(), "of the task itself");
        }
        const auto cancel = []() -> task<> {
            co_await yield();
            throw cancelled{};
        };
        const end how = co_await end_of(1h, cancel());
        EXPECT_EQ(how, end::cancelled);
        co_await yield();
    });
}

TYPED_TEST(Timeout, C25_NestedWithTheSameDeadlineOnlyTheOuterReports) {
    this->run([]() -> task<> {
        for (int round = 0; round < 20; ++round) {
            end inner = end::value;
            const auto nest = [&]() -> task<> {
                inner = co_await end_of(2ms, forever());
                co_await forever();
            };
            const end outer = co_await end_of(2ms, nest());
            EXPECT_EQ(outer, end::timed_out);
            EXPECT_NE(inner, end::value);
        }
    });
}

TEST(LoopTimeout, C25_EqualDeadlinesSetBothFlagsBeforeAnythingIsResumed) {
    // Both are due before the loop looks at its timers again.
    run([]() -> task<> {
        end inner = end::value;
        const auto nest = [&]() -> task<> {
            const auto busy = []() -> task<> {
                const auto until = std::chrono::steady_clock::now() + 5ms;
                while (std::chrono::steady_clock::now() < until) {}
                co_return;
            };
            auto [how, nothing] = co_await gather_outcomes(end_of(1ms, forever()), busy());
            inner = *how;
            co_await forever();
        };
        const end outer = co_await end_of(1ms, nest());
        EXPECT_EQ(outer, end::timed_out);
        EXPECT_EQ(inner, end::cancelled);
    }());
}

TYPED_TEST(Timeout, C25_AnEarlierInnerOneThenTheOuterStillFiresInTheRest) {
    this->run([]() -> task<> {
        end inner = end::value;
        const auto nest = [&]() -> task<> {
            inner = co_await end_of(1ms, forever());
            co_await forever();
        };
        const end outer = co_await end_of(300ms, nest()); // a good deal later
        EXPECT_EQ(outer, end::timed_out);
        EXPECT_EQ(inner, end::timed_out);
    });
}

std::size_t timers_of(event_loop& loop) {
    return static_cast<detail::loop_engine&>(loop.next_worker()).armed_timers();
}

TEST(LoopTimeout, C26_AHundredThousandThatEndEarlyLeaveNoTimer) {
    event_loop loop;
    const std::size_t left = loop.submit([&loop]() -> task<std::size_t> {
                                     for (int i = 0; i < 1000; ++i) {
                                         std::vector<task<int>> tasks;
                                         const auto limited = [](int n) -> task<int> {
                                             co_return co_await timeout(1h, after_yields(1, n));
                                         };
                                         for (int k = 0; k < 100; ++k) tasks.push_back(limited(k));
                                         (void)co_await gather(std::move(tasks));
                                     }
                                     co_return timers_of(loop);
                                 })
                                 .get();
    EXPECT_EQ(left, 0U);
}

TEST(LoopTimeout, C26_ACancelledSleepFreesItsTimerAtOnce) {
    event_loop loop;
    const std::size_t left = loop.submit([&loop]() -> task<std::size_t> {
                                     std::vector<task<>> tasks;
                                     for (int i = 0; i < 1000; ++i) tasks.push_back(forever());
                                     const auto stop = [&loop]() -> task<> {
                                         for (int i = 0; i < 5; ++i) co_await yield();
                                         EXPECT_EQ(timers_of(loop), 1000U);
                                         throw failure{1};
                                     };
                                     tasks.push_back(stop());
                                     try {
                                         co_await gather(std::move(tasks));
                                         ADD_FAILURE();
                                     } catch (const failure&) {}
                                     co_return timers_of(loop);
                                 })
                                 .get();
    EXPECT_EQ(left, 0U);
}

TEST(LoopTimer, C27_ByDeadlineAndEqualOnesInOrderOfCreation) {
    // Straight at the wheel: coroutines cannot make two deadlines equal to the nanosecond.
    struct item : detail::timer {
        item()
            : timer{[](timer& t) noexcept {
                  auto& self = static_cast<item&>(t);
                  self.order->push_back(self.number);
              }} {}
        std::vector<int>* order = nullptr;
        int number = 0;
    };
    const detail::time_point start{1h};
    detail::timers wheel{start};
    std::vector<int> order;
    std::vector<item> items(3000);
    const auto deadline = [](int n) { return std::chrono::microseconds{(n * 7919) % 100 * 997}; };
    for (int i = 0; i < 3000; ++i) {
        auto& t = items[static_cast<std::size_t>(i)];
        t.order = &order;
        t.number = i;
        t.deadline_ = start + deadline(i);
        wheel.add(t);
    }
    for (auto at = start; at < start + 200ms; at += 777us) wheel.fire_due(at);
    EXPECT_TRUE(wheel.empty());
    ASSERT_EQ(order.size(), 3000U);
    for (std::size_t i = 1; i < order.size(); ++i) {
        const auto a = std::pair{deadline(order[i - 1]), order[i - 1]};
        const auto b = std::pair{deadline(order[i]), order[i]};
        EXPECT_LT(a, b) << i;
    }
}

TYPED_TEST(Timeout, C27_LongerSleepsWakeLater) {
    if constexpr (roaming<TypeParam>) {
        skip_for<TypeParam>(because::who_tells_first);
    } else {
        std::mutex mutex;
        std::vector<int> order;
        const auto sleeper = [&](int n) -> task<> {
            co_await sleep_for(n * 5ms);
            const std::lock_guard guard{mutex};
            order.push_back(n);
        };
        this->run([&]() -> task<> { co_await gather(sleeper(9), sleeper(1), sleeper(5)); });
        EXPECT_EQ(order, (std::vector{1, 5, 9}));
    }
}

TEST(LoopTimer, C27_YieldAndSleepForZeroLetEveryReadyTaskRunOnce) {
    for (const bool sleeps : {false, true}) {
        std::vector<int> order;
        const auto turn = [&](int n) -> task<> {
            for (int i = 0; i < 3; ++i) {
                order.push_back(n);
                if (sleeps)
                    co_await sleep_for(0s);
                else
                    co_await yield();
            }
        };
        run([](auto t) -> task<> { co_await gather(t(1), t(2), t(3)); }(turn));
        EXPECT_EQ(order, (std::vector{1, 2, 3, 1, 2, 3, 1, 2, 3}));
    }
}

} // namespace
} // namespace plait::test
