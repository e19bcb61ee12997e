// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/executor.hpp>
#include <plait/processors.hpp>
#include <vector>

namespace plait {

struct thread_pool_options {
    /// Threads; at least 1. Default: the processors that this process may use (affinity mask and cgroup
    /// quota).
    int workers = default_workers;
    /// Seen in `ps`, gdb and traces, with the worker's number: "plait-worker/3"; the kernel shows 15
    /// characters, so a long name loses its end. Not copied.
    const char* name = "plait-worker";
    /// Where the threads run; see placement.
    plait::placement placement = placement::anywhere;
    /// The same by hand: worker i is bound to the i-th of these processors. A hint, too.
    std::vector<int> processors = {};
    /// Runs once on each worker before its first task. If it throws, the pool is broken: every task ends with
    /// pool_broken and the cause.
    detail::function<void()> initializer = {};
    unhandled_handler on_unhandled = {};

    static constexpr int default_workers = -0x7fffffff - 1;
};

/// Runs tasks on threads of its own, preemptively: a task that computes or blocks holds up only its own
/// thread.
///
///     plait::thread_pool pool{{.workers = 5}};
///     for (std::size_t bytes : pool.map(download, urls)) total += bytes;
///
/// Tasks start in the order in which one thread has submitted them (with one worker: all threads), high
/// before normal before low, whoever submits them; of 16 in a row one goes to the lowest priority that waits,
/// and what has begun has turns of its own, so that nothing starves.
/// A task that blocks on the future of a task it has submitted itself, and that nobody has begun, runs that
/// one meanwhile: nested waits never run out of threads.
///
/// Threads:  every member from any thread. Destroyed or told to wait by its own task it ends later, by
///           itself.
/// Errors:   .workers below 1 throws invalid_argument; no threads to be had, system_error.
/// Cost:     idle, nothing: workers sleep in the kernel, and are woken one at a time.
class [[gnu::visibility("default")]] thread_pool final : public in_process_executor {
  public:
    explicit thread_pool(thread_pool_options options = {});
    ~thread_pool();

    std::size_t concurrency() const noexcept override;
    detail::worker& next_worker() noexcept { return *worker_; }
    void shutdown(const shutdown_options& options = {});

  private:
    detail::worker& pick() override;
    bool post_by_value(const detail::posted_record& record) override;
    detail::worker* counting_queue() override;
    void count_in_and_post(detail::work& w) override;
    struct implementation;
    implementation* self_;
    detail::worker* worker_; // the only one
};

} // namespace plait
