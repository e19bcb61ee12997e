// SPDX-License-Identifier: Apache-2.0
// Children of a gather on a pool: what is seen of them, whom they belong to, and that others have their turn.
#include "support/dumped.hpp"

#include <plait/async_event.hpp>
#include <plait/errors.hpp>
#include <plait/gather.hpp>
#include <plait/offload.hpp>
#include <plait/task_group.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>
#include <plait/trace.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using plait::task;

task<int> sleeper() {
    co_await plait::sleep_for(1h);
    co_return 0;
}
task<int> busy(std::latch& begun, std::latch& go_on) {
    begun.count_down();
    go_on.wait();
    co_return 1;
}
task<int> sum_of_two(int a, int b) { co_return a + b; }
task<int> counting(int& n) { co_return ++n; }
task<int> two(task<int> a, task<int> b) {
    auto [x, y] = co_await plait::gather(std::move(a), std::move(b));
    co_return x + y;
}

// The inner gather has no entry while its children only compute; when one waits it is entered with that one.
TEST(GatherForks, AreSeenFromTheirFirstWaitOnWithWhoGathersThem) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch begun{1};
    std::latch go_on{1};
    auto f =
        pool.submit({.name = "root"}, [&] { return two(two(sleeper(), sleeper()), busy(begun, go_on)); });
    begun.wait();
    const std::regex expected{"plait: 4 live tasks\n"
                              "#[0-9]+ 'root' waiting for gather,.*gather_fork_test.*\n"
                              "  #[0-9]+ waiting for gather,.*at .*gather_fork_test.*\n"
                              "    #[0-9]+ waiting for sleep.*at .*gather_fork_test.*\n"
                              "    #[0-9]+ waiting for sleep.*at .*gather_fork_test.*\n"};
    const std::string seen = dumped_as(expected);
    EXPECT_TRUE(std::regex_match(seen, expected)) << seen;
    f.cancel();
    go_on.count_down();
    EXPECT_THROW(f.get(), plait::cancelled);
    EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
}

TEST(GatherForks, WhatTheySubmitIsTheirsToHelpWith) {
    plait::thread_pool pool{{.workers = 1}};
    const auto child = [&](int depth) -> task<int> {
        auto f = pool.submit([depth] { return depth; });
        co_return f.get(); // on the only thread
    };
    const auto parent = [&]() -> task<int> {
        auto [a, b] = co_await plait::gather(child(1), child(2));
        co_return a + b;
    };
    EXPECT_EQ(pool.submit(parent).get(), 3);
}

TEST(GatherForks, HaveNoName) {
    plait::thread_pool pool{{.workers = 1}};
    const auto nameless = []() -> task<bool> { co_return plait::this_task::name() == nullptr; };
    const auto parent = [&]() -> task<bool> {
        auto [a, b] = co_await plait::gather(nameless(), nameless());
        co_return a&& b&& std::string{plait::this_task::name()} == "parent";
    };
    EXPECT_TRUE(pool.submit({.name = "parent"}, parent).get());
}

TEST(GatherForks, AfterAFailureTheRestDoesNotBegin) {
    plait::thread_pool pool{{.workers = 1}};
    int runs = 0;
    const auto fail = []() -> task<int> {
        throw std::runtime_error{"no"};
        co_return 0;
    };
    const auto count = [&]() -> task<int> { co_return ++runs; };
    const auto parent = [&]() -> task<int> {
        auto [a, b, c, d] = co_await plait::gather(count(), fail(), count(), count());
        co_return a + b + c + d;
    };
    EXPECT_THROW(pool.submit(parent).get(), std::runtime_error);
    EXPECT_EQ(runs, 1);
}

