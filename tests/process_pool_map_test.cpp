// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <gtest/gtest.h>

#include <numeric>
#include <plait/process_pool.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
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

// An item that says when it cannot be written.
struct numbered {
    int number = 0;
    template <class Archive>
    void save(Archive& archive) const {
        if (number % 50 == 49) throw std::domain_error{"not this one"};
        archive(number);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(number);
    }
};
int number_of(numbered n) { return n.number; }

TEST(ProcessPoolMap, P4_OfManyThatAreSentByOneCallOnlyThatFailsWhichCannotBeWritten) {
    process_pool pool{{.workers = 2}};
    std::vector<numbered> items(2000);
    for (int i = 0; i < 2000; ++i) items[static_cast<std::size_t>(i)].number = i;
    int i = 0;
    for (auto&& o : pool.map_outcomes(number_of, items, plait::map_options{.window = 1000})) {
        EXPECT_EQ(o.has_value(), i % 50 != 49) << i;
        if (o) {
            EXPECT_EQ(*o, i);
        } else {
            EXPECT_THROW(std::rethrow_exception(o.error()), std::domain_error);
        }
        ++i;
    }
    EXPECT_EQ(i, 2000);
}

TEST(ProcessPoolMap, AWorkersDeathCostsOneItemOfThoseThatWereSentByOneCall) {
    process_pool pool{{.workers = 2, .retries = 2}};
    const auto die_now_and_then = [](int i) {
        if (i % 300 == 299 && plait::this_task::attempt() < 3) die_by(SIGKILL);
        return i + plait::this_task::attempt();
    };
    int i = 0;
    for (const int got :
         pool.map(die_now_and_then, std::views::iota(0, 3000), plait::map_options{.window = 512})) {
        EXPECT_EQ(got, i + (i % 300 == 299 ? 3 : 1));
        ++i;
    }
    EXPECT_EQ(i, 3000);
}

// Numbers, each of which comes only when the one before it has left its mark: an input that waits for somebody.
class numbers_on_demand {
  public:
    explicit numbers_on_demand(conformance::probe& gate) : gate_{&gate} {}
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        conformance::probe* gate = nullptr;
        int now = 0;
        int operator*() const { return now; }
        iterator& operator++() {
            gate->wait_begun(1); // of the one before it
            ++now;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return now == 20; }
    };
    iterator begin() const { return {gate_, 0}; }
    std::default_sentinel_t end() const { return {}; }

  private:
    conformance::probe* gate_;
};
static_assert(std::ranges::input_range<numbers_on_demand> && !std::ranges::forward_range<numbers_on_demand>);

TEST(ProcessPoolMap, ItemsOfAnInputThatMayWaitAreSentAtOnce) {
    process_pool pool{{.workers = 1}};
    conformance::probe gate;
    const std::vector<conformance::token> tokens(20, gate.at());
    int sum = 0;
    for (const int i : pool.map(
             [](const conformance::token& t, int i) {
                 conformance::ring(t);
                 return i;
             },
             tokens, numbers_on_demand{gate}, plait::map_options{.window = 64}))
        sum += i;
    EXPECT_EQ(sum, 190);
}

TEST(ProcessPoolMap, ARangeThatIsLeftEarlyHasWaitedForAllItsItems) {
    process_pool pool{{.workers = 2}};
    for (int round = 0; round < 50; ++round) {
        int left = 3 * round;
        for (const int i :
             pool.map(echo<int>, std::views::iota(0, 1000), plait::map_options{.window = 200})) {
            EXPECT_EQ(i, 3 * round - left);
            if (left-- == 0) break;
        }
    }
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

TEST(ProcessPoolMap, ThreadsOfAPoolMapOverProcesses) {
    process_pool processes{{.workers = 2}};
    plait::thread_pool threads{{.workers = 2}};
    const auto sum_of = [&processes](int from) {
        long sum = 0;
        for (const int i : processes.map(echo<int>, std::views::iota(from, from + 500))) sum += i;
        return sum;
    };
    std::vector<plait::future<long>> sums;
    for (int i = 0; i < 8; ++i) sums.push_back(threads.submit(sum_of, i));
    for (int i = 0; i < 8; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)].get(), 499 * 250 + 500 * i);
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
