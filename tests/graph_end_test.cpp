// SPDX-License-Identifier: Apache-2.0
// limit: 120
// How graphs fail and stop, and what is seen of them meanwhile.
#include "support/dumped.hpp"

#include <plait/graph.hpp>

#include "support/strands.hpp"

#include <plait/this_task.hpp>
#include <plait/trace.hpp>

#include <fcntl.h>
#include <latch>
#include <semaphore>
#include <sys/mman.h>

namespace plait::test {
namespace {

template <class E>
class GraphEnd : public on_executor<E> {};
TYPED_TEST_SUITE(GraphEnd, executors);

TYPED_TEST(GraphEnd, TheFirstFailureComesOutAndNothingAfterItRuns) {
    graph g;
    bool broken = true;
    int after = 0;
    auto a = g.add([&] {
        if (broken) throw failure{7};
    });
    auto b = g.after(a, [&] { ++after; });
    g.after(b, [&] { ++after; });
    for (int i = 0; i < 2; ++i) {
        try {
            g.run(this->ex);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const failure& f) {
            EXPECT_EQ(f.number, 7);
        }
        EXPECT_EQ(after, 0);
    }
    broken = false;
    g.run(this->ex);
    EXPECT_EQ(after, 2);
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(GraphEnd, FailuresAnywhere) {
    for (int kind = 0; kind < 6; ++kind) {
        graph g;
        bool broken = true;
        const auto fail_once = [&broken] {
            if (std::exchange(broken, false)) throw failure{1};
        };
        auto first = g.add([] {});
        switch (kind) {
        case 0:
            first = g.condition(first, [&] {
                fail_once();
                return 0;
            });
            break;
        case 1:
            first = g.after(first, [&]() -> task<> {
                co_await yield();
                fail_once();
            });
            break;
        case 2:
            first = g.after(first, [&]() -> task<> {
                fail_once();
                co_return;
            });
            break;
        case 3:
            first = g.after(first, [&](subgraph& s) {
                s.add([] {});
                fail_once();
            });
            break;
        case 4:
            first = g.after(first, [&](subgraph& s) {
                auto in = s.add([&](subgraph& t) { t.add(fail_once); });
                s.after(in, [] {});
            });
            break;
        default:
            first = g.after(first, {.name = "named"}, fail_once);
        }
        int after = 0;
        g.after(first, [&] { ++after; });
        EXPECT_THROW(g.run(this->ex), failure) << kind;
        EXPECT_EQ(after, 0) << kind;
        g.run(this->ex);
        EXPECT_EQ(after, 1) << kind;
    }
}

TYPED_TEST(GraphEnd, AFailureStopsWhatWaits) {
    graph g;
    witness w;
    bool broken = true;
    auto waits = g.add([&]() -> task<> {
        if (broken) co_await w.wait();
    });
    g.add([&]() -> task<> {
        if (!broken) co_return;
        while (w.began == 0) co_await yield();
        throw failure{3};
    });
    int after = 0;
    g.after(waits, [&] { ++after; });
    EXPECT_THROW(g.run(this->ex), failure);
    EXPECT_EQ(w.cancelled, 1);
    EXPECT_EQ(after, 0);
    broken = false;
    g.run(this->ex);
    EXPECT_EQ(after, 1);
}

TEST(GraphFailures, FurtherOnesGoToTheHandler) {
    unheard told;
    thread_pool pool{{.workers = 2, .on_unhandled = told.handler()}};
    graph g;
    std::latch met{2};
    for (int i = 1; i <= 2; ++i)
        g.add([&met, i] {
            met.arrive_and_wait(); // neither knows of the other's
            throw failure{i};
        });
    int first = 0;
    try {
        g.run(pool);
    } catch (const failure& f) {
        first = f.number;
    }
    ASSERT_NE(first, 0);
    EXPECT_EQ(told.numbers(), std::vector{3 - first});
}

TYPED_TEST(GraphEnd, AStopReachesTheNodes) {
    graph g;
    witness w;
    g.add([&]() -> task<> { co_await w.wait(); });
    int after = 0;
    g.after(g.add([&](subgraph& s) { s.add([&]() -> task<> { co_await w.wait(); }); }), [&] { ++after; });
    const auto stopping = [&]() -> task<> {
        while (w.began < 2) co_await yield();
        throw failure{1};
    };
    auto f = this->ex.submit([&]() -> task<> { co_await gather(g.run_async(this->ex), stopping()); });
    EXPECT_THROW(f.get(), failure);
    EXPECT_EQ(w.cancelled, 2);
    EXPECT_EQ(after, 0);
}

TEST(GraphStop, ReachesFunctionsThroughTheirToken) {
    thread_pool pool{{.workers = 2}};
    graph g;
    std::binary_semaphore begun{0};
    std::atomic<int> calls{0};
    bool after = false;
    auto a = g.add([&] {
        const auto count = [&calls] { ++calls; };
        const stop_callback on_stop{this_task::stop_token(), count};
        begun.release();
        while (calls == 0) std::this_thread::yield();
        EXPECT_TRUE(this_task::stop_token().stop_requested());
    });
    g.after(a, [&] { after = true; });
    auto f = pool.submit([&] { g.run(pool); });
    begun.acquire();
    f.cancel();
    EXPECT_TRUE(throws_cancelled(f));
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(after);
}

TEST(GraphStop, ARunCanBeTimedOutAndRunAgain) {
    thread_pool pool{{.workers = 1}};
    graph g;
    bool wait = true;
    int after = 0;
    auto a = g.add([&]() -> task<> {
        if (wait) co_await forever();
    });
    g.after(a, [&] { ++after; });
    EXPECT_THROW(g.run(pool, {.timeout = 5ms}), timeout_error);
    wait = false;
    g.run(pool);
    EXPECT_EQ(after, 1);
}

TEST(GraphStop, AStopBeforeTheRunRunsNothing) {
    thread_pool pool{{.workers = 1}};
    graph g;
    int n = 0;
    g.add([&] { ++n; });
    std::binary_semaphore begun{0};
    std::binary_semaphore stopped{0};
    auto f = pool.submit([&] {
        begun.release();
        stopped.acquire();
        g.run(pool);
    });
    begun.acquire();
    f.cancel();
    stopped.release();
    EXPECT_TRUE(throws_cancelled(f));
    EXPECT_EQ(n, 0);
    g.run(pool);
    EXPECT_EQ(n, 1);
}

TEST(GraphStop, ShutdownOfThePoolEndsTheRun) {
    graph g;
    witness w;
    thread_pool pool{{.workers = 1}};
    int after = 0;
    g.after(g.add([&]() -> task<> { co_await w.wait(); }), [&] { ++after; });
    std::thread other{[&] {
        while (w.began == 0) std::this_thread::yield();
        pool.shutdown({.cancel_pending = true});
    }};
    EXPECT_THROW(g.run(pool), cancelled);
    other.join();
    EXPECT_EQ(w.cancelled, 1);
    EXPECT_EQ(after, 0);
    EXPECT_THROW(g.run(pool), shutdown_error);
}

TEST(GraphStop, AConditionIntoWhatRunsIsRefused) {
    thread_pool pool{{.workers = 1}};
    graph g;
    std::atomic<bool> go{false};
    auto a = g.add({.name = "slow"}, [&]() -> task<> {
        while (!go) co_await yield();
    });
    auto c = g.condition({}, [] { return 0; });
    g.precede(c, a);
    auto d = g.add([] {});
    g.precede(d, a);
    // `a` begins once when `d` has ended and once when `c` says so: with one worker, while it waits.
    std::string said;
    auto late = g.after(c, [] {});
    (void)late;
    try {
        g.run(pool);
    } catch (const std::logic_error& e) {
        said = e.what();
    }
    EXPECT_NE(said.find("node slow was to begin while it is under way"), std::string::npos) << said;
}

TEST(GraphStop, ManyStopsAndRunsRace) {
    thread_pool pool{{.workers = 2}};
    graph g;
    std::atomic<int> n{0};
    auto root = g.add([] {});
    for (int i = 0; i < 20; ++i) {
        auto a = g.after(root, {.name = "named"}, [&] { ++n; });
        auto b = g.after(a, [&]() -> task<> {
            co_await yield();
            ++n;
        });
        g.after(b, [&](subgraph& s) {
            s.add([&] { ++n; });
            s.add([&]() -> task<> {
                co_await yield();
                ++n;
            });
        });
    }
    int stopped = 0;
    for (int round = 0; round < (sanitized ? 300 : 3000); ++round) {
        auto f = pool.submit([&] { g.run(pool); });
        for (int spin = 0; spin < round % 64 * 16; ++spin) detail::spin_pause();
        f.cancel();
        f.wait();
        if (throws_cancelled(f)) ++stopped;
    }
    n = 0;
    g.run(pool);
    EXPECT_EQ(n, 80);
    RecordProperty("stopped", stopped); // how many is up to the machine
}

TEST(GraphShown, TheRunIsATaskAndNodesWithNamesAreItsChildren) {
    thread_pool pool{{.workers = 1}};
    graph g;
    std::string text;
    std::string unnamed;
    const char* name = nullptr;
    auto a = g.add([&] { unnamed = this_task::name(); });
    g.after(a, {.name = "inner"}, [&] {
        name = this_task::name();
        text = dumped();
    });
    g.run(pool, {.name = "build"});
    EXPECT_EQ(unnamed, "build");
    EXPECT_STREQ(name, "inner");
    EXPECT_NE(text.find("'build' waiting for graph"), std::string::npos) << text;
    EXPECT_NE(text.find("  #"), std::string::npos) << text;
    EXPECT_NE(text.find("'inner' running"), std::string::npos) << text;
}

} // namespace
} // namespace plait::test
