// SPDX-License-Identifier: Apache-2.0
#include <plait/async_event.hpp>
#include <plait/event_loop.hpp>
#include <plait/generator.hpp>
#include <plait/pipeline.hpp>
#include <plait/plait.hpp>
#include <plait/process_pool.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::vector<int> first(int n) {
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

plait::generator<int> endless() {
    for (int i = 0;; ++i) co_yield i;
}

int twice(int x) { return 2 * x; }

TEST(Pipeline, EachStageOnItsOwnExecutor) {
    plait::event_loop loop;
    plait::thread_pool pool{{.workers = 2}};
    const auto fetch = [](int x) -> plait::task<std::string> {
        co_await plait::yield();
        co_return std::to_string(x);
    };
    std::string all;
    plait::pipeline(first(100))
        .via(loop, fetch, {.window = 8})
        .via(pool, [](const std::string& s) { return s.size(); })
        .via(pool, [](std::size_t n) { return static_cast<char>('0' + n); }, {.window = 3})
        .into([&](char c) { all += c; });
    EXPECT_EQ(all, std::string(10, '1') + std::string(90, '2'));
}

TEST(Pipeline, KeepsTheOrderThoughLaterItemsAreDoneFirst) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch second_done{1};
    std::vector<int> got;
    plait::pipeline(first(8))
        .via(pool,
             [&](int x) {
                 if (x == 0) second_done.wait();
                 if (x == 1) second_done.count_down();
                 return x;
             })
        .into([&](int x) { got.push_back(x); });
    EXPECT_EQ(got, first(8));
}

TEST(Pipeline, UnorderedPassesOnWhatIsDone) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch seen{1};
    std::vector<int> got;
    plait::pipeline(first(3))
        .via(pool,
             [&](int x) {
                 if (x == 0) seen.wait(); // until another one has come out
                 return x;
             },
             {.ordered = false})
        .into([&](int x) {
            got.push_back(x);
            if (got.size() == 1) seen.count_down();
        });
    ASSERT_EQ(got.size(), 3U);
    EXPECT_NE(got[0], 0);
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, first(3));
}

TEST(Pipeline, IsNeverMoreThanItsWindowsAhead) {
    plait::thread_pool pool{{.workers = 2}};
    int made = 0;
    int taken = 0;
    int most = 0;
    const auto make = [&]() -> std::optional<int> {
        if (made == 500) return std::nullopt;
        most = std::max(most, made - taken);
        return made++;
    };
    plait::pipeline(make)
        .via(pool, twice, {.window = 3})
        .via(pool, twice, {.window = 4, .ordered = false})
        .into([&](int) { ++taken; });
    EXPECT_EQ(taken, 500);
    EXPECT_LT(most, 3 + 4 + 1);
    EXPECT_GT(most, 1) << "one after the other";
}

TEST(Pipeline, OnProcessesToo) {
    plait::process_pool pool{{.workers = 1}};
    int sum = 0;
    plait::pipeline(first(50)).via(pool, twice, {.window = 8}).into([&](int x) { sum += x; });
    EXPECT_EQ(sum, 50 * 49);
}

TEST(Pipeline, MovesWhatCannotBeCopied) {
    plait::serial here;
    int sum = 0;
    std::vector<std::unique_ptr<int>> all;
    for (int i = 1; i <= 4; ++i) all.push_back(std::make_unique<int>(i));
    int at = 0;
    plait::pipeline([&]() -> std::optional<std::unique_ptr<int>> {
        if (at == 4) return std::nullopt;
        return std::move(all[static_cast<std::size_t>(at++)]);
    }).via(here, [](std::unique_ptr<int> p) {
          return p;
      }).into([&](std::unique_ptr<int> p) { sum += *p; });
    EXPECT_EQ(sum, 10);
}

TEST(Pipeline, FunctionsThatReturnNothing) {
    plait::thread_pool pool{{.workers = 2}};
    std::atomic<int> ran{0};
    int heard = 0;
    const auto count = [&ran](int) { ++ran; };
    plait::pipeline(first(10)).via(pool, count).into([&] { ++heard; });
    plait::pipeline(first(10)).via(pool, count).into();
    EXPECT_EQ(ran, 20);
    EXPECT_EQ(heard, 10);
}

TEST(Pipeline, AFailureComesAfterTheItemsBeforeIt) {
    plait::thread_pool pool{{.workers = 2}};
    const auto fails_at_5 = [](int x) {
        if (x == 5) throw std::runtime_error{"five"};
        return x;
    };
    std::vector<int> got;
    const auto run = [&] {
        plait::pipeline(endless()).via(pool, fails_at_5).via(pool, twice).into([&](int x) {
            got.push_back(x / 2);
        });
    };
    EXPECT_THROW(run(), std::runtime_error);
    EXPECT_EQ(got, first(5));
}

