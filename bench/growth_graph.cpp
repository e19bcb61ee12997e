// SPDX-License-Identifier: Apache-2.0
// rows: growth, growth: graph
// link: tbb
//
// How the cost of a node of a task graph grows: with the number of nodes, on two threads, and with the number of threads,
// whether there are as many cores or not. Two rows of each: run again, and all from building it to the end of the second run.
#include "growth.hpp"
#include "work/graphs.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

void graphs(int workers, std::uint32_t nodes) {
    plait::thread_pool pool{{.workers = workers}};
    const tbb::global_control limit{tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(workers)};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    const auto all = work::measure_graphs(pool, arena, work::random_shape(nodes), {});
    const std::string size = ", " + std::to_string(nodes) + " nodes, " + bench::of_workers(workers);
    for (const std::size_t phase : {2U, 3U})
        work::print_phase(std::string{"growth: "} + work::phase_names[phase] + size, all, phase);
}

} // namespace

int main() {
    if (!bench::grows("graph", "growth_graph")) return 0;
    for (const std::uint32_t nodes : {1'000U, 10'000U, 100'000U, 1'000'000U}) graphs(2, nodes);
    for (const int workers : {1, 4, 8}) graphs(workers, 100'000);
}
