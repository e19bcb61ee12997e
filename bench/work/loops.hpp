// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

/// Loops over numbers. oneTBB's have as many threads as the arena that they are called in.
namespace work {

constexpr auto take_root = [](float& x) { x = std::sqrt(x); };

inline void roots(plait::thread_pool& pool, std::vector<float>& data) {
    plait::for_each(pool, data, take_root);
}
inline void roots_of_tbb(std::vector<float>& data) {
    tbb::parallel_for(tbb::blocked_range<std::size_t>{0, data.size()}, [&](const auto& r) {
        for (std::size_t i = r.begin(); i != r.end(); ++i) take_root(data[i]);
    });
}
inline void roots_of_openmp(int workers, std::vector<float>& data) {
    float* const p = data.data();
    const std::size_t size = data.size();
#pragma omp parallel for num_threads(workers)
    for (std::size_t i = 0; i < size; ++i) take_root(p[i]);
}

inline double sum(plait::thread_pool& pool, const std::vector<double>& data) {
    return plait::reduce(pool, data);
}
inline double sum_of_tbb(const std::vector<double>& data) {
    return tbb::parallel_reduce(
        tbb::blocked_range<std::size_t>{0, data.size()}, 0.0,
        [&](const auto& r, double s) {
            for (std::size_t i = r.begin(); i != r.end(); ++i) s += data[i];
            return s;
        },
        std::plus<>{});
}
inline double sum_of_openmp(int workers, const std::vector<double>& data) {
    double s = 0;
    const double* const p = data.data();
    const std::size_t size = data.size();
#pragma omp parallel for num_threads(workers) reduction(+ : s)
    for (std::size_t i = 0; i < size; ++i) s += p[i];
    return s;
}

/// Costs i^2 / divisor times a constant.
inline std::uint64_t skewed_item(std::size_t i, std::size_t divisor) {
    std::uint64_t x = i;
    for (std::size_t k = 0; k < i * i / divisor; ++k) x = x * 6364136223846793005U + 1442695040888963407U;
    return x;
}

/// `item(i)` for each i below `n`.
template <class Item>
void each(plait::thread_pool& pool, std::size_t n, const Item& item) {
    plait::for_each(pool, plait::index_space{n}, item);
}
template <class Item>
void each_of_tbb(std::size_t n, const Item& item) {
    tbb::parallel_for(std::size_t{0}, n, item);
}
template <class Item>
void each_of_openmp_dynamic(int workers, std::size_t n, const Item& item) {
#pragma omp parallel for num_threads(workers) schedule(dynamic)
    for (std::size_t i = 0; i < n; ++i) item(i);
}

} // namespace work
