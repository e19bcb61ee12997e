// SPDX-License-Identifier: Apache-2.0
//
// map and its kin over an async_generator: results are awaited, while the input's next item is.
// limit: 120
#include "support/strands.hpp"

#include <gtest/gtest.h>

#include <plait/any_executor.hpp>
#include <plait/async_event.hpp>
#include <plait/channel.hpp>
#include <plait/event_loop.hpp>
#include <plait/generator.hpp>
#include <plait/process_pool.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using plait::async_generator;
using plait::map_options;
using plait::task;
using plait::test::failure;

async_generator<int> numbers(int n) {
    for (int i = 0; i < n; ++i) {
        if (i % 3 == 0) co_await plait::yield();
        co_yield i;
    }
}

template <class T>
task<std::vector<T>> all_of(async_generator<T> results) {
    std::vector<T> all;
    while (T* const one = co_await results.next()) all.push_back(std::move(*one));
    co_return all;
}

int doubled(int x) { return 2 * x; }
int fails_at_five(int x) { return x == 5 ? throw std::out_of_range{"five"} : x; }

std::vector<int> even_numbers(int n) {
    std::vector<int> expected;
    for (int i = 0; i < n; ++i) expected.push_back(2 * i);
    return expected;
}

template <class E>
struct MapAsync : plait::test::on_executor<E> {};
TYPED_TEST_SUITE(MapAsync, plait::test::executors);

TYPED_TEST(MapAsync, GivesResultsInTheOrderOfTheInput) {
    for (const map_options& options :
         {map_options{}, map_options{.window = 1}, map_options{.window = 7}, map_options{.timeout = 1h}}) {
        EXPECT_EQ(plait::run(all_of(this->ex.map(doubled, numbers(100), options))), even_numbers(100));
        auto unordered = plait::run(all_of(this->ex.map_unordered(doubled, numbers(100), options)));
        std::ranges::sort(unordered);
        EXPECT_EQ(unordered, even_numbers(100));
    }
    EXPECT_TRUE(plait::run(all_of(this->ex.map(doubled, numbers(0)))).empty());
}

TYPED_TEST(MapAsync, TakesCoroutinesAndWhatOnlyMoves) {
    const auto boxed = [](std::unique_ptr<int> x) -> task<std::unique_ptr<int>> {
        co_await plait::yield();
        *x += 1;
        co_return std::move(x);
    };
    const auto input = []() -> async_generator<std::unique_ptr<int>> {
        for (int i = 0; i < 10; ++i) co_yield std::make_unique<int>(i);
    };
    const auto results = plait::run(all_of(this->ex.map(boxed, input())));
    ASSERT_EQ(results.size(), 10U);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(*results[static_cast<std::size_t>(i)], i + 1);
    EXPECT_EQ(plait::run(all_of(this->ex.map([](int) {}, numbers(3)))).size(), 3U);
}

