// SPDX-License-Identifier: Apache-2.0
// In the place of src/sys/membarrier_linux.cpp: among the model's threads.
#include "sys/membarrier.hpp"

#include <plait/detail/atomic.hpp>

namespace plait::detail {

bool have_heavy_barrier() noexcept { return true; }
void system_policy::heavy_barrier() noexcept { testing::model::fence_everywhere(site::current()); }

} // namespace plait::detail
