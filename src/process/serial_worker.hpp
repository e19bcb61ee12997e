// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/worker_tasks.hpp"

namespace plait::detail {

/// A worker that runs one task after the other, in the order of its lane's slots.
class serial_worker final : worker_tasks {
  public:
    serial_worker(std::byte* memory, worker_descriptors ours, bool captured) noexcept
        : worker_tasks{memory, ours}, captured_{captured} {}

    /// Until it is told to leave, and nothing is queued.
    void run() noexcept;

  private:
    bool await_task(std::uint64_t index, bool& waited) noexcept;
    void hand_over_output(std::uint64_t index) noexcept;

    bool captured_;
};

} // namespace plait::detail