TYPED_TEST(MapAsync, AFailureComesOutAndIsTheEnd) {
    std::vector<int> before;
    const auto consume = [&](async_generator<int> results) -> task<bool> {
        bool failed = false;
        try {
            while (const int* one = co_await results.next()) before.push_back(*one);
        } catch (const std::out_of_range&) {
            failed = true;
        }
        co_return failed&& co_await results.next() == nullptr;
    };
    EXPECT_TRUE(plait::run(consume(this->ex.map(fails_at_five, numbers(100)))));
    EXPECT_EQ(before, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_TRUE(plait::run(consume(this->ex.map_unordered(fails_at_five, numbers(100)))));
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(MapAsync, OutcomesHaveEachFailureInItsPlace) {
    auto outcomes = plait::run(all_of(this->ex.map_outcomes(fails_at_five, numbers(8))));
    ASSERT_EQ(outcomes.size(), 8U);
    for (int i = 0; i < 8; ++i) {
        const auto& o = outcomes[static_cast<std::size_t>(i)];
        EXPECT_EQ(o ? *o : -5, i == 5 ? -5 : i);
    }
}

TYPED_TEST(MapAsync, AnInputThatFailsIsTheEndAfterTheItemsBefore) {
    const auto input = [](int n) -> async_generator<int> {
        for (int i = 0; i < n; ++i) co_yield i;
        co_await plait::yield();
        throw failure{9};
    };
    std::vector<int> before;
    const auto consume = [&](async_generator<int> results) -> task<> {
        while (const int* one = co_await results.next()) before.push_back(*one);
    };
    EXPECT_THROW(plait::run(consume(this->ex.map(doubled, input(20)))), failure);
    EXPECT_EQ(before, even_numbers(20));
    before.clear();
    EXPECT_THROW(plait::run(consume(this->ex.map(doubled, input(0)))), failure);
    EXPECT_TRUE(before.empty());
}

TYPED_TEST(MapAsync, IsNeverMoreThanItsWindowAhead) {
    int pulled = 0; // both on the loop of `run`
    const auto input = [&](int n) -> async_generator<int> {
        for (; pulled < n; ++pulled) {
            co_await plait::yield();
            co_yield pulled;
        }
    };
    const auto consume = [&](async_generator<int> results) -> task<> {
        for (int taken = 0; co_await results.next(); ++taken) {
            EXPECT_LE(pulled, taken + 4);
            co_await plait::yield();
        }
    };
    plait::run(consume(this->ex.map(doubled, input(50), map_options{.window = 4})));
    EXPECT_EQ(pulled, 50);
    EXPECT_THROW(static_cast<void>(this->ex.map(doubled, numbers(1), map_options{.window = 0})),
                 std::invalid_argument);
}

TYPED_TEST(MapAsync, AResultDoesNotWaitForTheNextItem) {
    plait::channel<int> lines{4};
    const auto input = [&]() -> async_generator<int> {
        while (auto line = co_await lines.receive()) co_yield *line;
    };
    const auto converse = [&](async_generator<int> answers) -> task<int> {
        int sum = 0;
        for (int i = 1; i <= 10; ++i) { // each line follows from the answer to the one before
            co_await lines.send(i + sum);
            sum += *co_await answers.next();
        }
        lines.close();
        co_return co_await answers.next() ? -1 : sum;
    };
    int expected = 0;
    for (int i = 1; i <= 10; ++i) expected += 2 * (i + expected);
    EXPECT_EQ(plait::run(converse(this->ex.map(doubled, input()))), expected);
}

TYPED_TEST(MapAsync, AfterShutdownItThrows) {
    this->ex.shutdown();
    EXPECT_THROW(plait::run(all_of(this->ex.map(doubled, numbers(3)))), plait::shutdown_error);
}

TEST(MapAsyncOver, ALoopFromItsOwnTaskWorks) {
    plait::event_loop loop;
    EXPECT_EQ(loop.run(all_of(loop.map(doubled, numbers(100)))), even_numbers(100));
}

TEST(MapAsyncOver, ATaskOfAThreadPoolOnItsOwnPoolWorks) {
    for (const int workers : {1, 3}) {
        plait::thread_pool pool{{.workers = workers}};
        auto results = pool.submit([&pool] { return all_of(pool.map(doubled, numbers(1000))); });
        EXPECT_EQ(results.get(), even_numbers(1000));
    }
}

TEST(MapAsyncOver, ProcessesAndAnyExecutor) {
    plait::process_pool processes{{.workers = 2}};
    EXPECT_EQ(plait::run(all_of(processes.map(doubled, numbers(200)))), even_numbers(200));
    EXPECT_THROW(plait::run(all_of(processes.map(fails_at_five, numbers(200)))), std::out_of_range);
    auto any = plait::any_executor::make("threads", {.workers = 2});
    EXPECT_EQ(plait::run(all_of(any.map(doubled, numbers(200)))), even_numbers(200));
}

async_generator<int> three_and_a_wait(plait::async_event& event, bool& gone) {
    struct at_its_end {
        bool& gone;
        ~at_its_end() { gone = true; }
    } const at_end{gone};
    for (int i = 0; i < 3; ++i) co_yield i;
    co_await event.wait();
}

TEST(MapAsyncOver, ATimeLimitEndsIt) {
    plait::thread_pool pool{{.workers = 1}};
    plait::async_event never;
    bool gone = false;
    EXPECT_THROW(
        plait::run(all_of(pool.map(doubled, three_and_a_wait(never, gone), map_options{.timeout = 1ms}))),
        plait::timeout_error);
    const auto until_stopped = [](int) {
        while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
    };
    EXPECT_THROW(plait::run(all_of(pool.map(until_stopped, numbers(5), map_options{.timeout = 1ms}))),
                 plait::timeout_error);
}

TEST(MapAsyncOver, ACancelledConsumerCancelsInputAndResults) {
    plait::thread_pool pool{{.workers = 1}};
    plait::event_loop loop;
    plait::async_event never;
    std::latch begun{1};
    std::atomic<int> runs{0};
    bool input_gone = false;
    auto consumer = loop.submit([&] {
        return all_of(pool.map(
            [&](int) {
                if (++runs == 1) begun.count_down();
                while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
            },
            three_and_a_wait(never, input_gone)));
    });
    begun.wait();
    consumer.cancel();
    EXPECT_TRUE(plait::test::throws_cancelled(consumer));
    pool.shutdown();
    loop.shutdown();
    EXPECT_EQ(runs, 1) << "what was queued has run";
    EXPECT_TRUE(input_gone);
}

TEST(MapAsyncOver, LeftBeforeItsEndItCancelsWhatIsQueued) {
    plait::thread_pool pool{{.workers = 1}};
    std::atomic<int> runs{0};
    const auto first_only = [&]() -> task<int> {
        auto results = pool.map(
            [&runs](int x) {
                if (++runs > 1)
                    while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
                return x;
            },
            numbers(1'000'000));
        co_return *co_await results.next();
    };
    EXPECT_EQ(plait::run(first_only()), 0);
    pool.shutdown();
    EXPECT_LE(runs, 2);
}

} // namespace
