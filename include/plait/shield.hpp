// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/child.hpp>

namespace plait {

namespace detail {

/// A scope that nobody outside can stop.
class [[gnu::visibility("default")]] shield_core : private work {
  protected:
    shield_core() noexcept : work{&child_ended} {}
    ~shield_core() = default;
    void begin(std::coroutine_handle<> h);
    work& end() noexcept { return *this; }

    context child_;

  private:
    static void child_ended(work& w) noexcept;
    static void resume_parent(work& w) noexcept;
    std::coroutine_handle<> handle_;
    context* parent_ = nullptr;
};

template <class T>
class [[nodiscard]] shield_awaiter final : private shield_core {
  public:
    explicit shield_awaiter(task<T>&& t) noexcept : task_{std::move(t)} {}
    shield_awaiter(shield_awaiter&& other) noexcept : shield_awaiter{std::move(other.task_)} {}

    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) {
        begin(h);
        start_child(h, task_access::prepare(task_, result_, child_, end()), child_);
    }
    T await_resume() { return result_.take_value(); }

  private:
    task<T> task_;
    task_result<T> result_;
};

} // namespace detail

/// Runs `t` to its end whatever happens to the awaiting task: clean-up that has to wait for something.
///
///     try { co_await work(conn); }
///     catch (const plait::cancelled&) { stopped = true; }
///     if (stopped) co_await plait::shield(say_goodbye(conn));      // in it awaits work normally
///
/// Cancellation:  not cancellable. If the awaiting task was or is cancelled, it gets the value all the same,
///                and its next wait throws (tests C9, C11).
template <class T>
auto shield(task<T> t) noexcept {
    return detail::shield_awaiter<T>{std::move(t)};
}
/// The same for a future, and for any other wait.
template <class T>
auto shield(future<T> f) {
    return detail::shield_awaiter<T>{detail::as_task(std::move(f))};
}
template <detail::awaiter A>
auto shield(A wait) {
    return shield(detail::as_task(std::move(wait)));
}
template <detail::fragile A>
auto shield(A&&) {
    detail::refuse_fragile<A>();
}

} // namespace plait
