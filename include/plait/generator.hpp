// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <plait/detail/frame.hpp>
#include <plait/detail/ranges.hpp>
#include <plait/task.hpp>
#include <type_traits>
#include <utility>

namespace plait {

namespace detail {

template <class T>
class generator_promise;
template <class T>
class async_generator_promise;

/// What `*i` gives: a T that may be moved from; a reference as it is.
template <class T>
using yielded_t = std::conditional_t<std::is_reference_v<T>, T, T&&>;

/// The part of a generator's promise that holds what it has yielded: by address, since that lives in the
/// frame until it goes on.
template <class T>
class yielding {
  public:
    using pointer = std::remove_reference_t<T>*;

    void unhandled_exception() noexcept {
        current_ = nullptr;
        error_ = std::current_exception();
    }
    void return_void() noexcept { current_ = nullptr; }

    /// Null at the end; throws what ended it, once.
    pointer take() {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return current_;
    }
    pointer current() const noexcept { return current_; }

  protected:
    pointer current_ = nullptr;

  private:
    std::exception_ptr error_;
};

} // namespace detail

/// A sequence that a coroutine makes while it is consumed: a range, to be gone through once.
///
///     auto squares = [](int n) -> plait::generator<int> {
///         for (int i = 1; i <= n; ++i) co_yield i * i;
///     };
///     for (int square : squares(10)) use(square);
///     for (int y : pool.map([](int x) { return x + 1; }, squares(10))) use(y);
///
/// It may have no end. It cannot `co_await`; that is async_generator's.
///
/// Threads:       one at a time; where it is incremented it runs.
/// Order:         that of the calling thread; whoever hands it to another one sees to the rest.
/// Cancellation:  none: it waits for nothing. Destroyed before its end, it destroys its variables.
/// Errors:        what the coroutine throws comes out of `begin` or `++`, and it is at its end.
/// Cost:          one frame, recycled per thread; a resumption for each item. An item given as an lvalue is
///                copied, unless T is a reference.
template <class T>
class [[nodiscard]] generator {
  public:
    using promise_type = detail::generator_promise<T>;
    using value_type = std::remove_cvref_t<T>;

    struct end_mark {};
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = std::remove_cvref_t<T>;
        using difference_type = std::ptrdiff_t;
        using reference = detail::yielded_t<T>;

        iterator(iterator&& other) noexcept : frame_{std::exchange(other.frame_, {})} {}
        iterator& operator=(iterator&& other) noexcept {
            frame_ = std::exchange(other.frame_, {});
            return *this;
        }
        reference operator*() const noexcept { return static_cast<reference>(*frame_.promise().current()); }
        iterator& operator++() {
            frame_.resume();
            frame_.promise().take();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(end_mark) const noexcept { return frame_.done(); }

      private:
        friend generator;
        explicit iterator(std::coroutine_handle<promise_type> f) noexcept : frame_{f} {}
        std::coroutine_handle<promise_type> frame_;
    };

    generator(generator&& other) noexcept : frame_{std::exchange(other.frame_, {})} {}
    generator& operator=(generator other) noexcept {
        std::swap(frame_, other.frame_);
        return *this;
    }
    ~generator() {
        if (frame_) frame_.destroy();
    }

    /// Runs it to its first item. Once.
    iterator begin() {
        iterator first{frame_};
        ++first;
        return first;
    }
    end_mark end() const noexcept { return {}; }

  private:
    friend promise_type;
    explicit generator(std::coroutine_handle<promise_type> f) noexcept : frame_{f} {}
    std::coroutine_handle<promise_type> frame_;
};

/// A sequence made by a coroutine that awaits in between.
///
///     auto sizes = [](std::vector<std::string> all) -> plait::async_generator<std::size_t> {
///         for (auto& one : all) co_yield co_await download(one);
///     };
///     auto each = sizes(urls);
///     while (const std::size_t* size = co_await each.next()) use(*size);
///
/// An executor's `map` over it is one again (map.hpp), and a pipeline may begin with it.
///
/// Threads:       one consumer at a time; it runs as a part of the task that awaits `next`.
/// Order:         what the consumer did before `next` is visible to the coroutine behind its `co_yield`,
///                and what that did before the next one after the `next`: they take turns within one task,
///                and where a wait inside goes on on another thread, the queue that it was posted to has
///                released all of it. With a consumer that is no task of plait's `meeting_` is released by
///                who comes first, its suspension or the `co_yield`, and acquired by the other.
/// Cancellation:  a wait inside throws `cancelled`, which comes out of `next`, and it is at its end (test
///                C20). Destroyed before its end, but not while it is awaited, it destroys its variables.
/// Errors:        what the coroutine throws comes out of `next`, and it is at its end.
/// Cost:          one frame, recycled per thread; an item costs what awaiting a task costs, without the
///                frame.
template <class T>
class [[nodiscard]] async_generator {
  public:
    using promise_type = detail::async_generator_promise<T>;
    using value_type = std::remove_cvref_t<T>;