task<long> fib(int n) {
    if (n < 2) co_return n;
    auto [a, b] = co_await plait::gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

// A tree is walked in turns, between which others have theirs.
TEST(GatherForks, LetOthersHaveTheirTurn) {
    plait::thread_pool pool{{.workers = 1}};
    std::atomic<bool> stop{false};
    std::latch begun{1};
    const auto for_ever = [&]() -> task<long> {
        long sum = 0;
        begun.count_down();
        while (!stop) sum += co_await fib(15);
        co_return sum;
    };
    auto f = pool.submit(for_ever);
    begun.wait();
    pool.submit([&] { stop = true; }).get();
    EXPECT_GT(f.get(), 0);
}

// Functions that wait for trees of coroutines, which their helpers take over in the middle.
long functions(plait::thread_pool& pool, int n) {
    if (n == 0) return pool.submit(fib, 13).get();
    long a = 0;
    plait::task_group halves{pool};
    halves.run([&] { a = functions(pool, n - 1); });
    const long b = functions(pool, n - 1);
    halves.wait();
    EXPECT_STREQ(plait::this_task::name(), "root");
    return a + b;
}
TEST(GatherForks, MayBeWaitedForByForksOfFunctions) {
    plait::thread_pool pool{{.workers = 3}};
    for (int round = 0; round < 20; ++round)
        EXPECT_EQ(pool.submit({.name = "root"}, [&] { return functions(pool, 6); }).get(), 64 * 233);
}

// Children that wait in between, are stolen, fail and are cancelled, at every depth.
task<long> ragged(int n, unsigned seed) {
    if (n == 0) {
        if (seed % 7 == 0) co_await plait::yield();
        if (seed % 1009 == 0) co_await plait::offload([] {}); // resumed from elsewhere
        if (seed % 5003 == 0) throw std::runtime_error{"a leaf"};
        co_return 1;
    }
    if (seed % 11 == 0) co_await plait::yield();
    std::vector<task<long>> more;
    for (unsigned i = 0; i < 2 + seed % 3; ++i)
        more.push_back(ragged(n - 1, (seed * 31 + i * 7919) % 100'003));
    long sum = 0;
    for (const long x : co_await plait::gather(std::move(more), {.limit = seed % 5 == 0 ? 2U : 0U})) sum += x;
    co_return sum;
}
TEST(GatherForks, RaggedTreesComeToTheirEnd) {
    plait::thread_pool pool{{.workers = 3}};
    int failures = 0;
    for (unsigned seed = 1; seed < 60; ++seed) {
        auto f = pool.submit(ragged, 7, seed);
        if (seed % 4 == 0) f.cancel();
        try {
            EXPECT_GE(f.get(), 1 << 7);
        } catch (const std::runtime_error&) {
            ++failures;
        } catch (const plait::cancelled&) {
            EXPECT_EQ(seed % 4, 0U);
        }
    }
    EXPECT_GT(failures, 0);
    pool.shutdown();
    EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
}

// Counts those that are alive.
struct counted {
    explicit counted(std::atomic<int>& n) : alive{&n} { ++*alive; }
    counted(counted&& other) noexcept : alive{std::exchange(other.alive, nullptr)} {}
    counted& operator=(counted&&) = delete;
    ~counted() {
        if (alive) --*alive;
    }
    std::atomic<int>* alive;
};

TEST(GatherForks, ParametersEndBeforeTheParentGoesOn) {
    plait::thread_pool pool{{.workers = 2}};
    std::atomic<int> alive{0};
    int runs = 0;
    const auto holds = [](counted, bool fails, int& n) -> task<int> {
        if (fails) throw std::runtime_error{"no"};
        co_return ++n;
    };
    const auto parent = [&]() -> task<int> {
        const int one = co_await holds(counted{alive}, false, runs);
        EXPECT_EQ(alive, 0);
        auto [a, b] = co_await plait::gather(holds(counted{alive}, false, runs), sum_of_two(1, 2));
        EXPECT_EQ(alive, 0);
        bool failed = false;
        try {
            co_await plait::gather(holds(counted{alive}, true, runs), holds(counted{alive}, false, runs));
        } catch (const std::runtime_error&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
        EXPECT_EQ(alive, 0); // that of one that may never have begun as well
        co_return one + a + b;
    };
    EXPECT_EQ(pool.submit(parent).get(), 1 + 2 + 3);
}

task<int> holding(std::shared_ptr<int> kept) { co_return *kept; }

// It owns its children from the call on, wherever it is moved before it is awaited.
TEST(GatherForks, AGatherMayBeMovedOrNeverAwaited) {
    plait::thread_pool pool{{.workers = 2}};
    const auto kept = std::make_shared<int>(7);
    const int sum = pool.submit([kept]() -> task<int> {
                            { const auto never = plait::gather(holding(kept), holding(kept), holding(kept)); }
                            auto three = plait::gather(holding(kept), holding(kept), holding(kept));
                            auto moved = std::move(three);
                            auto [a, b, c] = co_await moved;
                            auto pair = plait::gather(holding(kept), holding(kept));
                            auto [d, e] = co_await plait::timeout(1h, std::move(pair));
                            co_return a + b + c + d + e;
                        })
                        .get();
    EXPECT_EQ(sum, 35);
    EXPECT_EQ(kept.use_count(), 1);
}

// Of a tree that only computes nothing is in a slot that a canceller could find.
task<int> stops_below(int depth, const std::function<void()>& stop, int& begun) {
    if (depth == 0) {
        stop();
        auto [a, b] = co_await plait::gather(sum_of_two(++begun, 0), sum_of_two(0, 0)); // throws
        begun += 100;
        co_return a + b;
    }
    auto [a, b] = co_await plait::gather(stops_below(depth - 1, stop, begun), counting(begun));
    co_return a + b;
}
TEST(GatherForks, SeeAStopOfWhatIsFurtherOutAtTheirNextGather) {
    plait::thread_pool pool{{.workers = 1}};
    for (const int depth : {0, 1, 2, 7}) {
        int begun = 0;
        plait::future<int> f;
        std::latch there{1};
        const std::function<void()> stop = [&] {
            there.wait();
            f.cancel();
        };
        f = pool.submit([&] { return stops_below(depth, stop, begun); });
        there.count_down();
        EXPECT_THROW(f.get(), plait::cancelled);
        EXPECT_EQ(begun, 1); // no sibling has begun after that, at any depth
    }
}

TEST(GatherForks, SeeAStopThroughTheirToken) {
    plait::thread_pool pool{{.workers = 1}};
    plait::future<int> f;
    std::latch there{1};
    std::function<void()> check = [&] {
        const plait::stop_token before = plait::this_task::stop_token();
        there.wait();
        EXPECT_FALSE(before.stop_requested());
        f.cancel();
        EXPECT_TRUE(before.stop_requested());
        EXPECT_TRUE(plait::this_task::stop_token().stop_requested());
    };
    int begun = 0;
    f = pool.submit([&] { return stops_below(3, check, begun); });
    there.count_down();
    EXPECT_THROW(f.get(), plait::cancelled);
}

// The failure is on one thread, those that it stops are forks of forks on another.
task<int> until_stopped(int depth, std::latch& begun) {
    if (depth != 0) {
        auto [a, b] = co_await plait::gather(until_stopped(depth - 1, begun), sum_of_two(0, 0));
        co_return a + b;
    }
    begun.count_down();
    int rounds = 0;
    for (; rounds < 1'000'000'000; ++rounds) co_await plait::gather(sum_of_two(0, 1), sum_of_two(1, 0));
    co_return rounds;
}
TEST(GatherForks, SeeTheStopOfAFailureElsewhere) {
    plait::thread_pool pool{{.workers = 2}};
    for (int round = 0; round < 50; ++round) {
        std::latch begun{1};
        const auto fail = [](std::latch& when) -> task<int> {
            when.wait();
            throw std::runtime_error{"no"};
            co_return 0;
        };
        const auto parent = [&]() -> task<int> {
            auto [a, b] = co_await plait::gather(fail(begun), until_stopped(round % 5, begun));
            co_return a + b;
        };
        EXPECT_THROW(pool.submit(parent).get(), std::runtime_error);
    }
    EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
}

// Tells when what it was given to is gone, whether that has begun or not.
class leaving {
  public:
    explicit leaving(std::latch& left) noexcept : left_{&left} {}
    leaving(leaving&& other) noexcept : left_{std::exchange(other.left_, nullptr)} {}
    leaving& operator=(leaving&&) = delete;
    ~leaving() {
        if (left_) left_->count_down();
    }

  private:
    std::latch* left_;
};
// Until it is stopped; then it holds up who stops it until `others` are gone, if there are any.
task<> waits_to_be_stopped(std::latch& begun, std::latch* others) {
    plait::async_event never;
    const plait::stop_callback on_stop{plait::this_task::stop_token(), [&] {
                                           if (others) others->wait();
                                       }};
    begun.count_down();
    co_await never.wait();
}
task<> too_late(leaving l, int& begun) {
    const leaving mine = std::move(l);
    ++begun;
    co_return;
}
// Children are stopped one after the other: the first has ended, and made room, before the second is.
TEST(GatherForks, BehindTheLimitDoNotBeginWhileTheOthersAreBeingStopped) {
    constexpr int behind = 20;
    plait::thread_pool pool{{.workers = 1}};
    std::latch under_way{2};
    std::latch left{behind};
    int begun = 0;
    auto f = pool.submit([&]() -> task<> {
        std::vector<task<>> tasks;
        tasks.push_back(waits_to_be_stopped(under_way, nullptr));
        tasks.push_back(waits_to_be_stopped(under_way, &left));
        for (int i = 0; i < behind; ++i) tasks.push_back(too_late(leaving{left}, begun));
        co_await plait::gather(std::move(tasks), {.limit = 2});
    });
    under_way.wait();
    f.cancel();
    EXPECT_THROW(f.get(), plait::cancelled);
    EXPECT_EQ(begun, 0);
}

} // namespace
