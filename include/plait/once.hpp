// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/async_mutex.hpp>
#include <plait/task.hpp>
#include <type_traits>

namespace plait {

/// Something that is done once, whoever comes first; the others wait until it is done.
///
///     plait::once opened;
///     co_await opened.call([] { open_database(); }); // a function, or a coroutine that may await
///
/// Threads:       any member from any thread.
/// Order:         what `fn` did is visible after every `call`: `done_` is released by the one that ran it
///                and acquired by who comes later; who waited meanwhile has it from the mutex. Fairness:
///                if `fn` fails, the first one that waits runs its own.
/// Cancellation:  of one that waits: it leaves the queue. Of the one that runs `fn`: passed on to `fn`, and
///                if that ends with `cancelled` it was not done, and the next one's turn comes (test C20).
/// Errors:        what `fn` throws comes out of its own `call` alone.
/// Cost:          one frame; when it is done, an atomic load besides.
class once {
  public:
    once() noexcept = default;
    once(const once&) = delete;
    once& operator=(const once&) = delete;

    template <class F>
    task<> call(F fn) {
        // acquire: pairs with the store below.
        if (done_.load(detail::order::acquire) != 0) co_return;
        const auto turn = co_await mutex_.lock();
        if (done_.load(detail::order::relaxed) != 0) co_return; // seen through the mutex
        if constexpr (detail::is_task<std::invoke_result_t<F&>>)
            co_await fn();
        else
            fn();
        done_.store(1, detail::order::release);
    }
    bool done() const noexcept { return done_.load(detail::order::acquire) != 0; }

  private:
    async_mutex mutex_;
    detail::atomic<std::uint32_t> done_{0};
};

} // namespace plait
