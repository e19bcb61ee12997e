// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/future.hpp>
#include <plait/task.hpp>

// What every construct needs that runs a task in a scope of its own.

namespace plait::detail {

/// Goes on with `child`, in its scope, now that its parent has suspended.
template <class P>
void start_child(std::coroutine_handle<P>, std::coroutine_handle<> child, context& scope) {
    if constexpr (std::is_base_of_v<promise_base, P>) {
        execution& e = current();
        e.scope = &scope;
        e.next = child; // the trampoline's next
    } else {
        resume(child, scope); // no trampoline of ours may be waiting
    }
}

/// A future or task that must not be a temporary of a co_await expression; see fragile_future. That it was
/// moved from a name does not show in its type, so it is given the name by the type that it converts to.
template <class A>
concept fragile = requires { typename std::remove_cvref_t<A>::must_be_named; };

/// By whatever takes futures and tasks over in such an expression.
template <class... A>
consteval void refuse_fragile() {
    static_assert(
        !(fragile<A> || ...),
        "plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a "
        "co_await expression. Name the future (or task) first, by its type: plait::future<int> f = "
        "pool.submit([data]{...}); co_await plait::timeout(5s, std::move(f));");
}

/// A future that is cancelled unless somebody comes to await it.
template <class T>
struct owned_future {
    explicit owned_future(future<T>&& f) noexcept : held{std::move(f)} {}
    owned_future(owned_future&&) noexcept = default;
    ~owned_future() {
        if (held.valid()) held.cancel();
    }
    future<T> held;
};

template <class T>
task<T> await_owned(owned_future<T> f) {
    co_return co_await std::move(f.held);
}

/// A task in the future's stead. Stopped before it begins (by a sibling's failure, say), it cancels the
/// future.
template <class T>
task<T> as_task(future<T> f) {
    return await_owned(owned_future<T>{std::move(f)});
}
template <class T>
task<T> as_task(task<T> t) noexcept {
    return t;
}

/// Whatever else can be awaited: a wait for a socket, a timer, a gather.
template <class A>
concept awaiter =
    !fragile<A> && std::is_move_constructible_v<A> && requires(A& a, std::coroutine_handle<> h) {
        { a.await_ready() } -> std::convertible_to<bool>;
        a.await_suspend(h);
        a.await_resume();
    };
template <awaiter A>
task<kept_t<decltype(std::declval<A&>().await_resume())>> as_task(A a) {
    co_return co_await a;
}

} // namespace plait::detail
