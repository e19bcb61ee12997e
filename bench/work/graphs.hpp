// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "turns.hpp"

#include <plait/graph.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/flow_graph.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

/// A graph of tasks that count themselves: built, run, and run again.
namespace work {

/// Whom each node waits for: `first[i]` to `first[i + 1]` of `before`.
struct shape {
    std::vector<std::uint32_t> first{0};
    std::vector<std::uint32_t> before;

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(first.size() - 1); }
};

/// Each node behind two earlier ones on average out of the thousand before it.
inline shape random_shape(std::uint32_t nodes) {
    constexpr std::uint32_t window = 1000;
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

struct alignas(64) counter {
    std::atomic<std::uint32_t> n{0};
};
// Of each node one of these: what is measured is not how threads share a line.
inline std::array<counter, 64> counters;

inline void check_counts(std::uint32_t expected) {
    std::uint32_t sum = 0;
    for (counter& c : counters) sum += c.n.exchange(0);
    if (sum == expected) return;
    std::fprintf(stderr, "graph: %u nodes ran, not %u\n", sum, expected);
    std::exit(1);
}

inline auto body(std::uint32_t i) {
    return [&count = counters[i % counters.size()].n] { count.fetch_add(1, std::memory_order_relaxed); };
}

/// Built, run, run again, all of it.
constexpr std::array phase_names{"graph built", "graph run", "graph run again", "graph built and run twice"};
using phases = std::array<double, 4>; ///< Nanoseconds a node.

template <class Build, class Run>
phases measure_phases(std::uint32_t nodes, Build&& build, Run&& run) {
    using clock_type = std::chrono::steady_clock;
    std::array<clock_type::time_point, 4> at{};
    at[0] = clock_type::now();
    build();
    at[1] = clock_type::now();
    run();
    at[2] = clock_type::now();
    run();
    at[3] = clock_type::now();
    check_counts(2 * nodes);
    const auto between = [&](std::size_t from, std::size_t to) {
        return std::chrono::duration<double, std::nano>(at[to] - at[from]).count() / nodes;
    };
    return {between(0, 1), between(1, 2), between(2, 3), between(0, 3)};
}

inline phases plait_round(plait::thread_pool& pool, const shape& s) {
    const std::uint32_t nodes = s.nodes();
    plait::graph g;
    return measure_phases(
        nodes,
        [&] {
            std::vector<plait::graph_node> all;
            all.reserve(nodes);
            for (std::uint32_t i = 0; i < nodes; ++i) {
                all.push_back(g.add(body(i)));
                for (std::uint32_t e = s.first[i]; e < s.first[i + 1]; ++e)
                    g.precede(all[s.before[e]], all[i]);
            }
        },
        [&] { g.run(pool); });
}

template <class Policy>
phases tbb_round(tbb::task_arena& arena, const shape& s) {
    const std::uint32_t nodes = s.nodes();
    using message = tbb::flow::continue_msg;
    using node = tbb::flow::continue_node<message, Policy>;
    phases result{};
    arena.execute([&] {
        tbb::flow::graph g;
        std::deque<node> all;
        std::vector<node*> starts;
        result = measure_phases(
            nodes,
            [&] {
                for (std::uint32_t i = 0; i < nodes; ++i) {
                    all.emplace_back(g, [b = body(i)](const message&) { b(); });
                    if (s.first[i] == s.first[i + 1]) starts.push_back(&all.back());
                    for (std::uint32_t e = s.first[i]; e < s.first[i + 1]; ++e)
                        tbb::flow::make_edge(all[s.before[e]], all[i]);
                }
            },
            [&] {
                for (node* n : starts) n->try_put(message{});
                g.wait_for_all();
            });
    });
    return result;
}

/// Keeps its best round, phase by phase.
struct graph_contender {
    std::string name;
    std::function<phases()> round;
    phases best{};

    double take_turn() {
        const phases now = round();
        for (std::size_t p = 0; p < now.size(); ++p)
            if (best[p] == 0 || now[p] < best[p]) best[p] = now[p];
        return now.back();
    }
};

/// Rounds of all in turns; the first is plait's. oneTBB's "lightweight" nodes run in the thread that releases them.
inline std::vector<graph_contender> measure_graphs(plait::thread_pool& pool, tbb::task_arena& arena,
                                                   const shape& s, const bench::turns& turns) {
    std::vector<graph_contender> all{
        {"plait", [&] { return plait_round(pool, s); }},
        {"oneTBB", [&] { return tbb_round<tbb::flow::queueing>(arena, s); }},
        {"oneTBB, lightweight", [&] { return tbb_round<tbb::flow::queueing_lightweight>(arena, s); }}};
    std::vector<bench::contender> in_turn;
    in_turn.reserve(all.size());
    for (graph_contender& c : all) in_turn.push_back({c.name, [&c] { return c.take_turn(); }});
    bench::take(turns, in_turn);
    for (graph_contender& c : all) c.round = nullptr; // it refers to what was given
    return all;
}

/// The row of one phase.
inline void print_phase(const std::string& row, const std::vector<graph_contender>& all, std::size_t phase,
                        double reach = 0) {
    std::vector<bench::peer> peers;
    for (std::size_t i = 1; i < all.size(); ++i) peers.emplace_back(all[i].name, all[i].best[phase]);
    bench::print(row, "ns", all[0].best[phase], peers, {.reach = reach});
}

} // namespace work
