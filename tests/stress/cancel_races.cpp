// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Cancellation against completion, on the threads of a pool: exactly one outcome, nothing lost, nobody left
// behind.
#include "support/strands.hpp"

#include <plait/errors.hpp>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 20'000 : 120'000;

class CancelRace : public ::testing::Test {
  protected:
    test::unheard unheard;
    thread_pool pool{{.workers = 3, .on_unhandled = unheard.handler()}};
};

/// Starts tasks that come to 0 or are cancelled, 64 at a time, and cancels each, a little after it was
/// submitted; some wait, some run, some have ended by then. Returns how many had their value, and how many
/// were cancelled.
template <class Start>
std::pair<int, int> cancel_in_batches(int total, Start start) {
    constexpr int batch = 64;
    int values = 0;
    int cancels = 0;
    for (int first = 0; first < total; first += batch) {
        std::vector<future<int>> all;
        for (int i = first; i < std::min(first + batch, total); ++i) all.push_back(start(i));
        for (auto& f : all) {
            stagger(first / batch);
            (void)f.cancel();
        }
        for (auto& f : all) {
            try {
                EXPECT_EQ(f.get(), 0);
                ++values;
            } catch (const cancelled&) {
                ++cancels;
            }
        }
    }
    ::testing::Test::RecordProperty("values", values);
    return {values, cancels};
}

task<int> wait_for(future<int> f) { co_return co_await f; }

TEST_F(CancelRace, C20_FutureCancelAgainstPromise) {
    int values = 0;
    int cancels = 0;
    for (int i = 0; i < rounds; ++i) {
        promise<int> p;
        auto waiting = pool.submit(wait_for, p.get_future());
        auto setter = pool.submit([&p, i] {
            stagger(i);
            p.set_value(i);
        });
        stagger(i / 64);
        (void)waiting.cancel();
        try {
            ASSERT_EQ(waiting.get(), i);
            ++values;
        } catch (const cancelled&) {
            ++cancels;
        }
        setter.get();
    }
    EXPECT_EQ(values + cancels, rounds);
    EXPECT_GT(cancels, 0);
}

task<int> short_sleep(std::atomic<int>& begun, std::atomic<int>& ended) {
    ++begun;
    struct note {
        std::atomic<int>& n;
        ~note() { ++n; }
    } const on_exit{ended};
    co_await sleep_for(1us);
    co_await yield();
    co_return 0;
}

TEST_F(CancelRace, C20_FutureCancelAgainstTimers) {
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    const auto [values, cancels] = cancel_in_batches(
        rounds / 4, [&](int) { return pool.submit(short_sleep, std::ref(begun), std::ref(ended)); });
    EXPECT_EQ(values + cancels, rounds / 4);
    EXPECT_EQ(begun, ended.load());
}

task<int> limited(int i) {
    // The task takes about as long as it may.
    const auto body = [](int n) -> task<int> {
        for (int k = n % 40; k > 0; --k) co_await yield();
        co_return n;
    };
    try {
        co_return co_await timeout(std::chrono::microseconds{1 + i % 30}, body(i));
    } catch (const timeout_error&) {
        co_return -1;
    }
}

TEST_F(CancelRace, C22_TimeoutAgainstCompletion) {
    int values = 0;
    int expired = 0;
    constexpr int batch = 100;
    for (int i = 0; i < rounds / batch; ++i) {
        std::vector<future<int>> all;
        for (int k = 0; k < batch; ++k) all.push_back(pool.submit(limited, i * batch + k));
        for (int k = 0; k < batch; ++k) {
            const int value = all[static_cast<std::size_t>(k)].get();
            ASSERT_TRUE(value == -1 || value == i * batch + k);
            ++(value == -1 ? expired : values);
        }
    }
    EXPECT_EQ(values + expired, rounds / batch * batch);
    EXPECT_GT(values, 0);
}