TEST(Pipeline, SoDoesTheProducers) {
    plait::thread_pool pool{{.workers = 2}};
    int made = 0;
    std::vector<int> got;
    const auto make = [&]() -> std::optional<int> {
        if (made == 3) throw std::runtime_error{"no more"};
        return made++;
    };
    const auto run = [&] {
        plait::pipeline(make).via(pool, twice).into([&](int x) { got.push_back(x / 2); });
    };
    EXPECT_THROW(run(), std::runtime_error);
    EXPECT_EQ(got, first(3));
}

TEST(Pipeline, AConsumerThatThrowsLeavesNothingRunning) {
    plait::thread_pool pool{{.workers = 2}};
    std::atomic<int> running{0};
    const auto work = [&running](int x) {
        ++running;
        for (int i = 0; i < 200; ++i) std::this_thread::yield(); // something to wait for
        --running;
        return x;
    };
    const auto run = [&] {
        plait::pipeline(endless()).via(pool, work).via(pool, work, {.ordered = false}).into([](int) {
            throw std::runtime_error{"full"};
        });
    };
    EXPECT_THROW(run(), std::runtime_error);
    EXPECT_EQ(running, 0);
}

TEST(Pipeline, AWindowOfNothingIsRefused) {
    plait::serial here;
    EXPECT_THROW(plait::pipeline(first(1)).via(here, twice, {.window = 0}).into(), std::invalid_argument);
}

TEST(Pipeline, AfterShutdownItSaysSo) {
    plait::thread_pool pool{{.workers = 1}};
    pool.shutdown();
    EXPECT_THROW(plait::pipeline(first(3)).via(pool, twice).into(), plait::shutdown_error);
}

TEST(Pipeline, OnItsOwnLoopItSuspends) {
    plait::event_loop loop;
    const auto blocks = [&loop]() -> plait::task<> {
        plait::pipeline(first(3)).via(loop, twice).into();
        co_return;
    };
    EXPECT_THROW(loop.submit(blocks).get(), std::logic_error);
    const auto suspends = [&loop]() -> plait::task<int> {
        int sum = 0;
        const auto add = [&sum](int x) { sum += x; };
        co_await plait::pipeline(first(10))
            .via(loop, twice)
            .via(loop, twice, {.ordered = false})
            .into_async(add);
        co_return sum;
    };
    EXPECT_EQ(loop.submit(suspends).get(), 4 * 45);
}

plait::async_generator<int> one_by_one(plait::async_event& taken) {
    for (int i = 0; i < 5; ++i) {
        if (i != 0) co_await taken.wait();
        taken.reset();
        co_yield i;
    }
}

TEST(Pipeline, AProducerThatWaitsHoldsNothingUp) {
    plait::thread_pool pool{{.workers = 1}};
    const auto main = [&pool]() -> plait::task<int> {
        plait::async_event taken; // the next item is made when the last one has come out
        int sum = 0;
        const auto take = [&](int x) -> plait::task<> {
            sum += x;
            taken.set();
            co_return;
        };
        co_await plait::pipeline(one_by_one(taken)).via(pool, twice, {.window = 8}).into_async(take);
        co_return sum;
    };
    EXPECT_EQ(plait::run(main()), 20);
}

TEST(Pipeline, AnAwaitedFunctionProducesToo) {
    const auto main = []() -> plait::task<int> {
        int left = 4;
        const auto next = [&left]() -> plait::task<std::optional<int>> {
            co_await plait::yield();
            std::optional<int> x;
            if (left != 0) x = left--;
            co_return x;
        };
        plait::serial here;
        int sum = 0;
        const auto add = [&sum](int x) { sum += x; };
        co_await plait::pipeline(next).via(here, twice).into_async(add);
        co_return sum;
    };
    EXPECT_EQ(plait::run(main()), 20);
}

TEST(Pipeline, CancelledItWaitsForWhatRuns) {
    plait::thread_pool pool{{.workers = 2}};
    std::atomic<int> running{0};
    const auto work = [&running](int x) {
        ++running;
        for (int i = 0; i < 200; ++i) std::this_thread::yield();
        --running;
        return x;
    };
    const auto main = [&]() -> plait::task<bool> {
        bool late = false;
        try {
            auto all = plait::pipeline(endless()).via(pool, work).into_async();
            co_await plait::timeout(20ms, std::move(all));
        } catch (const plait::timeout_error&) {
            late = true;
        }
        co_return late&& running == 0;
    };
    EXPECT_TRUE(plait::run(main()));
}

TEST(Pipeline, FailuresOfATaskAreTheSame) {
    plait::thread_pool pool{{.workers = 2}};
    const auto fails_at_5 = [](int x) {
        if (x == 5) throw std::invalid_argument{"five"};
        return x;
    };
    const auto main = [&]() -> plait::task<int> {
        int taken = 0;
        const auto count = [&taken](int) { ++taken; };
        try {
            co_await plait::pipeline(endless()).via(pool, fails_at_5).into_async(count);
        } catch (const std::invalid_argument&) {}
        co_return taken;
    };
    EXPECT_EQ(plait::run(main()), 5);
}

} // namespace
