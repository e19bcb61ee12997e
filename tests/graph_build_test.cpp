// SPDX-License-Identifier: Apache-2.0
// How graphs are built, shown, and refused.
#include <plait/graph.hpp>

#include "support/strands.hpp"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace {
std::atomic<std::size_t> allocations{0};
}

#ifndef __clang__ // whose sanitizers bring operators of their own: nothing is counted then
// Of all of this program, the library too.
void* operator new(std::size_t size) {
    ++allocations;
    if (void* const block = std::malloc(size)) return block;
    throw std::bad_alloc{};
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif

namespace plait::test {
namespace {

/// The message of the logic_error that `fn` throws.
template <class F>
std::string refusal_of(F&& fn) {
    try {
        fn();
    } catch (const std::logic_error& e) {
        return e.what();
    }
    return "nothing was thrown";
}

TEST(GraphRefuses, ACircleWithItsPath) {
    thread_pool pool{{.workers = 1}};
    graph g;
    bool ran = false;
    auto a = g.add({.name = "load"}, [&] { ran = true; });
    auto b = g.after(a, [] {});
    auto c = g.after(b, {.name = "store"}, [] {});
    g.after(c, [] {}); // behind the circle
    g.run(pool);
    EXPECT_TRUE(std::exchange(ran, false));
    g.precede(c, a);
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(
            refusal_of([&] { g.run(pool); }),
            "graph: these nodes wait for each other: load -> #1 -> store -> load; a loop needs a condition "
            "in it");
    EXPECT_FALSE(ran);

    graph self;
    auto alone = self.add([] {});
    self.precede(alone, alone);
    EXPECT_NE(refusal_of([&] { self.run(pool); }).find("#0 -> #0;"), std::string::npos);
}

TEST(GraphRefuses, ACircleInASubgraph) {
    thread_pool pool{{.workers = 1}};
    graph g;
    g.add([](subgraph& s) {
        auto a = s.add([] {});
        s.precede(s.after(a, [] {}), a);
    });
    EXPECT_NE(refusal_of([&] { g.run(pool); }).find("#0 -> #1 -> #0"), std::string::npos);
}

TEST(GraphRefuses, ALoopWithoutABeginning) {
    thread_pool pool{{.workers = 1}};
    graph g;
    auto a = g.add([] {});
    g.precede(g.condition(a, [] { return 0; }), a);
    EXPECT_NE(refusal_of([&] { g.run(pool); }).find("no node to begin with"), std::string::npos);
}

TEST(GraphRefuses, EdgesToOtherGraphs) {
    graph g;
    graph other;
    auto a = g.add([] {});
    auto b = other.add([] {});
    EXPECT_THROW(g.precede(a, b), std::invalid_argument);
    EXPECT_THROW(g.precede(a, {}), std::invalid_argument);
    EXPECT_THROW(g.after(b, [] {}), std::invalid_argument);
    EXPECT_EQ(g.size(), 1U);
}

TEST(GraphRefuses, ARunDuringARunAndChanges) {
    thread_pool pool{{.workers = 2}};
    graph g;
    std::string again;
    std::string changed;
    g.add([&] {
        again = refusal_of([&] { g.run(pool); });
        changed = refusal_of([&] { g.add([] {}); });
    });
    g.run(pool);
    EXPECT_EQ(again, "graph: it runs already; a graph runs once at a time");
    EXPECT_NE(changed.find("changed while it runs"), std::string::npos);
}

TEST(GraphRefuses, ToBlockTheLoopThatWouldRunIt) {
    event_loop loop;
    graph g;
    g.add([] {});
    EXPECT_NE(loop.submit([&] { return refusal_of([&] { g.run(loop); }); }).get().find("run_async"),
              std::string::npos);
    serial s;
    EXPECT_NE(loop.run([](graph& in, serial& on) -> task<std::string> {
                      try {
                          co_await in.run_async(on);
                      } catch (const std::logic_error& e) {
                          co_return e.what();
                      }
                      co_return "";
                  }(g, s))
                  .find("no thread"),
              std::string::npos);
}

TEST(GraphNodes, CallablesOfEverySizeAreKeptAndDestroyed) {
    std::atomic<int> live{0};
    long sum = 0;
    {
        thread_pool pool{{.workers = 1}};
        graph g;
        struct alignas(64) wide {
            long numbers[16];
        };
        const wide many{{1, 2}};
        const counted one{live};
        auto a = g.add([one, &sum] { ++sum; });
        auto b = g.after(a, [one, many, &sum] {
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&many) % alignof(wide), 0U);
            sum += many.numbers[1];
        });
        auto move_only = std::make_unique<long>(10);
        g.after(b, [p = std::move(move_only), &sum] { sum += *p; });
        EXPECT_EQ(live, 3);
        graph moved{std::move(g)};
        moved.run(pool);
    }
    EXPECT_EQ(sum, 13);
    EXPECT_EQ(live, 0);
}

TEST(GraphNodes, AreNotAllocatedForInARun) {
    constexpr std::size_t nodes = 10'000;
    thread_pool pool{{.workers = 2}};
    graph g;
    std::atomic<std::size_t> n{0};
    graph_node last = g.add([&n] { ++n; });
    for (std::size_t i = 1; i < nodes; ++i) {
        const auto node = i % 3 == 0 ? g.add([&n] { ++n; }) : g.after(last, [&n] { ++n; });
        if (i % 5 != 0) last = node;
    }
    g.run(pool);
    const std::size_t before = allocations;
    for (int run = 0; run < 10; ++run) g.run(pool);
    EXPECT_EQ(n, 11 * nodes);
    EXPECT_LT(allocations - before, nodes / 20); // the ten tasks, and what gtest does
}

TEST(GraphNodes, AreShownAsDot) {
    graph g;
    auto a = g.add({.name = "read \"x\""}, [] {});
    auto more = g.after(a, [](subgraph&) {});
    auto again = g.condition(more, {.name = "again?"}, [] { return 1; });
    g.precede(again, more);
    auto end = g.after({again, a}, [] {}).name("end");
    EXPECT_STREQ(end.name(), "end");
    EXPECT_EQ(more.name(), nullptr);
    EXPECT_EQ(g.to_dot(), R"(digraph plait {
    n0 [label="read \"x\""];
    n1 [label="#1", peripheries=2];
    n2 [label="again?", shape=diamond];
    n3 [label="end"];
    n0 -> n1;
    n1 -> n2;
    n2 -> n1 [style=dashed, label="0"];
    n2 -> n3 [style=dashed, label="1"];
    n0 -> n3;
}
)");
}

} // namespace
} // namespace plait::test
