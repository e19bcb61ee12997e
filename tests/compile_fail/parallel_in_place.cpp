// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this for_each would change items in place, but the workers of this executor may have memory of their own; take the item by value or const&, and use ex.map or transform_reduce for what comes of it, or use a thread_pool
// clang-format on
#include <plait/any_executor.hpp>
#include <plait/parallel.hpp>

#include <vector>

void use(plait::any_executor& ex, std::vector<int>& numbers) {
#ifdef REFUSED
    plait::for_each(ex, numbers, [](int& x) { x = 1; });
#endif
}
