// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait {

namespace detail {
class worker;
}

/// Tells the pool that the calling task is about to block, so that another thread can do its work meanwhile.
///
///     std::string line;
///     const plait::blocking_region waiting;
///     std::getline(std::cin, line);
///
/// A `thread_pool` has as many threads at work as it has workers: one that blocks in a region does not count,
/// and a spare one takes its place once there is work for it. When the region ends, the next thread to end a
/// task steps aside. There are at most 256 spare threads; beyond that the region does nothing. A spare thread
/// has `worker_local`s of its own. Waits of plait's own (`get`, `wait`, `as_completed`, `task_group::wait`)
/// are such regions. Elsewhere than on a pool it does nothing; on a loop, `offload` what blocks. Regions may
/// nest.
///
/// Threads:  ends on the thread where it began: not to be held across a co_await.
/// Errors:   none: without memory or threads for a spare one, the others go on without.
/// Cost:     a lock; the first time that a spare one is needed, a thread.
class [[nodiscard, gnu::visibility("default")]] blocking_region {
  public:
    blocking_region() noexcept;
    ~blocking_region();
    blocking_region(const blocking_region&) = delete;
    blocking_region& operator=(const blocking_region&) = delete;

  private:
    detail::worker* pool_; // null: not on one, or in a region already
};

} // namespace plait
