// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this lambda captures; pass the values as arguments of submit, or write a function object that can be serialised
// clang-format on
#include <plait/parallel.hpp>
#include <plait/process_pool.hpp>

#include <functional>
#include <vector>

int use(plait::process_pool& pool, std::vector<int>& numbers, int factor) {
#ifdef REFUSED
    return plait::transform_reduce(pool, numbers, 0, std::plus<>{}, [factor](int x) { return factor * x; });
#else
    return factor * plait::reduce(pool, numbers);
#endif
}
