// SPDX-License-Identifier: Apache-2.0
// rows: growth, growth: fork-join
// link: tbb OpenMP::OpenMP_CXX
//
// How the cost of a fork grows: fib(n) with no cut-off, for a thousand forks to ten million on two threads, and for 1.3
// million with the number of threads, whether there are as many cores or not.
#include "growth.hpp"
#include "work/fib.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

void fork_join(int workers, int number) {
    const work::fib expected = work::fib_of(number);
    plait::thread_pool pool{{.workers = workers}};
    const tbb::global_control limit{tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(workers)};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    const auto contender = [expected](const char* name, auto run) {
        return bench::contender{name, [expected, run] {
                                    return bench::nanoseconds_each(static_cast<double>(expected.forks), [&] {
                                        if (run() != expected.answer) std::abort();
                                    });
                                }};
    };
    std::vector<bench::contender> all{
        contender("functions",
                  [&] { return pool.submit([&] { return work::fib_of_groups(pool, number); }).get(); }),
        contender("coroutines", [&] { return pool.submit(work::fib_of_coroutines, number).get(); }),
        contender("oneTBB", [&] { return work::fib_of_tbb(arena, number); }),
        contender("OpenMP", [&] { return work::fib_of_openmp(workers, number); })};
    // OpenMP's threads spin after a region.
    bench::take({.rest = std::chrono::milliseconds{20}}, all);
    const std::string size = std::to_string(expected.forks) + " forks, " + bench::of_workers(workers);
    bench::print_growth("fork-join of functions, " + size, "ns a fork", {all[0], all[2], all[3]});
    bench::print_growth("fork-join of coroutines, " + size, "ns a fork", {all[1], all[2], all[3]});
}

} // namespace

int main() {
    if (!bench::grows("fork-join", "growth_fork")) return 0;
    for (const int number : {15, 20, 25, 30, 34}) fork_join(2, number);
    for (const int workers : {1, 4, 8}) fork_join(workers, 30);
}
