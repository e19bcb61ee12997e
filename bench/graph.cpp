// SPDX-License-Identifier: Apache-2.0
// rows: graph built, graph run, graph run again, graph built and run twice
// link: tbb
//
// What does a node of a task graph cost? A million nodes, each behind two earlier ones on average out of the
// thousand before it; a node counts itself. Rounds take turns, and each one's best round counts, phase by
// phase. Nanoseconds a node. oneTBB's "lightweight" nodes run in the thread that releases them.
#include "turns.hpp"
#include "work/graphs.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/task_arena.h>

#include <cstddef>

namespace {

constexpr int workers = 2;
constexpr int rounds = 5;

} // namespace

int main() {
    plait::thread_pool pool{{.workers = workers}};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    const work::shape shape = work::random_shape(1'000'000);
    const auto all = work::measure_graphs(pool, arena, shape, {.least = rounds, .most = rounds});
    for (std::size_t p = 0; p < work::phase_names.size(); ++p)
        if (bench::wanted(work::phase_names[p], "graph")) work::print_phase(work::phase_names[p], all, p, 2);
}
