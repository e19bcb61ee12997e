// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: invoke calls functions; for coroutines there is gather
// clang-format on
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <functional>
#include <vector>

plait::task<int> work();

void use(plait::thread_pool& pool) {
#ifdef REFUSED
    plait::invoke(pool, work, work);
#else
    plait::invoke(pool, [] {}, [] {});
#endif
}
