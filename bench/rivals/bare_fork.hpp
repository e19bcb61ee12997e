// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <tuple>

namespace rivals {

/// The least that a fork of two coroutines can be: one thread, nothing that could be stolen, stopped or fail, one size of
/// frame, and nothing to count. What a library adds comes on top of that.
class bare_fork {
  public:
    /// fib(n), a fork for each call that is no leaf.
    static long run(int n) {
        const task root = fib(n);
        root.frame.promise().into = &answer;
        std::coroutine_handle<> h = root.frame;
        while (h) { // a trampoline, as plait has
            next = {};
            h.resume();
            h = next;
        }
        return answer;
    }

  private:
    struct promise;
    struct task {
        using promise_type = promise;
        std::coroutine_handle<promise> frame;
    };
    struct free_frame {
        free_frame* older;
    };
    struct promise {
        static void* operator new(std::size_t size) {
            free_frame* const f = spare;
            if (!f) return ::operator new(size);
            spare = f->older;
            return f;
        }
        static void operator delete(void* frame, std::size_t) noexcept {
            spare = ::new (frame) free_frame{spare};
        }
        task get_return_object() noexcept { return {std::coroutine_handle<promise>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept {
            next = continuation;
            return {};
        }
        void unhandled_exception() noexcept { std::abort(); }
        void return_value(long value) noexcept { *into = value; }

        long* into = nullptr;
        std::coroutine_handle<> continuation;
    };
    /// One after the other: the end of the first begins the second.
    struct both {
        task first, second;
        long a = 0, b = 0;

        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> parent) noexcept {
            first.frame.promise().into = &a;
            second.frame.promise().into = &b;
            first.frame.promise().continuation = second.frame;
            second.frame.promise().continuation = parent;
            next = first.frame;
        }
        std::tuple<long, long> await_resume() const noexcept { return {a, b}; }
    };

    static task fib(int n) {
        if (n < 2) co_return n;
        const auto [a, b] = co_await both{fib(n - 1), fib(n - 2)};
        co_return a + b;
    }

    static inline thread_local free_frame* spare = nullptr; // kept for good: it is a few
    static inline thread_local std::coroutine_handle<> next;
    static inline thread_local long answer = 0;
};

} // namespace rivals
