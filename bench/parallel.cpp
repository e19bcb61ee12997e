// SPDX-License-Identifier: Apache-2.0
// rows: square roots, sum, sort of ints, sort by comparison, skewed loop
// link: tbb OpenMP::OpenMP_CXX
//
// The parallel algorithms on two workers against oneTBB and OpenMP. Contenders take turns, 20 ms apart, since the
// workers of both peers spin for a while after a region; each has a round to warm up and two that count, and its
// best one is shown. For `skewed loop` the peer to reach is the ideal split: half of the serial time. What the
// same costs on other sizes and numbers of workers goes to stderr.
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>
#include <tbb/parallel_sort.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int workers = 2;
constexpr std::size_t size = 10'000'000;
constexpr std::size_t skewed = 10'000;

struct contender {
    std::string name;
    std::function<void()> round;
    std::function<void()> prepare = [] {};
    double best = std::numeric_limits<double>::max();
};

double milliseconds_of(const std::function<void()>& run) {
    const auto begun = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
}

/// Made anew for each round: on a busy machine two threads may stick to the same processor.
std::optional<plait::thread_pool> pool;

void measure(std::vector<contender>& all, int rounds) {
    for (int r = 0; r < rounds; ++r) {
        pool.emplace(plait::thread_pool_options{.workers = workers});
        for (contender& c : all) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
            c.prepare();
            c.round();
            for (int i = 0; i < 2; ++i) {
                c.prepare();
                c.best = std::min(c.best, milliseconds_of(c.round));
            }
        }
    }
}

/// all[0] is plait's. With an ideal, that is the peer, and the others go to stderr.
void print(const char* row, const std::vector<contender>& all, double reach, double ideal = 0) {
    std::printf("{\"row\": \"%s\", \"unit\": \"ms\", \"plait\": %.3f, \"peers\": {", row, all[0].best);
    if (ideal > 0) {
        std::printf("\"ideal split\": %.3f", ideal);
        for (const contender& c : all) std::fprintf(stderr, "%s, %s: %.3f ms\n", row, c.name.c_str(), c.best);
    } else {
        for (std::size_t i = 1; i < all.size(); ++i)
            std::printf("%s\"%s\": %.3f", i > 1 ? ", " : "", all[i].name.c_str(), all[i].best);
    }
    std::printf("}, \"better\": \"lower\", \"reach\": %.2f}\n", reach);
    std::fflush(stdout);
}

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "parallel: wrong result of %s\n", what);
    std::exit(1);
}

bool wanted(const char* row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || std::strcmp(only, row) == 0 || std::strcmp(only, "parallel") == 0;
}

std::vector<int> random_ints(std::size_t n) {
    std::mt19937 random{42};
    std::vector<int> result(n);
    for (int& x : result) x = static_cast<int>(random());
    return result;
}

/// Costs i^2 times a constant.
std::uint64_t skewed_item(std::size_t i) {
    std::uint64_t x = i;
    for (std::size_t k = 0; k < i * i / 6000; ++k) x = x * 6364136223846793005U + 1442695040888963407U;
    return x;
}

void square_roots() {
    std::vector<float> data(size, 2.0F);
    const auto root = [](float& x) { x = std::sqrt(x); };
    std::vector<contender> all{{"plait", [&] { plait::for_each(*pool, data, root); }},
                               {"oneTBB",
                                [&] {
                                    tbb::parallel_for(tbb::blocked_range<std::size_t>{0, size},
                                                      [&](const auto& r) {
                                                          for (std::size_t i = r.begin(); i != r.end(); ++i)
                                                              root(data[i]);
                                                      });
                                }},
                               {"OpenMP", [&] {
                                    float* const p = data.data();
#pragma omp parallel for num_threads(workers)
                                    for (std::size_t i = 0; i < size; ++i) root(p[i]);
                                }}};
    for (contender& c : all) c.prepare = [&data] { std::fill(data.begin(), data.end(), 2.0F); };
    measure(all, 15);
    check(data.back() == std::sqrt(2.0F), "square roots");
    print("square roots", all, 0.95);
}

