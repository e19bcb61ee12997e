// SPDX-License-Identifier: Apache-2.0
// rows: growth, growth: square roots, growth: sum, growth: sort, growth: skewed loop
// link: tbb OpenMP::OpenMP_CXX
//
// How the cost of an item of the parallel algorithms grows: with the number of items, on two threads, and with the number
// of threads, whether there are as many cores or not. Each round is a call to warm up and two that count; plait's pool is
// made anew for each, as in parallel.cpp. The skewed loop is always the same work, cut into more and more items:
// milliseconds of the whole loop.
#include "growth.hpp"
#include "work/loops.hpp"
#include "work/sorts.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

/// The threads of all contenders, as many of each: the caller of oneTBB's and OpenMP's loops is one of them.
struct threads {
    explicit threads(int n)
        : workers{n},
          limit{tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n)},
          arena{n, 1} {
        arena.initialize();
    }
    int workers;
    std::optional<plait::thread_pool> pool{};
    tbb::global_control limit;
    tbb::task_arena arena;
};

using action = std::function<void()>;

/// A call to warm up and the better one of two more, each of them prepared.
bench::contender contender(const char* name, double n, action run, action prepare = [] {}) {
    return {name, [=] {
                double best = 0;
                for (int i = 0; i < 3; ++i) {
                    prepare();
                    const double now = bench::nanoseconds_each(n, run);
                    if (i > 0) best = i == 1 ? now : std::min(best, now);
                }
                return best;
            }};
}

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "growth_parallel: wrong result of %s\n", what);
    std::exit(1);
}

/// plait's, on a pool of its own for each round.
bench::contender on_new_pool(threads& t, bench::contender c) {
    return {c.name, [&t, round = std::move(c.round)] {
                t.pool.emplace(plait::thread_pool_options{.workers = t.workers});
                return round();
            }};
}

/// Both peers' workers spin for a while after a loop.
constexpr bench::turns turns{.rest = std::chrono::milliseconds{20}};

std::string row(const char* what, std::size_t items, int workers) {
    return what + std::string{", "} + std::to_string(items) + " items, " + bench::of_workers(workers);
}

void square_roots(threads& t, std::size_t items) {
    std::vector<float> data;
    const auto of = [&](const char* name, action run) {
        return contender(name, static_cast<double>(items), std::move(run), [&] { data.assign(items, 2.0F); });
    };
    bench::grow(row("square roots", items, t.workers), "ns an item",
                {on_new_pool(t, of("plait", [&] { work::roots(*t.pool, data); })),
                 of("oneTBB", [&] { t.arena.execute([&] { work::roots_of_tbb(data); }); }),
                 of("OpenMP", [&] { work::roots_of_openmp(t.workers, data); })},
                turns);
    check(data.back() == std::sqrt(2.0F), "square roots");
}

void sum(threads& t, std::size_t items) {
    const std::vector<double> data(items, 1.0);
    const auto of = [&data](const char* name, const std::function<double()>& run) {
        const auto n = static_cast<double>(data.size());
        return contender(name, n, [run, n] { check(run() == n, "sum"); });
    };
    bench::grow(row("sum", items, t.workers), "ns an item",
                {on_new_pool(t, of("plait", [&] { return work::sum(*t.pool, data); })),
                 of("oneTBB", [&] { return t.arena.execute([&] { return work::sum_of_tbb(data); }); }),
                 of("OpenMP", [&] { return work::sum_of_openmp(t.workers, data); })},
                turns);
}

void sort(threads& t, std::size_t items) {
    const std::vector<int> unsorted = work::random_ints(items);
    std::vector<int> data;
    const auto of = [&](const char* name, action run) {
        return contender(name, static_cast<double>(items), std::move(run), [&] {
            check(std::is_sorted(data.begin(), data.end()), "sort");
            data = unsorted;
        });
    };
    bench::grow(
        row("sort", items, t.workers), "ns an item",
        {on_new_pool(t, of("plait", [&] { work::sort(*t.pool, data, std::less<>{}); })),
         of("oneTBB", [&] { t.arena.execute([&] { work::sort_of_tbb(data, std::less<>{}); }); }),
         of("OpenMP (__gnu_parallel)", [&] { work::sort_of_openmp(t.workers, data, std::less<>{}); })},
        turns);
}

void skewed_loop(threads& t, std::size_t items) {
    std::vector<std::uint64_t> results(items);
    // As much work as 10,000 items with a divisor of 6000 are.
    const double times = static_cast<double>(items) / 10'000;
    const auto divisor = static_cast<std::size_t>(6000 * times * times * times);
    const auto item = [&](std::size_t i) { results[i] = work::skewed_item(i, divisor); };
    bench::grow(
        row("skewed loop", items, t.workers), "ms",
        {on_new_pool(t, contender("plait", 1e6, [&] { work::each(*t.pool, items, item); })),
         contender("oneTBB", 1e6, [&] { t.arena.execute([&] { work::each_of_tbb(items, item); }); }),
         contender("OpenMP dynamic", 1e6, [&] { work::each_of_openmp_dynamic(t.workers, items, item); })},
        turns);
}

/// `sizes` on two threads, then `last` on other numbers of them.
void with_sizes(void (*measure)(threads&, std::size_t), const std::vector<std::size_t>& sizes,
                std::size_t last) {
    {
        threads two{2};
        for (const std::size_t n : sizes) measure(two, n);
    }
    for (const int workers : {1, 4, 8}) {
        threads some{workers};
        measure(some, last);
    }
}

} // namespace

int main() {
    constexpr const char* name = "growth_parallel";
    const std::vector<std::size_t> sizes{1'000, 10'000, 100'000, 1'000'000, 10'000'000};
    const std::vector<std::size_t> skewed{1'000, 10'000, 100'000, 1'000'000};
    if (bench::grows("square roots", name)) with_sizes(square_roots, sizes, 1'000'000);
    if (bench::grows("sum", name)) with_sizes(sum, sizes, 1'000'000);
    if (bench::grows("sort", name)) with_sizes(sort, sizes, 1'000'000);
    if (bench::grows("skewed loop", name)) with_sizes(skewed_loop, skewed, 10'000);
}
