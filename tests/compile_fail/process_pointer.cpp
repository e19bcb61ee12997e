// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 2 is a raw pointer: it would dangle in another process; send the value or a shared_array<T>
// clang-format on
#include <plait/process_pool.hpp>

int take(int, const int*);

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(take, 1, static_cast<const int*>(nullptr));
#endif
}
