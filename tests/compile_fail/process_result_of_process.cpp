// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: a process's function returns nothing; give it a pipe for what it has to say, or use process_pool::submit, which gives its result
// clang-format on
#include <plait/process.hpp>

int compute(int x);

void start() {
#ifdef REFUSED
    plait::process p{compute, 1};
#endif
}
