// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/crash_record.hpp"

namespace plait::detail {

/// From now on this process leaves a report in `record` when it dies of SIGSEGV, SIGBUS, SIGFPE, SIGILL,
/// SIGABRT, SIGTRAP or SIGSYS, and of what std::terminate was called for; then it dies as it would have
/// without us. Signals for which somebody has a handler already keep it, and so do those for which a task
/// installs one later. A child that a task forks reports nothing.
///
/// The handler makes no call that is not safe in one: it walks the stack by unwind tables, which the C
/// library looks up without a lock (_dl_find_object), and stores each frame as it finds it. A fault on the
/// way ends the report there, and the process by the signal that it was for.
void watch_for_crashes(crash_record& record) noexcept;

/// An alternate stack for this thread, so that the overflow of its own can be reported. Kept for as long as
/// the thread lives.
void use_crash_stack() noexcept;

} // namespace plait::detail
