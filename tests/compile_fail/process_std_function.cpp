// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this function object cannot be sent to another process (std::function and std::bind never can); submit a function, a lambda without captures, or a class with a serialize() member
// clang-format on
#include <plait/process_pool.hpp>

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(std::function<int()>{});
#endif
}
