// SPDX-License-Identifier: Apache-2.0
// virtual time: what sleeps here sleeps inside of a run
#include "support/sanitizer.hpp"

#include <plait/async_event.hpp>
#include <plait/channel.hpp>
#include <plait/offload.hpp>
#include <plait/plait.hpp>
#include <plait/testing_run.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using plait::testing::run;
using plait::testing::run_result;

namespace {

class Run : public ::testing::Test {
  protected:
    void SetUp() override {
        if (sanitized) GTEST_SKIP() << "sanitizers have the names of the system's calls themselves";
    }
};

void expect(bool holds, const char* what) {
    if (!holds) throw std::runtime_error{what};
}

TEST_F(Run, AThousandTimersOfADayInNoTime) {
    const auto begun = std::chrono::steady_clock::now();
    const run_result r = run(1, [] {
        plait::event_loop loop;
        std::vector<plait::task<int>> all;
        const auto sleeper = [](int i) -> plait::task<int> {
            co_await plait::sleep_for(std::chrono::seconds{1 + (i * 7919) % 86'400});
            co_return i;
        };
        for (int i = 0; i < 10'000; ++i) all.push_back(sleeper(i));
        const auto day = [&all]() -> plait::task<long> {
            long sum = 0;
            const std::vector<int> ended = co_await plait::gather(std::move(all));
            for (const int i : ended) sum += i;
            co_return sum;
        };
        expect(loop.run(day()) == 9'999L * 10'000 / 2, "a timer was lost");
    });
    EXPECT_TRUE(r) << r.failure();
    EXPECT_GE(r.elapsed(), 86'000s);
    EXPECT_LE(r.elapsed(), 86'401s);
    std::printf("10,000 timers over a day: %llu switches, %.3f s\n",
                static_cast<unsigned long long>(r.switches()),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

void pools_and_channels() {
    plait::thread_pool pool{{.workers = 2}};
    plait::channel<int> numbers{4};
    auto sum = pool.submit([&numbers] {
        int total = 0;
        while (const auto n = numbers.receive_blocking()) total += *n;
        return total;
    });
    std::thread producer{[&numbers] {
        for (int i = 1; i <= 20; ++i) {
            std::this_thread::sleep_for(10ms);
            numbers.send_blocking(i);
        }
        numbers.close();
    }};
    producer.join();
    expect(sum.get() == 210, "an item was lost");
}

TEST_F(Run, TheSameSeedTheSameRun) {
    std::set<std::uint64_t> traces;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const run_result r = run(seed, pools_and_channels);
        ASSERT_TRUE(r) << r.failure();
        EXPECT_EQ(r.elapsed(), 200ms);
        const run_result again = run(seed, pools_and_channels);
        EXPECT_EQ(again.trace(), r.trace()) << "seed " << seed;
        EXPECT_EQ(again.switches(), r.switches());
        traces.insert(r.trace());
    }
    EXPECT_GT(traces.size(), 1U) << "every seed took the same course";
}

TEST_F(Run, AThousandSeeds) {
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        const run_result r = run(seed, pools_and_channels);
        ASSERT_TRUE(r) << r.failure();
    }
}

TEST_F(Run, FindsTheSeedUnderWhichABugShows) {
    // An order that hardly ever happens: the second thread comes first.
    const auto racy = [] {
        int order = 0;
        int first = 0;
        std::mutex m;
        const auto come = [&](int who) {
            const std::lock_guard guard{m};
            if (++order == 1) first = who;
        };
        std::thread one{come, 1};
        std::thread two{come, 2};
        one.join();
        two.join();
        expect(first == 1, "the second one was first");
    };
    std::uint64_t bad = 0;
    for (std::uint64_t seed = 1; seed <= 100 && bad == 0; ++seed)
        if (!run(seed, racy)) bad = seed;
    ASSERT_NE(bad, 0U);
    const run_result again = run(bad, racy);
    EXPECT_EQ(again.failure(), "testing::run, seed " + std::to_string(bad) + ": the second one was first");
}

TEST_F(Run, LoopsPoolsAndOffloadTogether) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const run_result r = run(seed, [] {
            plait::loop_pool loops{{.workers = 2}};
            plait::thread_pool pool{{.workers = 2}};
            const auto work = [&pool](int i) -> plait::task<int> {
                co_await plait::sleep_for(std::chrono::milliseconds{i});
                const int doubled = co_await plait::offload([i] {
                    std::this_thread::sleep_for(1ms);
                    return 2 * i;
                });
                auto f = pool.submit([doubled] { return doubled + 1; });
                co_return co_await f;
            };
            std::vector<plait::future<int>> all;
            for (int i = 0; i < 8; ++i) all.push_back(loops.submit(work, i));
            int sum = 0;
            for (auto& f : all) sum += f.get();
            expect(sum == 64, "wrong sum");
        });
        ASSERT_TRUE(r) << r.failure();
    }
}

TEST_F(Run, WhenEverybodyWaitsItFailsAtOnceAndSaysWhoForWhom) {
    const auto begun = std::chrono::steady_clock::now();
    run_result r;
    for (std::uint64_t seed = 1; seed <= 100 && r; ++seed)
        r = run(seed, [] {
            auto* const a = new std::mutex; // stay locked for good
            auto* const b = new std::mutex;
            const auto both = [](std::mutex& first, std::mutex& second) {
                const std::lock_guard one{first};
                std::this_thread::yield();
                const std::lock_guard two{second};
            };
            std::thread one{[=] { both(*a, *b); }};
            std::thread two{[=] { both(*b, *a); }};
            one.join();
            two.join();
        });
    ASSERT_FALSE(r);
    EXPECT_NE(r.failure().find("everybody waits"), std::string::npos) << r.failure();
    EXPECT_NE(r.failure().find("thread 1 (main) joins a thread: thread 2"), std::string::npos) << r.failure();
    EXPECT_NE(r.failure().find("waits for a mutex that thread 3"), std::string::npos) << r.failure();
    EXPECT_NE(r.failure().find("waits for a mutex that thread 2"), std::string::npos) << r.failure();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 30s);
}

TEST_F(Run, ATaskThatWaitsForEverIsNamed) {
    const run_result r = run(1, [] {
        auto* const loop = new plait::event_loop;
        auto* const never = new plait::async_event;
        const auto wait = [](plait::async_event& e) -> plait::task<> { co_await e.wait(); };
        loop->submit({.name = "patient"}, wait, std::ref(*never)).get();
    });
    ASSERT_FALSE(r);
    EXPECT_NE(r.failure().find("patient"), std::string::npos) << r.failure();
    EXPECT_NE(r.failure().find("async_event"), std::string::npos) << r.failure();
}

TEST_F(Run, TheClockIsVirtual) {
    const auto real = std::chrono::steady_clock::now();
    const run_result r = run(7, [] {
        const auto begun = std::chrono::steady_clock::now();
        const auto day = std::chrono::system_clock::now();
        std::this_thread::sleep_for(100h);
        expect(std::chrono::steady_clock::now() - begun == 100h, "steady_clock");
        expect(std::chrono::system_clock::now() - day == 100h, "system_clock");
        std::mutex m;
        std::condition_variable never;
        std::unique_lock lock{m};
        expect(never.wait_for(lock, 5min) == std::cv_status::timeout, "condition_variable");
        expect(std::chrono::steady_clock::now() - begun == 100h + 5min, "steady_clock after a wait");
        plait::promise<int> p;
        expect(!p.get_future().wait_for(1h), "future");
        const auto limited = []() -> plait::task<bool> {
            try {
                co_await plait::timeout(30min, plait::sleep_for(24h));
            } catch (const plait::timeout_error&) {
                co_return true;
            }
            co_return false;
        };
        expect(plait::run(limited()), "timeout");
    });
    EXPECT_TRUE(r) << r.failure();
    EXPECT_EQ(r.elapsed(), 100h + 5min + 1h + 30min);
    EXPECT_LT(std::chrono::steady_clock::now() - real, 30s);
}

TEST_F(Run, WrongUseIsRefused) {
    EXPECT_THROW(static_cast<void>(run(1, nullptr)), std::invalid_argument);
    const run_result nested = run(1, [] { static_cast<void>(run(2, [] {})); });
    EXPECT_NE(nested.failure().find("within a run"), std::string::npos) << nested.failure();
}

} // namespace
