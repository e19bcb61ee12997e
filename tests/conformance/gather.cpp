// SPDX-License-Identifier: Apache-2.0
// limit: 120
// gather, gather_outcomes, race.
#include "support/strands.hpp"

#include <memory>

namespace plait::test {
namespace {

using namespace conformance;

template <class E>
class Gather : public on_executor<E> {};
TYPED_TEST_SUITE(Gather, executors, conformance::names);

TYPED_TEST(Gather, C1_AHundredThousand) {
    this->run([]() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 100'000; ++i) tasks.push_back(after_yields(1, i));
        const std::vector<int> values = co_await gather(std::move(tasks));
        EXPECT_EQ(values.size(), 100'000U);
        for (int i = 0; i < 100'000; ++i)
            if (values[static_cast<std::size_t>(i)] != i) {
                ADD_FAILURE() << i;
                break;
            }
    });
}

TYPED_TEST(Gather, C1_WithALimitNoMoreThanThatAreUnderWay) {
    std::atomic<int> now{0};
    std::atomic<int> most{0};
    const auto child = [&]() -> task<int> {
        const int n = ++now;
        for (int seen = most; n > seen && !most.compare_exchange_weak(seen, n);) {}
        co_await yield();
        co_await yield();
        co_return --now;
    };
    this->run([&]() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 1000; ++i) tasks.push_back(child());
        (void)co_await gather(std::move(tasks), {.limit = 7});
    });
    EXPECT_EQ(now, 0);
    EXPECT_LE(most, 7);
    EXPECT_GT(most, 0);
}

TYPED_TEST(Gather, C2_InTheOrderOfTheArgumentsWhateverFinishesFirst) {
    this->run([]() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 50; ++i) tasks.push_back(after_yields(50 - i, i));
        const auto values = co_await gather(std::move(tasks));
        for (int i = 0; i < 50; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
    });
}

task<std::unique_ptr<int>> boxed(int n) {
    co_await yield();
    co_return std::make_unique<int>(n);
}
task<> nothing() { co_await yield(); }

TYPED_TEST(Gather, C2_VoidMoveOnlyAndMixedTypesAndFutures) {
    this->run([this]() -> task<> {
        auto f = this->ex.submit([] { return std::string{"from a future"}; });
        auto [box, empty, text, number] =
            co_await gather(boxed(3), nothing(), std::move(f), after_yields(2, 4.5));
        static_assert(std::is_same_v<decltype(empty), std::monostate>);
        EXPECT_EQ(*box, 3);
        EXPECT_EQ(text, "from a future");
        EXPECT_EQ(number, 4.5);
    });
}

TYPED_TEST(Gather, C2_AnEmptyRangeAtOnce) {
    this->run([]() -> task<> {
        const auto values = co_await gather(std::vector<task<int>>{});
        const auto outcomes = co_await gather_outcomes(std::vector<task<>>{});
        EXPECT_TRUE(values.empty() && outcomes.empty());
        (void)co_await gather();
    });
}

TYPED_TEST(Gather, C3_FirstFailureCancelsTheOthersWhichHaveEndedBeforeItIsThrown) {
    witness w;
    this->run([&]() -> task<> {
        std::vector<task<>> tasks;
        for (int i = 0; i < 10; ++i)
            tasks.push_back(i == 4 ? fail_when(w.began, 9, 4) : w.wait_and_resist(i));
        try {
            co_await gather(std::move(tasks));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 4);
            EXPECT_EQ(w.ended, w.began.load());
        }
        EXPECT_EQ(w.began, 9);
        EXPECT_EQ(w.cancelled, 9);
        EXPECT_EQ(w.passed, 0);
    });
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(Gather, C3_TheFirstInTimeNotInOrder) {
    this->run([]() -> task<> {
        promise<void> go;
        auto wait = [](future<void> f) -> task<> {
            try {
                co_await f;
            } catch (const cancelled&) {}
            throw failure{1};
        };
        try {
            co_await gather(wait(go.get_future()), fail_after(1, 2));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 2);
        }
    });
}

TYPED_TEST(Gather, C4_LaterFailuresOfTheCancelledReachTheHook) {
    std::atomic<int> began{0};
    const auto fail_when_cancelled = [&](int number) -> task<> {
        ++began;
        try {
            co_await forever();
        } catch (const cancelled&) {}
        throw failure{number};
    };
    this->run([&]() -> task<> {
        try {
            co_await gather(fail_when_cancelled(1), fail_when(began, 2, 2), fail_when_cancelled(3));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 2);
        }
    });
    EXPECT_EQ(this->unheard.numbers(), (std::vector{1, 3}));
}

task<int> cancel_itself() {
    co_await yield();
    throw cancelled{};
}

template <class T>
task<T> fail_with(int number) {
    co_await yield();
    throw failure{number};
}

