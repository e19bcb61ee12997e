// SPDX-License-Identifier: Apache-2.0
// In how many ways do N queens stand on a board of N x N, none in another's way? Every place in a row is a
// fork, down to a few rows from the end: as many forks as there are partial solutions, on all cores.
//
//     nqueens [N]
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace {

/// Which columns and diagonals are taken, as bits, seen from the next row.
struct board {
    unsigned columns = 0, left = 0, right = 0;

    unsigned free(int n) const { return ~(columns | left | right) & ((1U << n) - 1); }
    board with(unsigned queen) const { return {columns | queen, (left | queen) << 1, (right | queen) >> 1}; }
};

long count(const board& b, int n, int rows) {
    if (rows == 0) return 1;
    long sum = 0;
    for (unsigned free = b.free(n); free != 0; free &= free - 1)
        sum += count(b.with(free & -free), n, rows - 1);
    return sum;
}

long count(plait::thread_pool& pool, const board& b, int n, int rows) {
    constexpr int small = 5; // rows whose counting costs less than a few forks
    if (rows <= small) return count(b, n, rows);
    std::vector<long> counts(static_cast<std::size_t>(n));
    plait::task_group group{pool};
    auto result = counts.begin();
    for (unsigned free = b.free(n); free != 0; free &= free - 1)
        group.run([&pool, next = b.with(free & -free), n, rows, &here = *result++] {
            here = count(pool, next, n, rows - 1);
        });
    group.wait();
    return std::accumulate(counts.begin(), counts.end(), 0L);
}

} // namespace

int main(int argc, char** argv) {
    const int n = argc > 1 ? std::atoi(argv[1]) : 10;
    if (n < 1 || n > 20) {
        std::fprintf(stderr, "nqueens: N is %s; from 1 to 20\n", argc > 1 ? argv[1] : "");
        return 2;
    }
    plait::thread_pool pool;
    const long solutions = pool.submit([&] { return count(pool, {}, n, n); }).get();
    std::printf("%d queens: %ld solutions\n", n, solutions);
}
