// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <optional>
#include <plait/detail/context.hpp>
#include <plait/detail/fragile.hpp>
#include <plait/detail/invoke.hpp>
#include <type_traits>
#include <utility>

namespace plait {

namespace detail {

/// A task's wait for a call on one of the helper threads: what does not depend on the call's type.
class [[gnu::visibility("default")]] offload_core : public waiter {
  public:
    bool await_ready() const;
    bool await_suspend(std::coroutine_handle<> h) noexcept;

    // The helper threads', under their lock.
    virtual void call() noexcept = 0;
    offload_core* before_ = nullptr; // in the queue
    offload_core* behind_ = nullptr;
    bool begun_ = false;
    std::exception_ptr error_; // no thread

  protected:
    offload_core() noexcept = default;
    ~offload_core() = default;

    /// In `await_resume`, when there is no result: `cancelled`, or why no thread could be started.
    [[noreturn]] void throw_not_called() const;

  private:
    bool withdraw() noexcept override;
    void unlink() noexcept override;
};

template <class F>
class [[nodiscard]] offload_awaiter final : private offload_core {
    using result = kept_result_t<F>;

  public:
    explicit offload_awaiter(F&& f) : call_{std::move(f)} {}
    offload_awaiter(offload_awaiter&& other) noexcept(std::is_nothrow_move_constructible_v<F>)
        : offload_awaiter{std::move(other.call_)} {} // before it is awaited

    using offload_core::await_ready;
    using offload_core::await_suspend;
    result await_resume() {
        if (!result_) throw_not_called();
        return std::move(*result_).value();
    }

  private:
    void call() noexcept override { result_.emplace(outcome_of(std::move(call_))); }

    F call_;
    std::optional<outcome<result>> result_;
};

/// What `offload` returns; awaited, it goes.
template <class F, bool Fragile>
class [[nodiscard]] offloaded {
  public:
    explicit offloaded(F f) : call_{std::move(f)} {}

    offload_awaiter<F> operator co_await() & { return offload_awaiter<F>{std::move(call_)}; }
    template <class G = F>
    offload_awaiter<G> operator co_await() && {
        static_assert(
            !Fragile || never<G>,
            "plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a "
            "co_await expression. Name the call first: auto call = plait::offload([data]{...}); co_await "
            "call;");
        return offload_awaiter<F>{std::move(call_)};
    }

  private:
    F call_;
};

} // namespace detail

/// Runs `fn()`, which may block, on a thread kept for that, and gives its value or exception; the task's own
/// executor goes on meanwhile, and the task with it afterwards.
///
///     auto call = plait::offload([path] { return read_whole(path); });
///     std::string text = co_await call;
///
/// The threads are the process's, started on demand, at most 32; what comes beyond that waits, first come,
/// first served. They live while some executor lives. For computation use a thread_pool instead.
///
/// Threads:       any task, of any executor.
/// Cancellation:  a call that has not begun is dropped, at once. One that has begun cannot be stopped, and
///                the wait ends when it does, with its value, so `fn` may refer to the task's own variables;
///                it may look at `this_task::stop_token()`, which is the task's (offload_test,
///                ACancelled...).
/// Errors:        what `fn` throws; std::system_error if not even one thread can be started.
/// Cost:          two hand-overs between threads, some 10 to 20 microseconds.
template <class F>
    requires std::is_invocable_v<std::decay_t<F>>
auto offload(F&& fn) {
    return detail::offloaded<std::decay_t<F>, detail::is_fragile<F&&>>{std::forward<F>(fn)};
}

} // namespace plait
