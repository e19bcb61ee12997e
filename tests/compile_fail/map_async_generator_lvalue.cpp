// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: map owns its async_generator: std::move it
// clang-format on
#include <plait/generator.hpp>
#include <plait/thread_pool.hpp>

void use(plait::thread_pool& pool, plait::async_generator<int> numbers) {
#ifdef REFUSED
    (void)pool.map([](int x) { return x; }, numbers);
#else
    (void)pool.map([](int x) { return x; }, std::move(numbers));
#endif
}
