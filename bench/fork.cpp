// SPDX-License-Identifier: Apache-2.0
// rows: fork-join of functions, fork-join of coroutines
// link: tbb OpenMP::OpenMP_CXX
//
// What does a fork cost? fib(30) with no cut-off, on two threads: 1.3 million forks whose work is next to
// nothing. Rounds take turns, and each one's best counts. OpenMP's threads spin after a region, so that one
// is given time to stop before the next begins. Of coroutines there is a second row: all that plait's two
// threads do beside the least that coroutines can cost one.
#include "rivals/bare_fork.hpp"
#include "turns.hpp"
#include "work/fib.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int number = 30;
constexpr work::fib expected = work::fib_of(number);
constexpr int workers = 2;
constexpr int rounds = 7;

/// Nanoseconds a fork.
template <class Run>
bench::contender contender(const char* name, Run run) {
    return {name, [run] {
                return bench::nanoseconds_each(static_cast<double>(expected.forks), [&run] {
                    if (run() != expected.answer) std::abort();
                });
            }};
}

} // namespace

int main() {
    const auto wanted = [](const char* row) { return bench::wanted(row, "fork"); };
    const std::array<const char*, 2> rows{"fork-join of functions", "fork-join of coroutines"};
    if (!std::any_of(rows.begin(), rows.end(), wanted)) return 0;
    plait::thread_pool pool{{.workers = workers}};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    std::vector<bench::contender> all{
        contender("functions",
                  [&] { return pool.submit([&] { return work::fib_of_groups(pool, number); }).get(); }),
        contender("coroutines", [&] { return pool.submit(work::fib_of_coroutines, number).get(); }),
        contender("oneTBB", [&] { return work::fib_of_tbb(arena, number); }),
        contender("OpenMP", [] { return work::fib_of_openmp(workers, number); }),
        contender("coroutines on one thread", [] { return rivals::bare_fork::run(number); })};
    bench::take({.least = rounds, .most = rounds, .rest = std::chrono::milliseconds{20}}, all);
    const auto best = [&all](std::size_t i) { return bench::best(all[i]); };
    const auto peer = [&all](std::size_t i) { return bench::peer{all[i].name, bench::best(all[i])}; };
    std::fprintf(stderr,
                 "libfork, which Debian does not have, was measured at 41 to 58 ns a fork where oneTBB "
                 "took 133 to 163\n");
    const char* const unit = "ns a fork";
    if (wanted(rows[0])) bench::print(rows[0], unit, best(0), {peer(2), peer(3)}, {.reach = 4});
    if (wanted(rows[1])) {
        bench::print(rows[1], unit, best(1), {peer(2), peer(3)}, {.reach = 3});
        bench::print("fork-join of coroutines (bare)", unit, best(1), {peer(4)});
    }
}
