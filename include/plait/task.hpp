// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <plait/detail/context.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/invoke.hpp>
#include <plait/outcome.hpp>
#include <source_location>
#include <utility>

namespace plait {

namespace detail {
template <class T>
class task_promise;
struct task_access;
} // namespace detail

/// A coroutine that yields a T: runs when awaited, and then to its end.
///
///     plait::task<std::size_t> size_of(plait::http::session& s, std::string url) {
///         auto answer = co_await s.get(url);
///         co_return answer.body.size();
///     }
///
/// Lazy: a task that nobody awaits never runs. Await it from another task (`co_await size_of(s, url)`), give
/// it to `plait::run`, `gather`, `spawn` or `timeout`, or give the coroutine function to an executor's
/// `submit`.
///
/// Take parameters by value: the frame keeps them, while a reference may dangle once the caller has gone on.
/// A lambda that is a coroutine keeps its captures in the closure, not in the frame: pass such a lambda
/// uncalled (to `submit`, `spawn` or `with_group`, which own it), or keep it in a variable that outlives the
/// task.
///
/// Threads:       resumes on its own executor after every co_await.
/// Cancellation:  asked for through its future, group, timeout, ...; every wait inside then throws
///                `cancelled`.
/// Errors:        what the coroutine throws comes out of `co_await`.
/// Cost:          one frame, recycled per thread; awaiting a child costs a few nanoseconds, in constant stack
///                however deep the chain and however long the loop, in every build.
template <class T = void>
class [[nodiscard]] task {
  public:
    using value_type = T;
    using promise_type = detail::task_promise<T>;

    task() noexcept = default;
    task(task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
    task& operator=(task&& other) noexcept {
        task tmp{std::move(other)};
        std::swap(handle_, tmp.handle_);
        return *this;
    }
    ~task() {
        if (handle_) handle_.destroy();
    }

    /// Does it hold a coroutine?
    bool valid() const noexcept { return static_cast<bool>(handle_); }

    class awaiter;
    /// Runs it to its end, in the awaiting task's scope: `co_await std::move(t)`, or `co_await f()`.
    awaiter operator co_await() && noexcept { return awaiter{handle_}; }
    template <class U = T>
    awaiter operator co_await() & noexcept {
        static_assert(detail::never<U>,
                      "plait: a task runs once, so co_await takes it over: co_await std::move(t)");
        return awaiter{handle_};
    }

  private:
    friend promise_type;
    friend detail::task_access;
    using handle = std::coroutine_handle<promise_type>;

    explicit task(handle h) noexcept : handle_{h} {}
    handle handle_;
};

namespace detail {

/// An awaiter that lives elsewhere in the same full expression.
template <class A>
struct awaiter_reference {
    A* awaiter;
    bool await_ready() const noexcept(noexcept(awaiter->await_ready())) { return awaiter->await_ready(); }
    template <class P>
    auto await_suspend(std::coroutine_handle<P> h) const {
        return awaiter->await_suspend(h);
    }
    decltype(auto) await_resume() const { return awaiter->await_resume(); }
};

/// What every task's frame begins with.
class [[gnu::visibility("default")]] promise_base {
  public:
    static void* operator new(std::size_t size) { return allocate_block(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_block(frame, size); }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> h) const noexcept {
            h.promise().go_on();
        }
        void await_resume() const noexcept {}
    };
    final_awaiter final_suspend() const noexcept { return {}; }

    /// Notes where the task waits. An awaiter is passed on by address: GCC 12 copies whatever await_transform
    /// returns into the frame, references too.
    template <class A>
    decltype(auto) await_transform(A&& awaitable, std::source_location at = std::source_location::current()) {
        site_ = at;
        scope_->note(at); // NOLINT(clang-analyzer-core.*): the scope is set before the first await
        if constexpr (requires { static_cast<A&&>(awaitable).operator co_await(); })
            return static_cast<A&&>(awaitable).operator co_await();
        else if constexpr (requires { operator co_await(static_cast<A&&>(awaitable)); })
            return operator co_await(static_cast<A&&>(awaitable));
        else
            return awaiter_reference<std::remove_reference_t<A>>{&awaitable};
    }

    void continue_with(std::coroutine_handle<> parent) noexcept {
        continuation_.store(word_of(parent), order::relaxed);
    }
    void continue_with(work& w) noexcept {
        continuation_.store(reinterpret_cast<std::uintptr_t>(&w) | is_work, order::relaxed);
    }

