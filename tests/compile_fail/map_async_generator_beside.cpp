// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: map takes one async_generator, and nothing beside it
// clang-format on
#include <plait/generator.hpp>
#include <plait/thread_pool.hpp>

#include <vector>

void use(plait::thread_pool& pool, plait::async_generator<int> numbers, std::vector<int>& others) {
#ifdef REFUSED
    (void)pool.map([](int x, int y) { return x + y; }, std::move(numbers), others);
#else
    (void)pool.map([](int x) { return x; }, std::move(numbers));
    (void)pool.map([](int x) { return x; }, others);
#endif
}
