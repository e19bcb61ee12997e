// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 1 is or contains a lambda that captures, which may refer to this process; pass the values as arguments of submit, or write a function object that can be serialised
// clang-format on
#include <plait/process_pool.hpp>

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit([](auto f) { return f(); }, [number = 1] { return number; });
#endif
}
