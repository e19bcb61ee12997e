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

} // namespace plait::detail
