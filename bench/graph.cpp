// SPDX-License-Identifier: Apache-2.0
// rows: graph built, graph run, graph run again, graph built and run twice
// link: tbb
//
// What does a node of a task graph cost? A million nodes, each behind two earlier ones on average out of the
// thousand before it; a node counts itself. Rounds take turns, and each one's best round counts, phase by
// phase. Nanoseconds a node. oneTBB's "lightweight" nodes run in the thread that releases them.
#include <plait/graph.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/flow_graph.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr unsigned workers = 2;
constexpr std::uint32_t nodes = 1'000'000;
constexpr std::uint32_t window = 1000;
constexpr int rounds = 5;

/// Whom each node waits for: `first[i]` to `first[i + 1]` of `before`.
struct shape {
    std::vector<std::uint32_t> first{0};
    std::vector<std::uint32_t> before;
};

shape random_shape() {
    std::mt19937 random{20'240'117};
    shape s;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        const std::uint32_t reach = std::min(i, window);
        const auto wanted = static_cast<std::uint32_t>(reach == 0 ? 0 : random() % 5); // two on average
        for (std::uint32_t e = 0; e < wanted; ++e)
            s.before.push_back(i - 1 - static_cast<std::uint32_t>(random() % reach));
        s.first.push_back(static_cast<std::uint32_t>(s.before.size()));
    }
    return s;
}

const shape the_shape = random_shape();

struct alignas(64) counter {
    std::atomic<std::uint32_t> n{0};
};
// Of each node one of these: what is measured is not how threads share a line.
std::array<counter, 64> counters;

void check(std::uint32_t runs) {
    std::uint32_t sum = 0;
    for (counter& c : counters) sum += c.n.exchange(0);
    if (sum == runs * nodes) return;
    std::fprintf(stderr, "graph: %u nodes ran, not %u\n", sum, runs * nodes);
    std::exit(1);
}

auto body(std::uint32_t i) {
    return [&count = counters[i % counters.size()].n] { count.fetch_add(1, std::memory_order_relaxed); };
}

using clock_type = std::chrono::steady_clock;
using phases = std::array<double, 4>; // nanoseconds a node: built, run, run again, all of it

template <class Build, class Run>
phases measure(Build&& build, Run&& run) {
    std::array<clock_type::time_point, 4> at{};
    at[0] = clock_type::now();
    build();
    at[1] = clock_type::now();
    run();
    at[2] = clock_type::now();
    run();
    at[3] = clock_type::now();
    check(2);
    const auto between = [&](std::size_t from, std::size_t to) {
        return std::chrono::duration<double, std::nano>(at[to] - at[from]).count() / nodes;
    };
    return {between(0, 1), between(1, 2), between(2, 3), between(0, 3)};
}

phases plait_round(plait::thread_pool& pool) {
    plait::graph g;
    return measure(
        [&] {
            std::vector<plait::graph_node> all;
            all.reserve(nodes);
            for (std::uint32_t i = 0; i < nodes; ++i) {
                all.push_back(g.add(body(i)));
                for (std::uint32_t e = the_shape.first[i]; e < the_shape.first[i + 1]; ++e)
                    g.precede(all[the_shape.before[e]], all[i]);
            }
        },
        [&] { g.run(pool); });
}

template <class Policy>
phases tbb_round(tbb::task_arena& arena) {
    using message = tbb::flow::continue_msg;
    using node = tbb::flow::continue_node<message, Policy>;
    phases result{};
    arena.execute([&] {
        tbb::flow::graph g;
        std::deque<node> all;
        std::vector<node*> starts;
        result = measure(
            [&] {
                for (std::uint32_t i = 0; i < nodes; ++i) {
                    all.emplace_back(g, [b = body(i)](const message&) { b(); });
                    if (the_shape.first[i] == the_shape.first[i + 1]) starts.push_back(&all.back());
                    for (std::uint32_t e = the_shape.first[i]; e < the_shape.first[i + 1]; ++e)
                        tbb::flow::make_edge(all[the_shape.before[e]], all[i]);
                }
            },
            [&] {
                for (node* n : starts) n->try_put(message{});
                g.wait_for_all();
            });
    });
    return result;
}

struct contender {
    const char* name;
    std::function<phases()> round;
    phases best;
};

bool wanted(const char* row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || std::strcmp(only, row) == 0 || std::strcmp(only, "graph") == 0;
}

} // namespace

int main() {
    plait::thread_pool pool{{.workers = workers}};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    constexpr double never = std::numeric_limits<double>::max();
    std::vector<contender> all{
        {"plait", [&] { return plait_round(pool); }, {never, never, never, never}},
        {"oneTBB", [&] { return tbb_round<tbb::flow::queueing>(arena); }, {never, never, never, never}},
        {"oneTBB, lightweight",
         [&] { return tbb_round<tbb::flow::queueing_lightweight>(arena); },
         {never, never, never, never}}};
    for (int r = 0; r < rounds; ++r)
        for (contender& c : all) {
            const phases now = c.round();
            for (std::size_t p = 0; p < now.size(); ++p) c.best[p] = std::min(c.best[p], now[p]);
        }
    constexpr std::array rows{"graph built", "graph run", "graph run again", "graph built and run twice"};
    for (std::size_t p = 0; p < rows.size(); ++p) {
        if (!wanted(rows[p])) continue;
        std::printf("{\"row\": \"%s\", \"unit\": \"ns\", \"plait\": %.1f, \"peers\": {", rows[p],
                    all[0].best[p]);
        for (std::size_t i = 1; i < all.size(); ++i)
            std::printf("%s\"%s\": %.1f", i > 1 ? ", " : "", all[i].name, all[i].best[p]);
        std::printf("}, \"better\": \"lower\", \"reach\": 2}\n");
    }
}
