// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <tbb/parallel_sort.h>

#include <cstddef>
#include <parallel/algorithm>
#include <random>
#include <vector>

namespace work {

inline std::vector<int> random_ints(std::size_t n) {
    std::mt19937 random{42};
    std::vector<int> result(n);
    for (int& x : result) x = static_cast<int>(random());
    return result;
}

template <class Less>
void sort(plait::thread_pool& pool, std::vector<int>& data, Less less) {
    plait::sort(pool, data, less);
}
template <class Less>
void sort_of_tbb(std::vector<int>& data, Less less) {
    tbb::parallel_sort(data.begin(), data.end(), less);
}
/// OpenMP has none of its own: libstdc++'s parallel mode is made of it.
template <class Less>
void sort_of_openmp(int workers, std::vector<int>& data, Less less) {
    __gnu_parallel::sort(data.begin(), data.end(), less,
                         __gnu_parallel::default_parallel_tag(static_cast<unsigned short>(workers)));
}

} // namespace work
