// SPDX-License-Identifier: Apache-2.0
// rows: fork-join of functions, fork-join of coroutines
// link: tbb OpenMP::OpenMP_CXX
//
// What does a fork cost? fib(30) with no cut-off, on two threads: 1.3 million forks whose work is next to
// nothing. Rounds take turns, and each one's best counts. OpenMP's threads spin after a region, so that one
// is given time to stop before the next begins. Of coroutines there is a second row: all that plait's two
// threads do beside the least that coroutines can cost one.
#include "rivals/bare_fork.hpp"

#include <plait/gather.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

namespace {

constexpr int number = 30;
constexpr long answer = 832'040;
constexpr double forks = 1'346'268;
constexpr int workers = 2;
constexpr int rounds = 7;

long of_groups(plait::thread_pool& pool, int n) {
    if (n < 2) return n;
    long a = 0;
    plait::task_group group{pool};
    group.run([&] { a = of_groups(pool, n - 1); });
    const long b = of_groups(pool, n - 2);
    group.wait();
    return a + b;
}

plait::task<long> of_coroutines(int n) {
    if (n < 2) co_return n;
    auto [a, b] = co_await plait::gather(of_coroutines(n - 1), of_coroutines(n - 2));
    co_return a + b;
}

long of_tbb(int n) {
    if (n < 2) return n;
    long a = 0;
    tbb::task_group group;
    group.run([&] { a = of_tbb(n - 1); });
    const long b = of_tbb(n - 2);
    group.wait();
    return a + b;
}

long of_openmp(int n) {
    if (n < 2) return n;
    long a = 0;
    long b = 0;
#pragma omp task shared(a) firstprivate(n)
    a = of_openmp(n - 1);
    b = of_openmp(n - 2);
#pragma omp taskwait
    return a + b;
}

struct contender {
    const char* name;
    std::function<long()> round;
    double best = std::numeric_limits<double>::max();
};

bool wanted(const char* row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || std::strcmp(only, row) == 0 || std::strcmp(only, "fork") == 0;
}

void print(const char* row, double plait, const std::vector<contender>& peers, double reach) {
    std::printf(R"({"row": "%s", "unit": "ns a fork", "plait": %.1f, "peers": {)", row, plait);
    const char* before = "";
    for (const contender& c : peers) {
        std::printf(R"(%s"%s": %.1f)", before, c.name, c.best);
        before = ", ";
    }
    std::printf("}, \"better\": \"lower\"");
    if (reach != 0) std::printf(", \"reach\": %.1f", reach);
    std::printf("}\n");
    std::fflush(stdout);
}

} // namespace

int main() {
    plait::thread_pool pool{{.workers = workers}};
    tbb::task_arena arena{workers, 1};
    arena.initialize();
    std::array<contender, 2> ours{
        {{"functions", [&] { return pool.submit([&] { return of_groups(pool, number); }).get(); }},
         {"coroutines", [&] { return pool.submit(of_coroutines, number).get(); }}}};
    std::vector<contender> peers{{"oneTBB",
                                  [&] {
                                      long result = 0;
                                      arena.execute([&] { result = of_tbb(number); });
                                      return result;
                                  }},
                                 {"OpenMP", [] {
                                      long result = 0;
#pragma omp parallel num_threads(workers)
#pragma omp single
                                      result = of_openmp(number);
                                      return result;
                                  }}};
    const auto round = [](contender& c) {
        const auto begun = std::chrono::steady_clock::now();
        if (c.round() != answer) std::abort();
        const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begun;
        c.best = std::min(c.best, time.count() / forks);
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    };
    contender bare{"coroutines on one thread", [] { return rivals::bare_fork::run(number); }};
    const std::array<const char*, 2> rows{"fork-join of functions", "fork-join of coroutines"};
    if (!std::any_of(rows.begin(), rows.end(), wanted)) return 0;
    for (int r = 0; r < rounds; ++r) {
        for (contender& c : ours) round(c);
        for (contender& c : peers) round(c);
        round(bare);
    }
    if (wanted(rows[0])) print(rows[0], ours[0].best, peers, 4);
    if (wanted(rows[1])) {
        print(rows[1], ours[1].best, peers, 3);
        print("fork-join of coroutines (bare)", ours[1].best, {bare}, 0);
    }
}
