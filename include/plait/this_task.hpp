// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/chrono.hpp>
#include <plait/detail/stop.hpp>
#include <utility>

namespace plait {

/// Sees whether a task is to stop: std::stop_token's interface on the task's own scope, without allocation.
///
/// Threads:   any.
/// Lifetime:  valid while the task runs that it was taken in.
class stop_token {
  public:
    stop_token() noexcept = default;
    explicit stop_token(detail::context* scope) noexcept : scope_{scope} {}

    [[nodiscard]] bool stop_requested() const noexcept { return scope_ && scope_->stop_due(); }
    [[nodiscard]] bool stop_possible() const noexcept { return scope_ != nullptr; }
    friend bool operator==(const stop_token&, const stop_token&) noexcept = default;

  private:
    template <class>
    friend class stop_callback;
    detail::context* scope_ = nullptr;
};

/// Calls `fn` when the task is told to stop, on the thread that tells it; here and now if it was already.
/// Without a lock held, so `fn` may do what it likes but throw. Its destructor waits while another thread is
/// in `fn`.
template <class F>
class [[nodiscard]] stop_callback : private detail::stop_callback_node {
  public:
    template <class G>
    stop_callback(const stop_token& token, G&& fn)
        : stop_callback_node{[](stop_callback_node& n) noexcept { static_cast<stop_callback&>(n).fn_(); }},
          fn_(std::forward<G>(fn)) {
        if (token.scope_) add_to(*token.scope_);
    }
    ~stop_callback() { remove(); }

  private:
    F fn_;
};
template <class G>
stop_callback(const stop_token&, G) -> stop_callback<G>;

/// What a running task can ask about itself. Outside of a task: a token that never stops, no deadline, no
/// name.
namespace this_task {

/// Is this task to stop? For functions that compute for long; coroutines see it at each wait.
[[nodiscard, gnu::visibility("default")]] plait::stop_token stop_token() noexcept;
/// Throws `cancelled` if this task is to stop.
[[gnu::visibility("default")]] void checkpoint();
/// The earliest time-out around it, of those that enclose it; time_point::max() if there is none.
[[nodiscard, gnu::visibility("default")]] std::chrono::steady_clock::time_point deadline() noexcept;
/// The name from its submit_options; null if it has none.
[[nodiscard, gnu::visibility("default")]] const char* name() noexcept;
/// 1; more when a process task is run again because its worker died.
[[nodiscard, gnu::visibility("default")]] int attempt() noexcept;

} // namespace this_task
} // namespace plait
