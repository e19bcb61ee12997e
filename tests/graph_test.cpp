// SPDX-License-Identifier: Apache-2.0
// limit: 120
// How graphs run. graph_build_test.cpp has how they are built and refused, graph_end_test.cpp how they fail
// and stop, graph_threads_test.cpp which thread runs them.
#include <plait/graph.hpp>

#include "support/strands.hpp"

#include <plait/resume_on.hpp>

#include <array>
#include <random>
#include <stdexcept>
#include <string>

namespace plait::test {
namespace {

template <class E>
class Graph : public on_executor<E> {};
TYPED_TEST_SUITE(Graph, executors);

TYPED_TEST(Graph, NodesRunAfterTheirPredecessors) {
    graph g;
    std::atomic<int> clock{0};
    std::array<int, 4> at{};
    auto a = g.add([&] { at[0] = ++clock; });
    auto b = g.after(a, [&] { at[1] = ++clock; });
    auto c = g.after(a, [&] { at[2] = ++clock; });
    g.after({b, c}, [&] { at[3] = ++clock; });
    for (int run = 1; run <= 20; ++run) {
        clock = 0;
        g.run(this->ex);
        EXPECT_EQ(clock, 4);
        EXPECT_EQ(at[0], 1);
        EXPECT_EQ(at[1] + at[2], 5);
        EXPECT_EQ(at[3], 4);
    }
}

TYPED_TEST(Graph, AnEmptyOneRuns) {
    graph g;
    g.run(this->ex);
    EXPECT_EQ(g.size(), 0U);
}

TYPED_TEST(Graph, FanOutAndFanIn) {
    graph g;
    std::atomic<int> sum{0};
    int seen = 0;
    auto first = g.add([] {});
    std::vector<graph_node> middle;
    for (int i = 0; i < 1000; ++i) middle.push_back(g.after(first, [&sum] { ++sum; }));
    g.after(middle, [&] { seen = sum; });
    for (int run = 1; run <= 3; ++run) {
        g.run(this->ex);
        EXPECT_EQ(seen, 1000 * run);
    }
}

TYPED_TEST(Graph, AChainOfAMillionNeedsNoStack) {
    const int length = sanitized ? 50'000 : 1'000'000;
    graph g;
    int n = 0;
    graph_node last = g.add([&n] { ++n; });
    for (int i = 1; i < length; ++i) last = g.after(last, [&n] { ++n; });
    on_small_stack([&] { g.run(this->ex); });
    EXPECT_EQ(n, length);
}

TYPED_TEST(Graph, CoroutinesAreDrivenToTheirEnd) {
    graph g;
    std::vector<int> order;
    std::array<std::atomic<int>, 3> done{};
    auto a = g.add([&]() -> task<> {
        co_await yield();
        done[0] = 1;
    });
    auto b = g.add([&]() -> task<> {
        co_await sleep_for(1ms);
        done[1] = 1;
    });
    auto ready = g.after({a, b}, [&]() -> task<> {
        done[2] = done[0] + done[1];
        co_return; // without having waited
    });
    g.after(ready, [&] { order.push_back(done[2]); });
    g.run(this->ex);
    g.run(this->ex);
    EXPECT_EQ(order, (std::vector{2, 2}));
}

TYPED_TEST(Graph, AChainOfCoroutinesNeedsNoStack) {
    const int length = sanitized ? 2'000 : 100'000;
    graph g;
    int n = 0;
    graph_node last;
    for (int i = 0; i < length; ++i) {
        auto body = [&n, i]() -> task<> {
            if (i % 2 == 0) co_await yield();
            ++n;
        };
        last = i == 0 ? g.add(body) : g.after(last, body);
    }
    on_small_stack([&] { g.run(this->ex); });
    EXPECT_EQ(n, length);
}

TYPED_TEST(Graph, ANodeGoesOnWhereResumeOnHadTakenIt) {
    thread_pool elsewhere{{.workers = 1}};
    graph g;
    std::thread::id there{};
    std::thread::id after{};
    auto moves = g.add([&]() -> task<> {
        co_await resume_on(elsewhere);
        there = std::this_thread::get_id();
    });
    g.after(moves, [&] { after = std::this_thread::get_id(); });
    g.run(this->ex);
    EXPECT_NE(there, std::thread::id{});
    EXPECT_NE(after, std::thread::id{});
    EXPECT_NE(there, after); // the next node is back on the graph's executor
}

TYPED_TEST(Graph, AConditionLoops) {
    graph g;
    int rounds = 0;
    int outcomes = 0;
    auto begin = g.add([&] { rounds = 0; });
    auto step = g.after(begin, [&] { ++rounds; });
    auto again = g.condition(step, [&] { return rounds < 10 ? 0 : 1; });
    g.precede(again, step);
    g.after(again, [&] { outcomes += rounds; });
    g.run(this->ex);
    EXPECT_EQ(rounds, 10);
    g.run(this->ex);
    EXPECT_EQ(outcomes, 20);
}

TYPED_TEST(Graph, AForkAndJoinInALoop) {
    graph g;
    int rounds = 0;
    std::atomic<int> arms{0};
    int most = 0;
    auto begin = g.add([&] { rounds = 0; });
    auto fork = g.after(begin, [&] { arms = 0; });
    std::vector<graph_node> all;
    for (int i = 0; i < 5; ++i) {
        all.push_back(g.after(fork, [&arms] { ++arms; }));
        all.push_back(g.after(fork, [&arms]() -> task<> {
            co_await yield();
            ++arms;
        }));
    }
    auto join = g.after(all, [&] {
        most = std::max(most, std::abs(arms - 10)); // each time all of them, and each once
        ++rounds;
    });
    g.precede(g.condition(join, [&] { return rounds == 20; }), fork);
    for (int run = 0; run < 3; ++run) {
        g.run(this->ex);
        EXPECT_EQ(rounds, 20);
        EXPECT_EQ(most, 0);
    }
}

TYPED_TEST(Graph, ALoopOfManyRoundsNeedsNoStack) {
    const int rounds = sanitized ? 20'000 : 500'000;
    graph g;
    int n = 0;
    auto step = g.add([&] { ++n; });
    auto again = g.condition(step, [&] { return n < rounds ? 0 : -1; });
    auto back = g.after(again, [] {});
    auto to = g.after(back, [&] { ++n; });
    auto more = g.condition(to, [&] { return n < rounds; }); // false: 0, the end; true: 1
    g.after(more, [] {});
    g.precede(more, back);
    on_small_stack([&] { g.run(this->ex); });
    EXPECT_EQ(n, rounds);
}

TYPED_TEST(Graph, AConditionChoosesOneBranch) {
    graph g;
    int choice = 0;
    std::string ran;
    auto which = g.condition({}, [&] { return choice; });
    auto left = g.after(which, [&] { ran += 'l'; });
    g.after(which, [&] { ran += 'r'; });
    g.after(left, [&] { ran += 'L'; });
    for (choice = 0; choice < 3; ++choice) g.run(this->ex);
    choice = -1;
    g.run(this->ex);
    EXPECT_EQ(ran, "lLr");
}

TYPED_TEST(Graph, ASubgraphEndsBeforeItsNodeCountsAsEnded) {
    graph g;
    std::atomic<int> leaves{0};
    int seen = 0;
    auto node = g.add([&](subgraph& parts) {
        std::vector<graph_node> all;
        for (int i = 0; i < 10; ++i)
            all.push_back(parts.add([&](subgraph& inner) {
                auto a = inner.add([&leaves] { ++leaves; });
                inner.after(a, [&leaves]() -> task<> {
                    co_await yield();
                    ++leaves;
                });
            }));
        parts.after(all, [&] { ++leaves; });
    });
    auto empty = g.after(node, [](subgraph&) {});
    g.after(empty, [&] { seen = leaves; });
    g.run(this->ex);
    EXPECT_EQ(seen, 21);
    g.run(this->ex);
    EXPECT_EQ(seen, 42);
}

TYPED_TEST(Graph, ALoopInASubgraphInALoop) {
    graph g;
    int outer = 0;
    int inner = 0;
    auto step = g.add([] {});
    auto body = g.after(step, [&](subgraph& s) {
        ++outer;
        int* const rounds = &inner;
        auto first = s.add([] {});
        auto turn = s.after(first, [rounds] { ++*rounds; });
        auto again = s.condition(turn, [rounds] { return *rounds % 5 == 0; });
        s.precede(again, turn);
    });
    auto again = g.condition(body, [&] { return outer < 4 ? 0 : 1; });
    g.precede(again, body);
    g.run(this->ex);
    EXPECT_EQ(outer, 4);
    EXPECT_EQ(inner, 20);
}

TYPED_TEST(Graph, RandomGraphsKeepTheirOrder) {
    std::mt19937 random{7};
    for (int round = 0; round < (sanitized ? 10 : 60); ++round) {
        const std::size_t nodes = 1 + random() % 400;
        std::vector<std::vector<std::size_t>> before(nodes);
        std::vector<std::uint32_t> at(nodes);
        std::atomic<std::uint32_t> clock{0};
        graph g;
        std::vector<graph_node> made;
        for (std::size_t i = 0; i < nodes; ++i) {
            std::vector<graph_node> edges;
            for (std::size_t e = random() % 4; e > 0 && i > 0; --e) {
                before[i].push_back(random() % i); // the same one twice, perhaps
                edges.push_back(made[before[i].back()]);
            }
            if (i % 11 == 3)
                made.push_back(g.after(edges, [&, i]() -> task<> {
                    co_await yield();
                    at[i] = ++clock;
                }));
            else if (i % 13 == 5)
                made.push_back(g.after(edges, [&, i](subgraph& s) { s.add([&, i] { at[i] = ++clock; }); }));
            else
                made.push_back(g.after(edges, [&, i] { at[i] = ++clock; }));
        }
        for (int run = 0; run < 3; ++run) {
            clock = 0;
            g.run(this->ex);
            EXPECT_EQ(clock, nodes);
            for (std::size_t i = 0; i < nodes; ++i)
                for (const std::size_t b : before[i]) EXPECT_LT(at[b], at[i]);
        }
    }
}

TYPED_TEST(Graph, ATaskAwaitsIt) {
    graph g;
    int n = 0;
    g.add([&n] { ++n; });
    thread_pool elsewhere{{.workers = 1}};
    const int seen = elsewhere
                         .submit([&]() -> task<int> {
                             if constexpr (!std::is_same_v<TypeParam, serial>) co_await g.run_async(this->ex);
                             co_await g.run_async(elsewhere);
                             co_return n;
                         })
                         .get();
    EXPECT_EQ(seen, (std::is_same_v<TypeParam, serial> ? 1 : 2));
}

TYPED_TEST(Graph, ATaskAwaitsItOnItsOwnExecutor) {
    graph g;
    int n = 0;
    auto first = g.add([&n] { ++n; });
    g.after(first, [&n]() -> task<> {
        co_await yield();
        ++n;
    });
    this->run([&]() -> task<> {
        for (int i = 0; i < 10; ++i) co_await g.run_async(this->ex);
    });
    EXPECT_EQ(n, 20);
}

TYPED_TEST(Graph, ChangesBetweenRunsCount) {
    graph g;
    std::string ran;
    auto a = g.add([&] { ran += 'a'; });
    g.run(this->ex);
    auto b = g.after(a, [&] { ran += 'b'; });
    g.run(this->ex);
    auto before_all = g.add([&] { ran += '0'; });
    g.precede(before_all, a);
    g.after({a, b}, [&] { ran += 'c'; });
    g.run(this->ex);
    EXPECT_EQ(ran, "aab0abc");
}

} // namespace
} // namespace plait::test