    async_generator(async_generator&& other) noexcept : frame_{std::exchange(other.frame_, {})} {}
    async_generator& operator=(async_generator other) noexcept {
        std::swap(frame_, other.frame_);
        return *this;
    }
    ~async_generator() {
        if (frame_) frame_.destroy();
    }

    class awaiter;
    /// The next item, which may be moved from, valid until the next `next`; null at the end.
    [[nodiscard]] awaiter next() noexcept { return awaiter{frame_}; }

  private:
    friend promise_type;
    explicit async_generator(std::coroutine_handle<promise_type> f) noexcept : frame_{f} {}
    std::coroutine_handle<promise_type> frame_;
};

template <class T>
class [[nodiscard]] async_generator<T>::awaiter {
  public:
    explicit awaiter(std::coroutine_handle<promise_type> f) noexcept : frame_{f} {}
    awaiter(awaiter&& other) noexcept : frame_{other.frame_} {} // before it is awaited
    bool await_ready() const noexcept { return frame_.done(); }
    template <class P>
    auto await_suspend(std::coroutine_handle<P> parent) noexcept(std::is_base_of_v<detail::promise_base, P>) {
        auto& child = frame_.promise();
        if constexpr (std::is_base_of_v<detail::promise_base, P>) {
            child.continue_with(parent);
            child.enter(*parent.promise().scope());
            detail::current().next = frame_; // the trampoline goes on there
        } else {
            return child.run_for(parent, frame_, detail::running_scope(), meeting_);
        }
    }
    std::remove_reference_t<T>* await_resume() { return frame_.promise().take(); }

  private:
    std::coroutine_handle<promise_type> frame_;
    detail::atomic<std::uintptr_t> meeting_; // with a parent that is no task
};

namespace detail {

template <class T>
inline constexpr bool is_async_generator = false;
template <class T>
inline constexpr bool is_async_generator<async_generator<T>> = true;

template <class T>
class generator_promise : public yielding<T> {
  public:
    static void* operator new(std::size_t size) { return allocate_block(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_block(frame, size); }

    generator<T> get_return_object() noexcept {
        return generator<T>{std::coroutine_handle<generator_promise>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }

    std::suspend_always yield_value(yielded_t<T> x) noexcept {
        this->current_ = std::addressof(x);
        return {};
    }

    struct copied {
        std::remove_cvref_t<T> copy;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<generator_promise> h) noexcept {
            h.promise().current_ = std::addressof(copy);
        }
        void await_resume() const noexcept {}
    };
    copied yield_value(const T& x)
        requires(!std::is_reference_v<T>)
    {
        return {x};
    }

    template <class A>
    std::suspend_never await_transform(A&&) {
        static_assert(never<A>, "plait: a generator runs inside of a loop, where nobody can wait for it; "
                                "make it an async_generator to co_await");
        return {};
    }
};

template <class T>
class async_generator_promise : public promise_base, public yielding<T> {
  public:
    async_generator<T> get_return_object() noexcept {
        return async_generator<T>{std::coroutine_handle<async_generator_promise>::from_promise(*this)};
    }

    // Yielding is ending for now: back to who awaits `next`.
    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<async_generator_promise> h) const noexcept {
            promise_base::go_on(h.promise().continuation());
        }
        void await_resume() const noexcept {}
    };
    final_awaiter final_suspend() const noexcept { return {}; }
    final_awaiter yield_value(yielded_t<T> x) noexcept {
        this->current_ = std::addressof(x);
        return {};
    }

    struct copied : final_awaiter {
        explicit copied(const T& x) : copy{x} {}
        std::remove_cvref_t<T> copy;
        void await_suspend(std::coroutine_handle<async_generator_promise> h) noexcept {
            h.promise().current_ = std::addressof(copy);
            final_awaiter::await_suspend(h);
        }
    };
    copied yield_value(const T& x)
        requires(!std::is_reference_v<T>)
    {
        return copied{x};
    }
};

} // namespace detail
} // namespace plait
