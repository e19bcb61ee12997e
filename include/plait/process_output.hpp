// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/process_job.hpp>

namespace plait {

/// What a task of a process pool with `.capture_output` printed, waiting for the task's end.
///
///     plait::process_pool pool{{.workers = 4, .capture_output = true}};
///     auto small = pool.submit(thumbnail, files[0]);
///     std::string said = plait::output_of(small);   // before get(), which consumes the future
///     save(small.get());
///
/// stdout and stderr in the order of the writes, of the task and of what it has started; printf and std::cout
/// are flushed at its end. Whatever became of it: returned, threw, timed out, was killed, or crashed
/// (worker_lost has it as well; what it had not flushed is then lost, but stdout is flushed at each line).
/// The last 64 KiB are kept, after a line that says how much was before. Of a task that was tried again: the
/// last attempt's. What a child still prints after its task has ended goes into the next task's.
///
/// Empty for other executors' tasks, for pools without the option, and for what never ran.
template <class R>
std::string output_of(const future<R>& f) {
    f.wait();
    const auto* job = dynamic_cast<const detail::process_job_base*>(&detail::future_access::state(f));
    return job != nullptr ? job->output() : std::string{};
}

} // namespace plait
