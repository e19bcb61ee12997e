// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Tasks by themselves: lazy, of constant stack, resumed and destroyed where they belong.
#include "support/strands.hpp"

namespace plait::test {
namespace {

using namespace conformance;

template <class E>
class Task : public on_executor<E> {};
TYPED_TEST_SUITE(Task, executors, conformance::names);

task<> note(counted, std::atomic<bool>& ran) {
    ran = true;
    co_return;
}

TEST(LazyTask, C1_NeverAwaitedNeverRunsAndDestroysItsParametersOnce) {
    std::atomic<int> live{0};
    std::atomic<bool> ran{false};
    {
        const auto t = note(counted{live}, ran);
        EXPECT_TRUE(t.valid());
        EXPECT_EQ(live, 1) << "the frame has its parameter, and nobody else";
    }
    EXPECT_EQ(live, 0);
    EXPECT_FALSE(ran);
}

TEST(LazyTask, C1_MovedFromIsEmpty) {
    std::atomic<int> live{0};
    std::atomic<bool> ran{false};
    auto first = note(counted{live}, ran);
    auto second = std::move(first);
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(live, 1);
    second = task<>{};
    EXPECT_EQ(live, 0);
}

task<int> depth(int n) {
    if (n == 0) co_return 0;
    co_return 1 + co_await depth(n - 1);
}

task<int> depth_that_suspends(int n) {
    if (n == 0) co_return co_await after_yields(1, 0);
    co_return 1 + co_await depth_that_suspends(n - 1);
}

TEST(LazyTask, C1_AChainAMillionDeepNeedsNoStack) {
    on_small_stack([] {
        EXPECT_EQ(run(depth(1'000'000)), 1'000'000);
        EXPECT_EQ(run(depth_that_suspends(1'000'000)), 1'000'000);
    });
}

task<int> one() { co_return 1; }

task<int> a_million_in_a_row() {
    int sum = 0;
    for (int i = 0; i < 1'000'000; ++i) sum += co_await one();
    co_return sum;
}

TEST(LazyTask, C1_AMillionAwaitsInARowNeedNoStack) {
    on_small_stack([] { EXPECT_EQ(run(a_million_in_a_row()), 1'000'000); });
}

task<int> a_million_yields() {
    int sum = 0;
    for (; sum < 1'000'000; ++sum) co_await yield();
    co_return sum;
}

TEST(LazyTask, C1_AMillionSuspensionsInARowNeedNoStack) {
    on_small_stack([] { EXPECT_EQ(run(a_million_yields()), 1'000'000); });
}

task<int> throw_from(int n) {
    if (n == 0) throw failure{7};
    co_return co_await throw_from(n - 1);
}

TEST(LazyTask, C1_AnExceptionComesThroughADeepChainAsItself) {
    try {
        (void)run(throw_from(1000));
        ADD_FAILURE();
    } catch (const failure& f) {
        EXPECT_EQ(f.number, 7);
    }
}

// A coroutine of somebody else, that knows nothing of tasks.
struct foreign {
    struct promise_type {
        foreign get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

foreign sum_up(int rounds, bool suspend, promise<int> result) {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
        if (suspend)
            sum += co_await after_yields(1, 1);
        else
            sum += co_await one();
    }
    result.set_value(sum);
}

TYPED_TEST(Task, C1_AForeignCoroutineAwaitsTasksInConstantStack) {
    this->run([]() -> task<> {
        for (const bool suspend : {false, true}) {
            promise<int> p;
            auto sum = p.get_future();
            sum_up(100'000, suspend, std::move(p));
            EXPECT_EQ(co_await sum, 100'000) << suspend;
        }
    });
}

foreign await_outside(std::string& said) {
    try {
        co_await one();
    } catch (const std::logic_error& e) {
        said = e.what();
    }
}

foreign sleep_outside(std::string& said) {
    try {
        co_await sleep_for(1h);
    } catch (const std::logic_error& e) {
        said = e.what();
    }
}

TEST(ForeignCoroutine, C1_AwaitingOutsideOfATaskThrowsAndSaysWhatToDo) {
    std::string said;
    await_outside(said);
    EXPECT_NE(said.find("plait::task"), std::string::npos) << said;
    said.clear();
    sleep_outside(said);
    EXPECT_NE(said.find("plait::task"), std::string::npos) << said;
}

TYPED_TEST(Task, C28_ReadyAwaitsGiveWayNowAndThen) {
    // Two tasks whose awaits are always ready: neither may keep the other out, not even on one thread.
    std::atomic<bool> over{false};
    std::atomic<int> rounds{0};
    const auto spin = [&]() -> task<> {
        for (; !over; ++rounds) {
            promise<int> p;
            auto ready = p.get_future();
            p.set_value(1);
            co_await ready;
        }
    };
    const auto end = [&]() -> task<> {
        while (rounds == 0) co_await yield();
        over = true;
    };
    this->run([&]() -> task<> { co_await gather(spin(), end()); });
    EXPECT_GT(rounds, 0);
}

TYPED_TEST(Task, C28_AnAlwaysReadyTaskDoesNotHoldUpTimers) {
    std::atomic<bool> over{false};
    const auto spin = [&]() -> task<> {
        while (!over) co_await yield();
    };
    const auto sleeper = [&]() -> task<> {
        co_await sleep_for(1ms);
        over = true;
    };
    this->run([&]() -> task<> { co_await gather(spin(), spin(), sleeper()); });
}

// Destroyed where the task ran: notes which executor that was.
class where {
  public:
    explicit where(std::vector<detail::worker*>& places) : places_{&places} {}
    where(where&& other) noexcept : places_{std::exchange(other.places_, nullptr)} {}
    where& operator=(where&&) = delete;
    ~where() {
        if (places_) places_->push_back(detail::current().worker);
    }

  private:
    std::vector<detail::worker*>* places_;
};

TYPED_TEST(Task, C29_CancelledFromAnotherThreadItsDestructorsRunOnceAndAtHome) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        std::vector<detail::worker*> places;
        detail::worker* home = nullptr;
        promise<void> begun;
        auto started = begun.get_future();
        auto f = this->ex.submit(
            [&](where) -> task<> {
                const where local{places};
                home = detail::current().worker;
                begun.set_value();
                co_await forever();
            },
            where{places});
        started.get();
        EXPECT_TRUE(f.cancel());
        EXPECT_TRUE(throws_cancelled(f));
        ASSERT_EQ(places.size(), 2U) << "one local, one argument";
        EXPECT_EQ(places[0], home);
        EXPECT_EQ(places[1], home);
    }
}

TEST(Loop, C30_EightThreadsSubmitAMillionTimesAndNoWakeUpIsLost) {
    constexpr int threads = 8;
    const int each = sanitized ? 12'500 : 125'000;
    event_loop loop;
    int sum = 0; // on the loop alone
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t)
        posters.emplace_back([&] {
            for (int i = 0; i < each; ++i) {
                loop.post([&sum] { ++sum; });
                // Now and then all is done and the loop goes to sleep just as the next one comes.
                if (i % 100 == 0) loop.submit([] {}).get();
            }
        });
    for (auto& t : posters) t.join();
    loop.submit([] {}).get();
    EXPECT_EQ(sum, threads * each);
}

TEST(Loop, C30_EveryPostFindsASleepingLoop) {
    event_loop loop;
    for (int i = 0; i < 20'000; ++i) ASSERT_EQ(loop.submit([i] { return i; }).get(), i);
}

} // namespace
} // namespace plait::test
