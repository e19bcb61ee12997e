// SPDX-License-Identifier: Apache-2.0
// A graph's nodes on a pool's two threads: each runs once, after those before it, and sees what they have done.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// with: coro/fork coro/group coro/posted coro/job strand/worker_local
// with: strand/graph strand/graph_core strand/graph_run strand/graph_stop strand/graph_strand
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// small: strand/graph_strand.hpp portion = 64 -> portion = 2
// small: strand/graph_strand.hpp starts = 8 -> starts = 2
// small: plait/detail/graph.hpp sizeof(graph_cell) == 64 -> sizeof(graph_cell) >= 64
#include "pools.hpp"

#include <array>
#include <exception>
#include <plait/async_event.hpp>
#include <plait/graph.hpp>
#include <plait/task.hpp>
#include <vector>

using plait::testing::check;

namespace {

struct bad : std::exception {};

void run(plait::graph& g) {
    pool p;
    run_on(p, [&] { return g.run_async(p); });
}

// Two ways that meet: the last one sees both.
TEST(Model, Graph_ADiamond) {
    explored_at_random("graph: a diamond", [] {
        payload first;
        std::array<payload, 2> sides;
        int sum = 0;
        plait::graph g;
        const auto top = g.add([&] { first = payload{3}; });
        const auto left = g.after(top, [&] { sides[0] = payload{first.value()}; });
        const auto right = g.after(top, [&] { sides[1] = payload{first.value()}; });
        g.after({left, right}, [&] { sum = sides[0].value() + sides[1].value(); });
        run(g);
        check(sum == 6);
    });
}

// More starts than a strand takes, more nodes than it counts ahead.
TEST(Model, Graph_ManyStarts) {
    explored_at_random("graph: five starts, one end", [] {
        std::array<payload, 5> parts;
        int sum = 0;
        plait::graph g;
        std::vector<plait::graph_node> starts;
        for (payload& part : parts) starts.push_back(g.add([&part] { part = payload{1}; }));
        g.after(starts, [&] {
            for (const payload& part : parts) sum += part.value();
        });
        run(g);
        check(sum == 5);
    });
}

TEST(Model, Graph_TwoRuns) {
    explored_at_random("graph: run twice", [] {
        payload count{0};
        plait::graph g;
        const auto one = g.add([] {});
        const auto other = g.add([] {});
        g.after({one, other}, [&] { count = payload{count.value() + 1}; });
        pool p;
        run_on(p, [&]() -> plait::task<> {
            co_await g.run_async(p);
            co_await g.run_async(p);
        });
        check(count.value() == 2);
    });
}

TEST(Model, Graph_ALoop) {
    explored_at_random("graph: a loop of two turns beside a node", [] {
        payload turns{0};
        plait::graph g;
        const auto start = g.add([] {});
        const auto step = g.after(start, [&] { turns = payload{turns.value() + 1}; });
        const auto again = g.condition(step, [&] { return turns.value() < 2 ? 0 : 1; });
        g.precede(again, step);
        g.add([] {});
        run(g);
        check(turns.value() == 2);
    });
}

TEST(Model, Graph_NodesThatAddNodes) {
    explored_at_random("graph: a node that adds two, and one after it", [] {
        std::array<payload, 2> parts;
        int sum = 0;
        plait::graph g;
        const auto adds = g.add([&](plait::subgraph& more) {
            for (payload& part : parts) more.add([&part] { part = payload{1}; });
        });
        g.after(adds, [&] { sum = parts[0].value() + parts[1].value(); });
        run(g);
        check(sum == 2);
    });
}

// A coroutine suspends on one thread and ends on another, or before its thread has noticed.
TEST(Model, Graph_ACoroutineWaits) {
    explored_at_random("graph: a coroutine that waits for a node, and one after both", [] {
        plait::async_event e;
        payload met;
        int value = 0;
        plait::graph g;
        const auto waits = g.add([&]() -> plait::task<> {
            co_await e.wait();
            met = payload{7};
        });
        const auto sets = g.add([&e] { e.set(); });
        g.after({waits, sets}, [&] { value = met.value(); });
        run(g);
        check(value == 7);
    });
}

TEST(Model, Graph_AFailureStopsACoroutine) {
    explored_at_random("graph: a coroutine that waits, and a node that fails", [] {
        plait::async_event never;
        plait::graph g;
        g.add([&]() -> plait::task<> { co_await never.wait(); });
        g.add([] { throw bad{}; });
        try {
            run(g);
            check(false, "no failure came out");
        } catch (const bad&) {}
    });
}

TEST(Model, Graph_AFailureEndsTheRun) {
    explored_at_random("graph: one of two branches fails", [] {
        bool ran = false;
        plait::graph g;
        const auto top = g.add([] {});
        const auto good = g.after(top, [] {});
        const auto failing = g.after(top, [] { throw bad{}; });
        g.after({good, failing}, [&ran] { ran = true; });
        try {
            run(g);
            check(false, "no failure came out");
        } catch (const bad&) {}
        check(!ran, "a node ran after one that had failed");
    });
}

} // namespace
