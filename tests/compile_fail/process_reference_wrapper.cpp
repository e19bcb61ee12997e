// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 1 is a reference or reference_wrapper: its target stays in this process; send the value, and return the changed one
// clang-format on
#include <plait/process_pool.hpp>

int take(int&);
int number = 0;

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(take, std::ref(number));
#endif
}
