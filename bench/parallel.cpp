// SPDX-License-Identifier: Apache-2.0
// rows: square roots, sum, sort of ints, sort by comparison, skewed loop
// link: tbb OpenMP::OpenMP_CXX
//
// The parallel algorithms on two workers against oneTBB and OpenMP. Contenders take turns, 20 ms apart, since the
// workers of both peers spin for a while after a region; each has a round to warm up and two that count, and its
// best one is shown. For `skewed loop` the peer to reach is the ideal split: half of the serial time; what the others
// take is a row beside it.
#include "rows.hpp"
#include "work/loops.hpp"
#include "work/sorts.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
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

/// all[0] is plait's.
void print(const std::string& row, const std::vector<contender>& all, double reach) {
    std::vector<bench::peer> peers;
    for (std::size_t i = 1; i < all.size(); ++i) peers.emplace_back(all[i].name, all[i].best);
    bench::print(row, "ms", all[0].best, peers, {.reach = reach, .digits = 3});
}

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "parallel: wrong result of %s\n", what);
    std::exit(1);
}

void square_roots() {
    std::vector<float> data(size, 2.0F);
    std::vector<contender> all{{"plait", [&] { work::roots(*pool, data); }},
                               {"oneTBB", [&] { work::roots_of_tbb(data); }},
                               {"OpenMP", [&] { work::roots_of_openmp(workers, data); }}};
    for (contender& c : all) c.prepare = [&data] { std::fill(data.begin(), data.end(), 2.0F); };
    measure(all, 15);
    check(data.back() == std::sqrt(2.0F), "square roots");
    print("square roots", all, 0.95);
}

void sum() {
    std::vector<double> data(size);
    std::iota(data.begin(), data.end(), 0.0);
    double result = 0;
    std::vector<contender> all{{"plait", [&] { result = work::sum(*pool, data); }},
                               {"oneTBB", [&] { result = work::sum_of_tbb(data); }},
                               {"OpenMP", [&] { result = work::sum_of_openmp(workers, data); }}};
    const double expected = double{size} * (size - 1) / 2;
    measure(all, 15);
    check(std::abs(result - expected) < 1e-9 * expected, "sum");
    print("sum", all, 1.3);
}

template <class Less>
void sort(const char* row, double reach, Less less) {
    const std::vector<int> unsorted = work::random_ints(size);
    std::vector<int> data;
    std::vector<contender> all{
        {"plait", [&] { work::sort(*pool, data, less); }},
        {"oneTBB", [&] { work::sort_of_tbb(data, less); }},
        {"std::sort", [&] { std::sort(data.begin(), data.end(), less); }},
        {"OpenMP (__gnu_parallel)", [&] { work::sort_of_openmp(workers, data, less); }}};
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
    const auto item = [&](std::size_t i) { results[i] = work::skewed_item(i, 6000); };
    std::vector<contender> all{
        {"plait", [&] { work::each(*pool, skewed, item); }},
        {"serial",
         [&] {
             for (std::size_t i = 0; i < skewed; ++i) item(i);
         }},
        {"oneTBB", [&] { work::each_of_tbb(skewed, item); }},
        {"OpenMP dynamic", [&] { work::each_of_openmp_dynamic(workers, skewed, item); }},
        {"OpenMP static", [&] {
#pragma omp parallel for num_threads(workers) schedule(static)
             for (std::size_t i = 0; i < skewed; ++i) item(i);
         }}};
    measure(all, 15);
    bench::print("skewed loop", "ms", all[0].best, {{"ideal split", all[1].best / workers}},
                 {.reach = 0.95, .digits = 3});
    all.erase(all.begin() + 1);
    print("skewed loop (peers)", all, 0);
}

} // namespace

int main() {
    const auto wanted = [](const char* row) { return bench::wanted(row, "parallel"); };
    const tbb::global_control limit{tbb::global_control::max_allowed_parallelism, workers};
    if (wanted("square roots")) square_roots();
    if (wanted("sum")) sum();
    if (wanted("sort of ints")) sort("sort of ints", 2.5, std::less<>{});
    if (wanted("sort by comparison")) sort("sort by comparison", 1.7, [](int a, int b) { return a < b; });
    if (wanted("skewed loop")) skewed_loop();
}
