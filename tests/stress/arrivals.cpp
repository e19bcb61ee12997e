// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// as_completed while several threads finish its futures: each comes out once; whoever leaves early, times
// out, is cancelled or lets its futures go meets no producer afterwards.
#include "support/strands.hpp"

#include <plait/wait.hpp>

#include <array>
#include <barrier>
#include <optional>
#include <thread>
#include <vector>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 500 : 4'000;
constexpr int finishers = 3;
constexpr int each = 8;
constexpr int total = finishers * each;

/// Three threads that finish the promises of one round after the other, each its own share.
class finishing {
  public:
    finishing() {
        for (int t = 0; t < finishers; ++t)
            threads_.emplace_back([this, t] {
                for (int round = 0; round < rounds; ++round) {
                    begin_.arrive_and_wait();
                    for (int i = t; i < total; i += finishers) {
                        if ((i + round) % 3 == 0)
                            for (int k = round % 64; k > 0; --k) detail::spin_pause();
                        promises_[static_cast<std::size_t>(i)].set_value(i);
                    }
                    end_.arrive_and_wait();
                }
            });
    }

    /// The futures of the next round, which begins when `begin` is called; `end` waits for the finishers.
    std::vector<future<int>> futures() {
        std::vector<future<int>> all;
        for (auto& p : promises_) {
            p = promise<int>{};
            all.push_back(p.get_future());
        }
        return all;
    }
    void begin() { begin_.arrive_and_wait(); }
    void end() { end_.arrive_and_wait(); }

  private:
    std::array<promise<int>, total> promises_;
    std::barrier<> begin_{finishers + 1};
    std::barrier<> end_{finishers + 1};
    std::vector<std::jthread> threads_;
};

/// Which have come out.
class once {
  public:
    void add(int i) { ++seen_[static_cast<std::size_t>(i)]; }
    int count() const {
        int n = 0;
        for (const int s : seen_) n += s;
        return n;
    }
    bool none_twice() const {
        return std::all_of(seen_.begin(), seen_.end(), [](int s) { return s <= 1; });
    }

  private:
    std::array<int, total> seen_{};
};

TEST(ArrivalsStress, W8_EachComesOutOnceWhicheverThreadFinishesIt) {
    finishing f;
    for (int round = 0; round < rounds; ++round) {
        auto all = f.futures();
        if (round % 2 == 0) f.begin(); // they finish while they are added, or while they are waited for
        {
            auto range = as_completed(all);
            if (round % 2 != 0) f.begin();
            once seen;
            for (auto& done : range) seen.add(done.get());
            EXPECT_EQ(seen.count(), total) << round;
            EXPECT_TRUE(seen.none_twice()) << round;
        }
        f.end();
    }
}

TEST(ArrivalsStress, W10_LeavingEarlyMeetsNoProducerAndLeavesTheRestValid) {
    finishing f;
    for (int round = 0; round < rounds; ++round) {
        auto all = f.futures();
        int taken = 0;
        {
            auto range = as_completed(all);
            f.begin();
            for (auto at = range.begin(); at != range.end() && taken < round % total; ++at, ++taken)
                (void)(*at).get();
        }
        int left = 0;
        for (auto& rest : all)
            if (rest.valid()) {
                (void)rest.get();
                ++left;
            }
        EXPECT_EQ(taken + left, total) << round;
        f.end();
    }
}

TEST(ArrivalsStress, W9_ATimeoutAtAnyMomentLosesNothing) {
    finishing f;
    int timeouts = 0;
    for (int round = 0; round < rounds; ++round) {
        auto all = f.futures();
        once seen;
        const bool late = round % 8 == 0; // not before the time is over
        if (!late) f.begin();
        try {
            for (auto& done : as_completed(all, {.timeout = std::chrono::microseconds{round % 40}}))
                seen.add(done.get());
        } catch (const timeout_error&) {
            ++timeouts;
        }
        if (late) f.begin();
        for (auto& rest : all)
            if (rest.valid()) seen.add(rest.get());
        EXPECT_EQ(seen.count(), total) << round;
        EXPECT_TRUE(seen.none_twice()) << round;
        f.end();
    }
    EXPECT_GE(timeouts, rounds / 8);
}

TEST(ArrivalsStress, W10_TheFuturesMayDieWhileTheyFinish) {
    finishing f;
    for (int round = 0; round < rounds; ++round) {
        detail::arrivals waiting;
        {
            auto all = f.futures();
            std::size_t i = 0;
            for (auto& one : all) waiting.add(detail::future_access::state(one), i++);
            f.begin();
        }
        once seen;
        while (waiting.pending() > static_cast<std::size_t>(round % total))
            seen.add(static_cast<int>(waiting.next(detail::time_point::max())));
        EXPECT_TRUE(seen.none_twice()) << round;
        f.end();
    }
}

task<int> count_async(std::vector<future<int>>& all) {
    auto done = as_completed_async(all);
    int n = 0;
    while (auto* one = co_await done.next()) {
        (void)co_await *one;
        ++n;
    }
    co_return n;
}

TEST(ArrivalsStress, W11_ACancelledWaitLeavesTheFuturesAlone) {
    thread_pool pool{{.workers = 2}};
    finishing f;
    int whole = 0;
    for (int round = 0; round < rounds; ++round) {
        auto all = f.futures();
        auto waiting = pool.submit(count_async, std::ref(all));
        f.begin();
        for (int k = round % 256; k > 0; --k) detail::spin_pause();
        if (round % 4 != 0) (void)waiting.cancel();
        int taken = 0;
        try {
            taken = waiting.get();
            EXPECT_EQ(taken, total);
            ++whole;
        } catch (const cancelled&) {
            for (auto& rest : all)
                if (rest.valid()) (void)rest.get(); // throws if it was cancelled as well
        }
        f.end();
    }
    EXPECT_GE(whole, rounds / 4);
}

} // namespace
} // namespace plait::test
