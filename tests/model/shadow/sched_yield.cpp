// SPDX-License-Identifier: Apache-2.0
#include <sched.h>

// Stands in libc's place. A thread of a model that gives its processor away says nothing that the exploration does not try
// anyway; the real one would give it to other programs, on a busy machine for as long as a model takes.
extern "C" int sched_yield() noexcept { return 0; }
