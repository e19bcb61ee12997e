// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: transform_reduce calls functions; for coroutines there are gather, with .limit, and map
// clang-format on
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <functional>
#include <vector>

plait::task<int> work(int);

int use(plait::thread_pool& pool, std::vector<int>& numbers) {
#ifdef REFUSED
    return plait::transform_reduce(pool, numbers, 0, std::plus<>{}, work);
#else
    return plait::reduce(pool, numbers);
#endif
}
