// SPDX-License-Identifier: Apache-2.0
#include "sys/membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <plait/detail/atomic.hpp>

namespace plait::detail {
namespace {
bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }
} // namespace

bool have_heavy_barrier() noexcept { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

void system_policy::heavy_barrier() noexcept {
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) [[likely]]
        return;
    // Others rely on it by now: without it a task would be run twice, or never.
    std::fputs(
        "plait: membarrier(2), which was there when the pool began, is refused now: by a sandbox that was "
        "entered since? Enter it before the first pool is made\n",
        stderr);
    std::abort();
}

} // namespace plait::detail