    /// For a parent that is no task: it was not resumed by our trampoline, so `child`, whose promise this is,
    /// gets one of its own. False: it has ended meanwhile, and the parent need not suspend; a loop of such
    /// awaits thus needs no stack.
    bool run_for(std::coroutine_handle<> parent, std::coroutine_handle<> child) {
        enter(running_scope());
        continuation_.store(word_of(parent) | is_starting, order::relaxed);
        drive(child);
        std::uintptr_t expected = word_of(parent) | is_starting;
        // release: whoever ends the child resumes a parent that has suspended. Then the frame may be gone.
        return continuation_.compare_exchange(expected, word_of(parent), order::acq_rel, order::acquire);
    }

    void enter(context& scope) noexcept { scope_ = &scope; }
    context* scope() const noexcept { return scope_; }

  private:
    // The end: either the awaiting frame is resumed by the trampoline, or the work runs here; it may destroy
    // us.
    void go_on() noexcept {
        std::uintptr_t c = continuation_.load(order::acquire);
        if (c & is_work) return reinterpret_cast<work*>(c & ~is_work)->run();
        if ((c & is_starting) && continuation_.compare_exchange(c, 0, order::acq_rel, order::acquire)) return;
        current().next = std::coroutine_handle<>::from_address(reinterpret_cast<void*>(c));
    }

    static constexpr std::uintptr_t is_work = 1, is_starting = 2;
    static std::uintptr_t word_of(std::coroutine_handle<> h) noexcept {
        return reinterpret_cast<std::uintptr_t>(h.address());
    }

    // A frame's address, with is_starting until a parent that is no task has suspended; or a work's, with
    // is_work.
    atomic<std::uintptr_t> continuation_{0};
    context* scope_ = nullptr;
    std::source_location site_{}; // the await that this frame last reached
};

template <class T>
class task_promise : public promise_base {
  public:
    task<T> get_return_object() noexcept {
        return task<T>{std::coroutine_handle<task_promise>::from_promise(*this)};
    }
    template <class U = T> // the default lets `co_return {a, b};` work
        requires std::is_constructible_v<outcome<T>, U>
    void return_value(U&& value) {
        result_.emplace(static_cast<U&&>(value));
    }
    void unhandled_exception() noexcept { result_.emplace(std::current_exception()); }
    outcome<T>& result() noexcept { return *result_; }

  private:
    std::optional<outcome<T>> result_;
};

template <>
class task_promise<void> : public promise_base {
  public:
    task<void> get_return_object() noexcept {
        return task<void>{std::coroutine_handle<task_promise>::from_promise(*this)};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { result_ = outcome<void>{std::current_exception()}; }
    outcome<void>& result() noexcept { return result_; }

  private:
    outcome<void> result_;
};

/// For the rest of the library: starting a task by hand.
struct task_access {
    /// Makes `t` ready to be resumed in `scope`; `at_end` runs when it has ended, and may destroy it.
    template <class T>
    static std::coroutine_handle<> prepare(task<T>& t, context& scope, work& at_end) noexcept {
        t.handle_.promise().enter(scope);
        t.handle_.promise().continue_with(at_end);
        return t.handle_;
    }
    /// After its end.
    template <class T>
    static outcome<T>& result(task<T>& t) noexcept {
        return t.handle_.promise().result();
    }
};

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

/// U for task<U>, else T as it can be kept: what submit's future holds.
template <class T>
struct task_value {
    using type = kept_t<T>;
};
template <class T>
struct task_value<task<T>> {
    using type = T;
};
template <class T>
using task_value_t = typename task_value<T>::type;

} // namespace detail

template <class T>
class task<T>::awaiter {
  public:
    explicit awaiter(handle h) noexcept : handle_{h} {}
    bool await_ready() const noexcept { return false; }

    template <class P>
    auto await_suspend(std::coroutine_handle<P> parent) noexcept(std::is_base_of_v<detail::promise_base, P>) {
        auto& child = handle_.promise();
        if constexpr (std::is_base_of_v<detail::promise_base, P>) {
            child.continue_with(parent);
            child.enter(*parent.promise().scope());
            detail::current().next = handle_; // the trampoline goes on there
        } else {
            return child.run_for(parent, handle_);
        }
    }
    T await_resume() { return std::move(handle_.promise().result()).value(); }

  private:
    handle handle_;
};

} // namespace plait
