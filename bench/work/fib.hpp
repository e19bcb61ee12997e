// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/gather.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

/// fib(n) with no cut-off: a fork for each call that is no leaf, whose work is next to nothing. Static, as in a program of
/// one file: GCC makes other code of inline ones.
namespace work {

/// The plain way: fib(n) and the forks of the others.
struct fib {
    long answer = 0;
    long forks = 0;
};
constexpr fib fib_of(int n) {
    fib before{1, 0};
    fib now{0, 0};
    for (int i = 0; i < n; ++i) {
        const fib next{now.answer + before.answer, i == 0 ? 0 : now.forks + before.forks + 1};
        before = now;
        now = next;
    }
    return now;
}

static long fib_of_groups(plait::thread_pool& pool, int n) {
    if (n < 2) return n;
    long a = 0;
    plait::task_group group{pool};
    group.run([&] { a = fib_of_groups(pool, n - 1); });
    const long b = fib_of_groups(pool, n - 2);
    group.wait();
    return a + b;
}

static plait::task<long> fib_of_coroutines(int n) {
    if (n < 2) co_return n;
    auto [a, b] = co_await plait::gather(fib_of_coroutines(n - 1), fib_of_coroutines(n - 2));
    co_return a + b;
}

static long fib_of_tbb(int n) {
    if (n < 2) return n;
    long a = 0;
    tbb::task_group group;
    group.run([&] { a = fib_of_tbb(n - 1); });
    const long b = fib_of_tbb(n - 2);
    group.wait();
    return a + b;
}
static long fib_of_tbb(tbb::task_arena& arena, int n) {
    long result = 0;
    arena.execute([&] { result = fib_of_tbb(n); });
    return result;
}

static long fib_of_openmp(int n) {
    if (n < 2) return n;
    long a = 0;
    long b = 0;
#pragma omp task shared(a) firstprivate(n)
    a = fib_of_openmp(n - 1);
    b = fib_of_openmp(n - 2);
#pragma omp taskwait
    return a + b;
}
static long fib_of_openmp(int workers, int n) {
    long result = 0;
#pragma omp parallel num_threads(workers)
#pragma omp single
    result = fib_of_openmp(n);
    return result;
}

} // namespace work
