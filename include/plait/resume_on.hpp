// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/executor.hpp>

namespace plait {

namespace detail {

class [[nodiscard, gnu::visibility("default")]] move_awaiter final : private work {
  public:
    explicit move_awaiter(worker& to) noexcept : work{&arrived}, to_{&to} {}
    move_awaiter(move_awaiter&& other) noexcept : move_awaiter{*other.to_} {}

    bool await_ready() const;
    void await_suspend(std::coroutine_handle<> h);
    void await_resume() const { scope_->check(); }

  private:
    static void arrived(work& w) noexcept;
    worker* to_;
    context* scope_ = nullptr;
    std::coroutine_handle<> handle_;
};

} // namespace detail

/// Moves the task to `ex`: after this, and after every later co_await, it is there.
///
///     co_await plait::resume_on(pool);        // the computation, off the loop
///     auto thumbnail = shrink(image);
///     co_await plait::resume_on(loop);        // and back
///
/// The executor must outlive the task's stay. Its submitter's shutdown still waits for the task.
///
/// Cancellation:  throws `cancelled` after the move if the task was cancelled (test
///                ACancelledTaskMovesAndThenThrows).
/// Errors:        logic_error for a `serial` that runs no task: it has no thread but its submitters', so only
///                tasks that were submitted to it can come back to it.
inline auto resume_on(in_process_executor& ex) { return detail::move_awaiter{ex.next_worker()}; }

} // namespace plait
