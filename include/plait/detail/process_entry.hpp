// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/bytes.hpp>

namespace plait::detail {

/// What a worker calls for a task: reads the arguments, calls the function, writes the result. May throw.
using process_entry = void (*)(byte_reader& in, byte_writer& out);

/// The worker process that this code runs in.
struct worker_identity {
    bool is_worker = false;
    bool drives_loop = false;  // for many tasks at once
    std::uint32_t number = 0;  // 0 .. workers - 1; a replacement inherits it
    std::uint64_t task = 0;    // the task that runs now
    std::uint32_t attempt = 0; // which attempt it is, from 1
    const char* name = nullptr;
    std::int64_t deadline = 0;  // monotonic nanoseconds; 0: none
    bool takes_pending = false; // a task may go on when its code has returned, and leaves its result here
    class pending_result* pending = nullptr;
};
[[gnu::visibility("default")]] worker_identity& this_worker() noexcept;

} // namespace plait::detail
