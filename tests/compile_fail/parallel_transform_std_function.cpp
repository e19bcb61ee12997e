// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this function object cannot be sent to another process (std::function and std::bind never can); submit a function, a lambda without captures, or a class with a serialize() member
// clang-format on
#include <plait/any_executor.hpp>
#include <plait/parallel.hpp>

#include <functional>
#include <vector>

int use(plait::any_executor& ex, std::vector<int>& numbers, const std::function<int(int)>& transform) {
#ifdef REFUSED
    return plait::transform_reduce(ex, numbers, 0, std::plus<>{}, transform);
#else
    return transform(plait::reduce(ex, numbers));
#endif
}
