// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Which thread runs the nodes of a graph, and who else has a turn there.
#include <plait/graph.hpp>

#include <plait/blocking_region.hpp>
#include <plait/serial.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <optional>
#include <vector>

namespace plait::test {
namespace {

TEST(GraphOnAPool, ATaskOfAPoolOfOneMayRunIt) {
    thread_pool pool{{.workers = 1}};
    graph g;
    std::atomic<int> n{0};
    for (int i = 0; i < 100; ++i) g.add([&n] { ++n; });
    graph outer;
    outer.add([&] { g.run(pool); });
    pool.submit([&] {
            g.run(pool);
            outer.run(pool);
        })
        .get();
    EXPECT_EQ(n, 200);
}

TEST(GraphOnASerial, ATaskMayRunIt) {
    serial s;
    graph g;
    int n = 0;
    g.after(g.add([&n] { ++n; }), [&n]() -> task<> {
        co_await yield();
        ++n;
    });
    graph outer;
    outer.add([&] { g.run(s); });
    s.submit([&] { g.run(s); }).get();
    outer.run(s);
    EXPECT_EQ(n, 4);
}

TEST(GraphOnAPool, ANodeMayWaitForOneThatIsReady) {
    thread_pool pool{{.workers = 1}};
    graph g;
    std::latch opened{2};
    const auto meet = [&] {
        const blocking_region here;
        opened.arrive_and_wait();
    };
    auto a = g.add([] {});
    g.after(a, meet);
    g.after(a, meet);
    g.run(pool);
}

TEST(GraphOnAPool, BothThreadsRunIt) {
    thread_pool pool{{.workers = 2}};
    graph g;
    std::latch met{2};
    auto first = g.add([] {});
    for (int i = 0; i < 2; ++i) g.after(first, [&met] { met.arrive_and_wait(); });
    g.run(pool);
}

// More nodes that wait for nothing than a thread takes at a time.
TEST(GraphOnAPool, NoStartIsHeldUpByAnother) {
    thread_pool pool{{.workers = 1}};
    constexpr int nodes = 12;
    graph g;
    std::latch met{nodes};
    for (int i = 0; i < nodes; ++i)
        g.add([&met] {
            const blocking_region here;
            met.arrive_and_wait();
        });
    g.run(pool);
}

TEST(GraphOnAPool, OthersHaveTheirTurn) {
    thread_pool pool{{.workers = 1}};
    std::atomic<bool> others{false};
    std::atomic<int> rounds{0};
    graph g;
    auto begin = g.add([] {});
    auto step = g.after(begin, [&] {
        if (++rounds == 1) pool.post([&] { others = true; });
    });
    // What a step releases goes on in its thread, for as long as the others have not been there.
    std::vector<graph_node> some;
    for (int i = 0; i < 3; ++i) some.push_back(g.after(step, [] {}));
    auto again = g.condition(some, [&] { return others ? 1 : 0; });
    g.precede(again, step);
    g.run(pool);
    EXPECT_GE(rounds, 1);
}

// A node forks, and leaves it to a later one to wait: then the fork lies on what the graph has forked.
TEST(GraphOnAPool, ANodeMayLeaveForksBehind) {
    for (const int workers : {1, 2}) {
        thread_pool pool{{.workers = workers}};
        constexpr int runs = 200;
        std::optional<task_group> group;
        std::atomic<int> forked{0};
        std::atomic<int> seen{0};
        std::atomic<int> after{0};
        graph g;
        auto a = g.add([] {});
        auto b = g.after(a, [&] {
            group.emplace(pool);
            for (int i = 0; i < 3; ++i) group->run([&] { ++forked; });
        });
        auto c = g.after(a, [&] { ++seen; });
        g.after({b, c}, [&] {
            group->wait();
            group.reset();
            if (forked % 3 == 0) ++after;
        });
        for (int run = 0; run < runs; ++run) g.run(pool);
        EXPECT_EQ(forked, 3 * runs);
        EXPECT_EQ(seen, runs);
        EXPECT_EQ(after, runs);
    }
}

} // namespace
} // namespace plait::test
