// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <cstdint>
#include <plait/detail/bytes.hpp>

namespace plait::detail {

struct worker_start {
    unique_fd memory;   ///< the lane
    unique_fd bell;     ///< an eventfd: wakes the parent
    unique_fd lifeline; ///< a socket whose other end only the parent holds, and into which nobody writes
    unique_fd post;     ///< a message socket: the descriptors of handles, in both directions
    unique_fd output;   ///< where its stdout and stderr go; empty: where the program's go
};

/// The life of a worker, right after the fork. Never returns.
[[noreturn]] void run_worker(worker_start start);

} // namespace plait::detail
