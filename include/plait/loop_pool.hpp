// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/event_loop.hpp>
#include <plait/processors.hpp>
#include <vector>

namespace plait {

struct loop_pool_options {
    /// Loops, each with a thread; at least 1. Default: the processors that this process may use.
    int workers = default_workers;
    /// Seen in `ps`, gdb and traces, with the loop's number: "plait-loop/3"; the kernel shows 15 characters,
    /// so a long name loses its end. Not copied.
    const char* name = "plait-loop";
    /// Where the threads run; see placement.
    plait::placement placement = placement::anywhere;
    /// The same by hand: loop i is bound to the i-th of these processors. A hint, too.
    std::vector<int> processors = {};
    /// As event_loop's.
    detail::nanoseconds slow_task_threshold = std::chrono::milliseconds{100};
    /// Runs once on each loop's thread before its first task; if it fails, every task ends with pool_broken.
    detail::function<void()> initializer = {};
    unhandled_handler on_unhandled = {};

    static constexpr int default_workers = -0x7fffffff - 1;
};

/// An event loop on each of n threads: waiting tasks on many processors.
///
///     plait::loop_pool loops{{.workers = 4}};
///     auto bytes = loops.submit(download, url);
///
/// A task stays on the loop that it was given, in turn; so do its children.
///
/// Threads:  every member from any thread.
/// Errors:   .workers below 1 throws invalid_argument.
class [[gnu::visibility("default")]] loop_pool final : public in_process_executor {
  public:
    explicit loop_pool(loop_pool_options options = {});
    ~loop_pool();

    /// The number of loops: each runs one task at a moment, however many wait.
    std::size_t concurrency() const noexcept override;
    void shutdown(const shutdown_options& options = {});
    bool blocks_itself() const noexcept override;

  private:
    detail::worker& pick() override;
    struct implementation;
    implementation* self_;
};

} // namespace plait