task<int> gather_that_fails(std::atomic<int>& live, int i) {
    const auto child = [](counted, int n) -> task<> {
        for (int k = n; k > 0; --k) co_await yield();
        if (n == 2) throw failure{n};
    };
    std::vector<task<>> children;
    for (int k = 0; k < 4; ++k) children.push_back(child(counted{live}, (i + k) % 4));
    try {
        co_await gather(std::move(children));
    } catch (const failure& f) {
        co_return f.number - 2;
    }
    co_return -1;
}

TEST_F(CancelRace, C3_GatherFailsWhileTheOuterIsCancelled) {
    std::atomic<int> live{0};
    const auto [values, cancels] =
        cancel_in_batches(rounds, [&](int i) { return pool.submit(gather_that_fails, std::ref(live), i); });
    EXPECT_EQ(values + cancels, rounds);
    EXPECT_EQ(live, 0) << "a child outlived the gather";
}

task<int> grow(std::atomic<int>& live) {
    // Three children spawn while a fourth cancels the group.
    co_await with_group([&](task_group& group) -> task<> {
        const auto breed = [](counted, std::atomic<int>& n, task_group& g, int left, auto self) -> task<> {
            if (left > 0) g.spawn(self, counted{n}, std::ref(n), std::ref(g), left - 1, self);
            co_await yield();
        };
        for (int k = 0; k < 3; ++k)
            group.spawn(breed, counted{live}, std::ref(live), std::ref(group), 4, breed);
        group.spawn([&group]() -> task<> {
            co_await yield();
            group.cancel();
        });
        co_await yield();
    });
    co_return live;
}

TEST_F(CancelRace, C18_GroupCancelAgainstSpawn) {
    constexpr int few = rounds / 4;
    for (int i = 0; i < few; ++i) {
        std::atomic<int> live{0};
        ASSERT_EQ(pool.submit(grow, std::ref(live)).get(), 0) << i;
    }
}

TEST_F(CancelRace, C16_OuterCancelAgainstAGroupThatSpawnsAndCancels) {
    const auto [values, cancels] = cancel_in_batches(rounds / 4, [&](int) {
        return pool.submit([]() -> task<int> {
            std::atomic<int> live{0};
            bool stopped = false;
            try {
                co_await grow(live);
            } catch (const cancelled&) {
                stopped = true;
            }
            EXPECT_EQ(live, 0);
            if (stopped) throw cancelled{};
            co_return 0;
        });
    });
    EXPECT_EQ(values + cancels, rounds / 4);
}

task<> timeout_of(task<> t) { co_await timeout(1h, std::move(t)); }

// A tree of gathers, timeouts and groups: 3 to the power of `height` leaves.
task<> nest(witness& w, int height) {
    if (height == 0) co_return co_await w.wait();
    const auto group_of = [](witness& seen, int h) -> task<> {
        co_await with_group([&](task_group& group) -> task<> {
            group.spawn(nest(seen, h));
            co_await nest(seen, h);
        });
    };
    co_await gather(timeout_of(nest(w, height - 1)), group_of(w, height - 1));
}

TEST_F(CancelRace, C6_TreesOfEverythingAreStoppedToTheLeaves) {
    for (int i = 0; i < rounds / 100; ++i) {
        witness w;
        auto f = pool.submit([&w]() -> task<> { co_await nest(w, 3); });
        stagger(i);
        if (i % 2 == 0)
            while (w.began < 27) std::this_thread::yield();
        (void)f.cancel();
        ASSERT_TRUE(throws_cancelled(f));
        ASSERT_EQ(w.began, w.ended.load());
        ASSERT_EQ(w.passed, 0);
    }
}

TEST(ShutdownRace, S8_CancelPendingAgainstACoroutineThatBegins) {
    // It has left the queue, and is not yet among those that shutdown stops: it would sleep for an hour.
    for (int i = 0; i < rounds / 40; ++i) {
        thread_pool pool{{.workers = 2}};
        auto f = pool.submit([]() -> task<> { co_await forever(); });
        for (int k = i % 512; k > 0; --k) detail::spin_pause();
        pool.shutdown({.cancel_pending = true});
        ASSERT_TRUE(throws_cancelled(f)) << i;
    }
}

} // namespace
} // namespace plait::test