TYPED_TEST(Gather, C5_OutcomesHaveValuesErrorsAndCancelledInPlace) {
    this->run([]() -> task<> {
        std::vector<task<int>> tasks;
        tasks.push_back(after_yields(3, 10));
        tasks.push_back(fail_with<int>(11));
        tasks.push_back(cancel_itself());
        tasks.push_back(after_yields(0, 13));
        auto all = co_await gather_outcomes(std::move(tasks));
        EXPECT_EQ(*all[0], 10);
        EXPECT_THROW(all[1].value(), failure);
        EXPECT_THROW(all[2].value(), cancelled);
        EXPECT_EQ(*all[3], 13);
        auto [a, b] = co_await gather_outcomes(nothing(), fail_after(0, 5));
        EXPECT_TRUE(a);
        EXPECT_THROW(b.value(), failure);
    });
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(Gather, C5_OnlyOuterCancellationThrowsAfterAllHaveEnded) {
    witness w;
    this->run([&]() -> task<> {
        const auto outer = [&]() -> task<> {
            try {
                (void)co_await gather_outcomes(w.wait(), w.wait_and_resist(5));
                ADD_FAILURE();
            } catch (const cancelled&) {
                EXPECT_EQ(w.ended, 2);
                throw;
            }
        };
        const auto stop = [&]() -> task<> {
            while (w.began != 2) co_await yield();
            throw failure{1};
        };
        try {
            co_await gather(outer(), stop());
            ADD_FAILURE();
        } catch (const failure&) {}
    });
    EXPECT_EQ(w.cancelled, 2);
}

task<> gather_both(task<> a, task<> b) { co_await gather(std::move(a), std::move(b)); }

// Gathers in gathers, with 2 to the power of `height` leaves that wait for ever.
task<> tree(witness& w, int height) {
    if (height == 0)
        co_await w.wait();
    else
        co_await gather(tree(w, height - 1), tree(w, height - 1));
}

TYPED_TEST(Gather, C6_CancellingTheOuterCancelsEveryChildAtItsSuspension) {
    witness w;
    std::atomic<bool> went_on{false};
    this->run([&]() -> task<> {
        const auto outer = [&]() -> task<> {
            std::vector<task<>> tasks;
            for (int i = 0; i < 100; ++i) tasks.push_back(w.wait());
            co_await gather(std::move(tasks));
            went_on = true;
        };
        const auto stop = [&]() -> task<> {
            while (w.began != 100) co_await yield();
            throw failure{1};
        };
        auto [a, b] = co_await gather_outcomes(gather_both(outer(), stop()), nothing());
        EXPECT_THROW(a.value(), failure);
    });
    EXPECT_EQ(w.cancelled, 100);
    EXPECT_EQ(w.passed, 0);
    EXPECT_FALSE(went_on);
}

TYPED_TEST(Gather, C6_NestedGathersAreCancelledDownToTheLeaves) {
    witness w;
    this->run([&]() -> task<> {
        const auto stop = [&]() -> task<> {
            while (w.began != 32) co_await yield();
            throw failure{1};
        };
        try {
            co_await gather(tree(w, 5), stop());
            ADD_FAILURE();
        } catch (const failure&) {}
    });
    EXPECT_EQ(w.cancelled, 32);
    EXPECT_EQ(w.ended, 32);
}

TYPED_TEST(Gather, C6_ChildrenBehindTheLimitNeverRun) {
    witness w;
    this->run([&]() -> task<> {
        const auto outer = [&]() -> task<> {
            std::vector<task<>> tasks;
            for (int i = 0; i < 100; ++i) tasks.push_back(w.wait());
            co_await gather(std::move(tasks), {.limit = 3});
        };
        const auto stop = [&]() -> task<> {
            while (w.began != 3) co_await yield();
            throw failure{1};
        };
        try {
            co_await gather(outer(), stop());
            ADD_FAILURE();
        } catch (const failure&) {}
    });
    EXPECT_EQ(w.began, 3);
}

TYPED_TEST(Gather, C7_AChildCancelledByHandThrowsCancelledButTheCallerIsNot) {
    witness w;
    this->run([&]() -> task<> {
        try {
            const auto by_hand = [&]() -> task<> {
                while (w.began == 0) co_await yield();
                throw cancelled{};
            };
            co_await gather(by_hand(), w.wait());
            ADD_FAILURE();
        } catch (const cancelled&) {}
        EXPECT_EQ(w.ended, 1);
        co_await yield(); // throws if the caller is cancelled
        EXPECT_EQ(co_await after_yields(2, 5), 5);
    });
    EXPECT_EQ(w.cancelled, 1);
}

TYPED_TEST(Gather, C7_TheSameForAFutureCancelledByHand) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        this->run([this]() -> task<> {
            auto sleeper = this->ex.submit([]() -> task<> { co_await forever(); });
            promise<void> never;
            auto other = never.get_future();
            sleeper.cancel();
            try {
                co_await gather(std::move(sleeper), std::move(other));
                ADD_FAILURE();
            } catch (const cancelled&) {}
            co_await yield();
            EXPECT_TRUE(never.cancelled());
        });
    }
}

TYPED_TEST(Gather, C3_RaceGivesTheFirstResultAndHasEndedTheLosers) {
    witness w;
    this->run([&]() -> task<> {
        const auto loser = [&]() -> task<int> {
            co_await w.wait_and_resist(3);
            co_return 0;
        };
        EXPECT_EQ(co_await race(loser(), after_yields(2, 7), loser()), 7);
        EXPECT_EQ(w.ended, w.began.load());
        auto mixed = co_await race(loser(), boxed(3));
        EXPECT_EQ(*std::get<1>(mixed), 3);
        try {
            (void)co_await race(loser(), fail_with<int>(9));
            ADD_FAILURE();
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 9);
        }
        std::vector<task<int>> all;
        all.push_back(loser());
        all.push_back(cancel_itself()); // a cancellation decides nothing
        all.push_back(after_yields(5, 8));
        EXPECT_EQ(co_await race(std::move(all)), 8);
        EXPECT_THROW((void)race(std::vector<task<int>>{}), std::invalid_argument);
    });
}

} // namespace
} // namespace plait::test
