// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/executor.hpp>

namespace plait {

struct serial_options {
    unhandled_handler on_unhandled = {};
};

/// Runs each task in the caller, to its end, before `submit` returns: the baseline that the others are
/// measured by.
///
/// A coroutine is driven on a loop of its own in the calling thread, so it may sleep, and use sockets.
///
/// Threads:  any; tasks from several threads run one after another.
/// Errors:   a task's exception is in its future; `submit` throws only after shutdown.
class [[gnu::visibility("default")]] serial final : public in_process_executor {
  public:
    explicit serial(serial_options options = {});
    ~serial();

    std::size_t concurrency() const noexcept override { return 1; }
    void shutdown(const shutdown_options& options = {});

  private:
    detail::worker& pick() override;
    struct implementation;
    implementation* self_;
};

} // namespace plait
