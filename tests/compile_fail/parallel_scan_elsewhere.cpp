// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: inclusive_scan writes to a range of this process, which the workers of this executor may not see; use an executor of this process: thread_pool, loop_pool, event_loop or serial
// clang-format on
#include <plait/parallel.hpp>
#include <plait/process_pool.hpp>

#include <functional>
#include <vector>

void use(plait::process_pool& pool, std::vector<int>& numbers) {
#ifdef REFUSED
    plait::inclusive_scan(pool, numbers, numbers);
#endif
}
