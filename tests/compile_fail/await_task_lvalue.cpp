// SPDX-License-Identifier: Apache-2.0
// error: plait: a task runs once, so co_await takes it over: co_await std::move(t)
#include <plait/task.hpp>

#include <type_traits>

static_assert(!std::is_copy_constructible_v<plait::task<int>> &&
              !std::is_copy_assignable_v<plait::task<int>>);

plait::task<int> one() { co_return 1; }

plait::task<int> two() {
    auto t = one();
#ifdef REFUSED
    co_return co_await t + co_await one();
#else
    co_return co_await std::move(t) + co_await one();
#endif
}
