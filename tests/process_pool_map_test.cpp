// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <gtest/gtest.h>

#include <numeric>
#include <plait/process_pool.hpp>
#include <plait/this_task.hpp>
#include <plait/worker_local.hpp>
#include <ranges>

#include "conformance/probe.hpp"
#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;

std::string describe(int number, const std::string& text) { return std::to_string(number) + text; }

int fail_at_three(int i) {
    if (i == 3) throw std::out_of_range{"three"};
    return 10 * i;
}

TEST(ProcessPoolMap, M1_EqualsTheSerialLoop) {
    process_pool pool{{.workers = 2}};
    for (const int n : {0, 1, 128, 129, 2000}) {
        int expected = 0;
        for (const int square : pool.map([](int x) { return x * x; }, std::views::iota(0, n))) {
            EXPECT_EQ(square, expected * expected);
            ++expected;
        }
        EXPECT_EQ(expected, n);
        expected = 0;
        for (const int square : pool.map([](int x) { return x * x; }, std::views::iota(0, n),
                                         plait::map_options{.window = 64, .chunk = 7})) {
            EXPECT_EQ(square, expected * expected);
            ++expected;
        }
        EXPECT_EQ(expected, n);
    }
    const std::vector<int> numbers{1, 2};
    const std::vector<std::string> texts{"a", "b", "c"};
    std::vector<std::string> got;
    for (std::string&& s : pool.map(describe, numbers, texts)) got.push_back(std::move(s));
    EXPECT_EQ(got, (std::vector<std::string>{"1a", "2b"}));
}

TEST(ProcessPoolMap, M2_AnItemsExceptionComesInItsPlace) {
    process_pool pool{{.workers = 2}};
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{4}}) {
        auto range =
            pool.map(fail_at_three, std::views::iota(0, 6), plait::map_options{.window = 12, .chunk = chunk});
        auto at = range.begin();
        for (int i = 0; i < 6; ++i, ++at) {
            if (i == 3)
                EXPECT_THROW(*at, std::out_of_range);
            else
                EXPECT_EQ(*at, 10 * i);
        }
        EXPECT_TRUE(at == range.end());
    }
}

TEST(ProcessPoolMap, M9_OutcomesKeepEveryPlaceAlsoWhenWorkersDie) {
    process_pool pool{{.workers = 2}};
    int i = 0;
    int lost = 0;
    for (auto&& o : pool.map_outcomes(crash_every_tenth, std::views::iota(0, 100))) {
        if (i % 10 == 0) {
            ASSERT_FALSE(o.has_value());
            EXPECT_THROW(std::rethrow_exception(o.error()), plait::worker_lost);
            ++lost;
        } else {
            ASSERT_TRUE(o.has_value());
            EXPECT_EQ(*o, i);
        }
        ++i;
    }
    EXPECT_EQ(i, 100);
    EXPECT_EQ(lost, 10);
}

TEST(ProcessPoolMap, UnorderedGivesEachItemOnce) {
    process_pool pool{{.workers = 3}};
    std::vector<bool> seen(500);
    for (const int i : pool.map_unordered(echo<int>, std::views::iota(0, 500))) {
        EXPECT_FALSE(seen[static_cast<std::size_t>(i)]);
        seen[static_cast<std::size_t>(i)] = true;
    }
    EXPECT_EQ(std::ranges::count(seen, true), 500);
}

TEST(ProcessPoolMap, L1_EachWorkerHasOneWorkerLocal) {
    process_pool pool{{.workers = 2}};
    const auto address = [](int) {
        static plait::worker_local<int> local;
        return std::pair{::getpid(), ++*local};
    };
    // In which order a worker gets its share is the pool's business: one that is free takes what waits for
    // another.
    std::map<int, std::vector<int>> counts;
    for (const auto& [pid, count] : pool.map(address, std::views::iota(0, 100))) counts[pid].push_back(count);
    EXPECT_LE(counts.size(), 2U);
    for (auto& [pid, seen] : counts) {
        std::ranges::sort(seen);
        for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<int>(i) + 1);
    }
}

