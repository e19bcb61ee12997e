// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// Asks the kernel for `system_policy::heavy_barrier`. False: it has none, or a sandbox forbids it. Milliseconds
/// at the first call of a process that has several threads, else a system call.
bool have_heavy_barrier() noexcept;

} // namespace plait::detail
