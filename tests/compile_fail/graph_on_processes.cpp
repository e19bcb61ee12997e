// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: a graph's nodes refer to this process's memory: run it on serial, thread_pool, event_loop or loop_pool; to worker processes, submit from a node
// clang-format on
#include <plait/graph.hpp>
#include <plait/process_pool.hpp>
#include <plait/thread_pool.hpp>

void use(plait::graph& g, [[maybe_unused]] plait::process_pool& processes, plait::thread_pool& threads) {
    g.run(threads);
#ifdef REFUSED
    g.run(processes);
#endif
}