void sum() {
    std::vector<double> data(size);
    std::iota(data.begin(), data.end(), 0.0);
    double result = 0;
    std::vector<contender> all{{"plait", [&] { result = plait::reduce(*pool, data); }},
                               {"oneTBB",
                                [&] {
                                    result = tbb::parallel_reduce(
                                        tbb::blocked_range<std::size_t>{0, size}, 0.0,
                                        [&](const auto& r, double s) {
                                            for (std::size_t i = r.begin(); i != r.end(); ++i) s += data[i];
                                            return s;
                                        },
                                        std::plus<>{});
                                }},
                               {"OpenMP", [&] {
                                    double s = 0;
                                    const double* const p = data.data();
#pragma omp parallel for num_threads(workers) reduction(+ : s)
                                    for (std::size_t i = 0; i < size; ++i) s += p[i];
                                    result = s;
                                }}};
    const double expected = double{size} * (size - 1) / 2;
    measure(all, 15);
    check(std::abs(result - expected) < 1e-9 * expected, "sum");
    print("sum", all, 1.3);
}

template <class Less>
void sort(const char* row, double reach, Less less) {
    const std::vector<int> unsorted = random_ints(size);
    std::vector<int> data;
    std::vector<contender> all{{"plait", [&] { plait::sort(*pool, data, less); }},
                               {"oneTBB", [&] { tbb::parallel_sort(data.begin(), data.end(), less); }},
                               {"std::sort", [&] { std::sort(data.begin(), data.end(), less); }}};
    for (contender& c : all)
        c.prepare = [&] {
            check(data.empty() || std::is_sorted(data.begin(), data.end()), row);
            data = unsorted;
        };
    measure(all, 4);
    print(row, all, reach);
}

void skewed_loop() {
    std::vector<std::uint64_t> results(skewed);
    const auto item = [&](std::size_t i) { results[i] = skewed_item(i); };
    std::vector<contender> all{{"plait", [&] { plait::for_each(*pool, plait::index_space{skewed}, item); }},
                               {"serial",
                                [&] {
                                    for (std::size_t i = 0; i < skewed; ++i) item(i);
                                }},
                               {"oneTBB", [&] { tbb::parallel_for(std::size_t{0}, skewed, item); }},
                               {"OpenMP dynamic",
                                [&] {
#pragma omp parallel for num_threads(workers) schedule(dynamic)
                                    for (std::size_t i = 0; i < skewed; ++i) item(i);
                                }},
                               {"OpenMP static", [&] {
#pragma omp parallel for num_threads(workers) schedule(static)
                                    for (std::size_t i = 0; i < skewed; ++i) item(i);
                                }}};
    measure(all, 15);
    print("skewed loop", all, 0.95, all[1].best / workers);
}

// Nanoseconds an item, the best of a few rounds.
void table() {
    std::fprintf(stderr, "ns an item:      items  workers  sqrt    sum     sort\n");
    for (const int n_workers : {1, 2, 4, 8}) {
        plait::thread_pool of_size{{.workers = n_workers}};
        for (std::size_t n = 1000; n <= size; n *= 10) {
            std::vector<float> floats(n, 2.0F);
            std::vector<double> doubles(n, 1.0);
            const std::vector<int> unsorted = random_ints(n);
            std::vector<int> ints;
            std::vector<contender> all{
                {"sqrt", [&] { plait::for_each(of_size, floats, [](float& x) { x = std::sqrt(x); }); }},
                {"sum", [&] { plait::reduce(of_size, doubles); }},
                {"sort", [&] { plait::sort(of_size, ints); }, [&] { ints = unsorted; }}};
            for (int round = 0; round < 4; ++round)
                for (contender& c : all) {
                    c.prepare();
                    c.best = std::min(c.best, milliseconds_of(c.round) * 1e6 / static_cast<double>(n));
                }
            std::fprintf(stderr, "            %10zu %8d %7.2f %7.2f %7.2f\n", n, n_workers, all[0].best,
                         all[1].best, all[2].best);
        }
    }
}

} // namespace

int main() {
    const tbb::global_control limit{tbb::global_control::max_allowed_parallelism, workers};
    if (wanted("square roots")) square_roots();
    if (wanted("sum")) sum();
    if (wanted("sort of ints")) sort("sort of ints", 2.5, std::less<>{});
    if (wanted("sort by comparison")) sort("sort by comparison", 1.7, [](int a, int b) { return a < b; });
    if (wanted("skewed loop")) skewed_loop();
    const char* const only = std::getenv("PLAIT_BENCH_ROW");
    if (!only || !*only) table();
}