// Submits one task of each letter while the only worker is held; gives the order in which they ran.
std::string order_of(const std::string& letters, bool after_short_tasks) {
    process_pool pool{{.workers = 1}};
    // After these the pool feeds its worker hundreds of tasks ahead.
    for (int i = 0; after_short_tasks && i < 100; ++i) pool.submit(add, i, 1).get();
    conformance::probe gate;
    const conformance::opener opener{gate};
    auto held = pool.submit(conformance::hold, gate.at(), 0);
    gate.wait_begun(1);
    std::vector<plait::future<int>> marks;
    for (const char letter : letters) {
        const plait::priority p = letter == 'h'   ? plait::priority::high
                                  : letter == 'l' ? plait::priority::low
                                                  : plait::priority::normal;
        marks.push_back(pool.submit({.priority = p}, conformance::mark, gate.at(), letter));
    }
    gate.open();
    for (auto& m : marks) m.get();
    held.get();
    return gate.log();
}

TEST(ProcessPoolMap, PriorityGoesBeforeTheOrderOfSubmission) {
    EXPECT_EQ(order_of("1l2h3lh", false), "hh123ll");
    EXPECT_EQ(order_of("1234567", false), "1234567");
}

TEST(ProcessPoolMap, AnUrgentTaskPassesWhatWasFedAhead) { EXPECT_EQ(order_of("l1l2hh3", true), "hh123ll"); }

TEST(ProcessPoolMap, OneOfSixteenIsOfTheLowestPrioritySoThatNoneStarves) {
    const std::string log = order_of("ll" + std::string(40, 'h'), false);
    EXPECT_EQ(log, std::string(15, 'h') + "l" + std::string(15, 'h') + "l" + std::string(10, 'h'));
}

TEST(ProcessPoolMap, ThisTaskKnowsItsNameAndAttemptInTheWorker) {
    process_pool pool{{.workers = 1}};
    const auto attempt = [](int wanted) {
        if (plait::this_task::attempt() < wanted) die_by(SIGKILL);
        return plait::this_task::attempt();
    };
    EXPECT_EQ(pool.submit({.retries = 2}, attempt, 3).get(), 3);
    const auto name = [] {
        return std::string{plait::this_task::name() ? plait::this_task::name() : "(none)"};
    };
    EXPECT_EQ(pool.submit({.name = "a name of some length"}, name).get(), "a name of some length");
    EXPECT_EQ(pool.submit(name).get(), "(none)");
    const auto named_coroutine = []() -> plait::task<std::string> {
        co_await plait::sleep_for(std::chrono::microseconds{1});
        co_return plait::this_task::name() ? plait::this_task::name() : "(none)";
    };
    EXPECT_EQ(pool.submit({.name = "a coroutine", .timeout = std::chrono::hours{1}}, named_coroutine).get(),
              "a coroutine");
}

TEST(ProcessPoolMap, ThisTaskKnowsItsDeadlineInTheWorker) {
    using namespace std::chrono_literals;
    using clock = std::chrono::steady_clock; // the same in all processes
    const auto deadline = [] { return plait::this_task::deadline().time_since_epoch().count(); };
    const auto check = [&](auto submitted, clock::duration limit) {
        const clock::time_point before = clock::now();
        const clock::time_point due{clock::duration{submitted().get()}};
        EXPECT_GE(due, before + limit);
        EXPECT_LE(due, clock::now() + limit);
    };
    process_pool pool{{.workers = 1}};
    check([&] { return pool.submit({.name = "timed", .timeout = 1h}, deadline); }, 1h);
    check([&] { return pool.submit({.timeout = 2h}, deadline); }, 2h);
    EXPECT_EQ(pool.submit(deadline).get(), clock::time_point::max().time_since_epoch().count());
    process_pool limited{{.workers = 1, .task_timeout = 3h}};
    check([&] { return limited.submit(deadline); }, 3h);
}

} // namespace
