// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <sys/types.h>

namespace plait::detail {

/// A handle of a process that can never mean another one. Readable once all its threads have ended.
/// Empty with errno set if there is none (ENOSYS: the kernel or a filter forbids it).
[[nodiscard]] unique_fd open_pidfd(pid_t process) noexcept;

/// Sends a signal through the handle. 0 or an errno; ESRCH: it has ended and was reaped, nobody was hit.
int signal_process(const unique_fd& process, int signal) noexcept;

/// Has it ended? Does not wait.
[[nodiscard]] bool has_ended(const unique_fd& process) noexcept;

} // namespace plait::detail
