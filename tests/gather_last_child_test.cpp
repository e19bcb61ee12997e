// SPDX-License-Identifier: Apache-2.0
// The last child of a gather on a pool, taken back where all others have ended: nothing is counted for it, and nobody
// is to notice. On one thread, within another gather, so that no scope is whole before somebody asks for it.
#include "support/dumped.hpp"

#include <plait/cancelled.hpp>
#include <plait/gather.hpp>
#include <plait/resume_on.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using plait::task;

task<int> value(int n) { co_return n; }
task<int> two(task<int> a, task<int> b) {
    auto [x, y] = co_await plait::gather(std::move(a), std::move(b));
    co_return x + y;
}
template <class E>
task<int> fails(E error) {
    throw error;
    co_return 0;
}

class LastChild : public testing::Test {
  protected:
    std::atomic<int> unhandled{0};
    plait::thread_pool pool{
        {.workers = 1, .on_unhandled = [this](const plait::unhandled_failure&) { ++unhandled; }}};

    /// Waits until the tasks look like that, and ends them.
    static void expect_seen(plait::future<int> root, const char* as) {
        const std::regex expected{as};
        const std::string seen = dumped_as(expected);
        EXPECT_TRUE(std::regex_match(seen, expected)) << seen;
        root.cancel();
        EXPECT_THROW(root.get(), plait::cancelled);
        EXPECT_EQ(dumped(), "plait: 0 live tasks\n");
    }
};

TEST_F(LastChild, ItsFailureComesOut) {
    auto f = pool.submit([] { return two(two(value(1), fails(std::runtime_error{"last"})), value(2)); });
    EXPECT_THROW(f.get(), std::runtime_error);
    auto by_hand = pool.submit([] { return two(two(value(1), fails(plait::cancelled{})), value(2)); });
    EXPECT_THROW(by_hand.get(), plait::cancelled);
    auto of_a_range = pool.submit([]() -> task<int> {
        std::vector<task<int>> all;
        all.push_back(value(1));
        all.push_back(value(2));
        all.push_back(fails(std::runtime_error{"last"}));
        const auto inner = [](std::vector<task<int>> tasks) -> task<int> {
            co_return static_cast<int>((co_await plait::gather(std::move(tasks))).size());
        };
        co_return co_await two(inner(std::move(all)), value(2));
    });
    EXPECT_THROW(of_a_range.get(), std::runtime_error);
    EXPECT_EQ(unhandled, 0);
}

TEST_F(LastChild, HasAnEntryOfItsOwnWhenItWaits) {
    const auto sleeper = []() -> task<int> {
        co_await plait::sleep_for(1h);
        co_return 0;
    };
    expect_seen(pool.submit({.name = "root"}, [&] { return two(two(value(1), sleeper()), value(2)); }),
                "plait: 3 live tasks\n"
                "#[0-9]+ 'root' waiting for gather,.*\n"
                "  #[0-9]+ waiting for gather,.*\n"
                "    #[0-9]+ waiting for sleep.*\n");
}

TEST_F(LastChild, LeavesTheParentItsOwnScope) {
    const auto parent = []() -> task<int> {
        auto [x, y] = co_await plait::gather(value(1), value(2));
        co_await plait::sleep_for(1h);
        co_return x + y;
    };
    expect_seen(pool.submit({.name = "root"}, [&] { return two(parent(), value(2)); }),
                "plait: 2 live tasks\n"
                "#[0-9]+ 'root' waiting for gather,.*\n"
                "  #[0-9]+ waiting for sleep.*\n");
}

TEST_F(LastChild, MayEndElsewhereAndTheParentGoesOnAtHome) {
    plait::thread_pool other{{.workers = 1}};
    const auto leaves = [&other](std::thread::id& at) -> task<int> {
        co_await plait::resume_on(other);
        at = std::this_thread::get_id();
        co_return 1;
    };
    std::thread::id before;
    std::thread::id elsewhere;
    std::thread::id after;
    const auto parent = [&]() -> task<int> {
        before = std::this_thread::get_id();
        auto [x, y] = co_await plait::gather(value(1), leaves(elsewhere));
        after = std::this_thread::get_id();
        co_return x + y;
    };
    auto f = pool.submit([&] { return two(parent(), value(2)); });
    EXPECT_EQ(f.get(), 4);
    EXPECT_NE(elsewhere, before);
    EXPECT_EQ(after, before);
}

// More gathers than a task may make without a turn of its worker's.
TEST_F(LastChild, ALoopOfGathersComesToItsEnd) {
    const auto loop = []() -> task<int> {
        int sum = 0;
        for (int i = 0; i < 1000; ++i) {
            auto [x, y] = co_await plait::gather(value(i), value(1));
            sum += x + y;
        }
        co_return sum;
    };
    auto f = pool.submit([&] { return two(loop(), loop()); });
    EXPECT_EQ(f.get(), 2 * (999 * 1000 / 2 + 1000));
}

} // namespace
