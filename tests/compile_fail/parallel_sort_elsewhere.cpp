// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: sort works on a range of this process, which the workers of this executor may not see; use an executor of this process: thread_pool, loop_pool, event_loop or serial
// clang-format on
#include <plait/any_executor.hpp>
#include <plait/parallel.hpp>

#include <vector>

void use(plait::any_executor& ex, std::vector<int>& numbers) {
#ifdef REFUSED
    plait::sort(ex, numbers);
#endif
}
