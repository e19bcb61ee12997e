// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: for_each calls functions; for coroutines there are gather, with .limit, and map
// clang-format on
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <vector>

plait::task<> work(int);

void use(plait::thread_pool& pool, std::vector<int>& numbers) {
#ifdef REFUSED
    plait::for_each(pool, numbers, work);
#endif
}
