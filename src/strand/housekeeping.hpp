// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// Threads that the process shares among its executors (offload's, the watchdog) live while some engine
/// lives; the last engine to go joins them. Called by `engine`.
void engine_begins() noexcept;
void engine_ended() noexcept;

/// Ends and joins, unless an engine has begun meanwhile.
void end_offload_threads() noexcept;
void end_watchdog() noexcept;

/// How many engines there are, for whoever wants to end.
bool any_engine() noexcept;

} // namespace plait::detail
