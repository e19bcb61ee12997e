// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstdint>
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

/// Out of the place it had. GCC joins copies of two neighbours into one of 16 bytes, and a processor that has
/// only just written them, each by itself, waits until both are in its cache: 3 ns for two tasks.
template <class Handle>
Handle moved_alone(Handle& from) noexcept {
    void* frame = std::exchange(from, {}).address();
    asm("" : "+r"(frame)); // NOLINT(*-no-assembler)
    return Handle::from_address(frame);
}
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
    task(task&& other) noexcept : handle_{detail::moved_alone(other.handle_)} {}
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
    awaiter operator co_await() && noexcept { return awaiter{*this}; }
    template <class U = T>
    awaiter operator co_await() & noexcept {
        static_assert(detail::never<U>,
                      "plait: a task runs once, so co_await takes it over: co_await std::move(t)");
        return awaiter{*this};
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

    /// Notes where the task waits. An awaiter is passed on by address: GCC 12 copies whatever await_transform
    /// returns into the frame, references too.
    template <class A>
    decltype(auto) await_transform(A&& awaitable, std::source_location at = std::source_location::current()) {
        scope_->note(at); // NOLINT(clang-analyzer-core.*): the scope is set before the first await
        if constexpr (requires { static_cast<A&&>(awaitable).operator co_await(); })
            return static_cast<A&&>(awaitable).operator co_await();
        else if constexpr (requires { operator co_await(static_cast<A&&>(awaitable)); })
            return operator co_await(static_cast<A&&>(awaitable));
        else
            return awaiter_reference<std::remove_reference_t<A>>{&awaitable};
    }

    void continue_with(std::coroutine_handle<> parent) noexcept { continuation_ = word_of(parent); }
    void continue_with(work& w) noexcept { continuation_ = reinterpret_cast<std::uintptr_t>(&w) | is_work; }

    /// For a parent that is no task: it was not resumed by our trampoline, so `child`, whose promise this is,
    /// gets one of its own. False: it has ended meanwhile, and the parent need not suspend; a loop of such
    /// awaits thus needs no stack. `meeting` is in the parent's frame, for the child's may be gone.
    bool run_for(std::coroutine_handle<> parent, std::coroutine_handle<> child, context& scope,
                 atomic<std::uintptr_t>& meeting) noexcept {
        enter(scope);
        meeting.store(word_of(parent) | is_starting, order::relaxed);
        continuation_ = reinterpret_cast<std::uintptr_t>(&meeting) | is_starting;
        drive(child);
        std::uintptr_t expected = word_of(parent) | is_starting;
        // release: whoever ends the child resumes a parent that has suspended. Then its frame may be gone.
        return meeting.compare_exchange(expected, word_of(parent), order::acq_rel, order::acquire);
    }

    void enter(context& scope) noexcept { scope_ = &scope; }
    context* scope() const noexcept { return scope_; }

    /// The end: either the awaiting frame is resumed by the trampoline, or the work runs here. The frame that
    /// this was the continuation of may be gone.
    static void go_on(std::uintptr_t continuation) noexcept {
        std::uintptr_t c = continuation;
        if (c & is_work) return reinterpret_cast<work*>(c & ~is_work)->run();
        if (c & is_starting) {
            auto& meeting = *reinterpret_cast<atomic<std::uintptr_t>*>(c & ~is_starting);
            c = meeting.load(order::acquire);
            if ((c & is_starting) && meeting.compare_exchange(c, 0, order::acq_rel, order::acquire)) return;
        }
        current().next = std::coroutine_handle<>::from_address(reinterpret_cast<void*>(c));
    }
    std::uintptr_t continuation() const noexcept { return continuation_; }

  private:
    static constexpr std::uintptr_t is_work = 1, is_starting = 2;
    static std::uintptr_t word_of(std::coroutine_handle<> h) noexcept {
        return reinterpret_cast<std::uintptr_t>(h.address());
    }

    // A frame's address; or a work's, with is_work; or that of where a parent that is no task meets its child,
    // with is_starting: a frame's address again, with is_starting until that parent has suspended. Both are set
    // before the coroutine is resumed.
    std::uintptr_t continuation_;
    context* scope_;
};

/// At its end a task's frame goes, and then its parent goes on: the parameters end before what they may refer
/// to.
template <class T>
class result_promise : public promise_base {
  public:
    void unhandled_exception() noexcept { result_->fail(std::current_exception()); }

    struct ending {
        bool await_ready() const noexcept { return false; }
        // Not inlined: older clangs keep its variables in the frame otherwise (LLVM issue 56301).
        [[gnu::noinline]] static void destroy_and_go_on(std::coroutine_handle<> frame,
                                                        std::uintptr_t continuation) noexcept {
            frame.destroy();
            go_on(continuation);
        }
        template <class P>
        void await_suspend(std::coroutine_handle<P> h) const noexcept {
            destroy_and_go_on(h, h.promise().continuation());
        }
        void await_resume() const noexcept {}
    };
    ending final_suspend() const noexcept { return {}; }

  protected:
    friend task_access;
    task_result<T>* result_;
};

template <class T>
class task_promise : public result_promise<T> {
  public:
    task<T> get_return_object() noexcept {
        return task<T>{std::coroutine_handle<task_promise>::from_promise(*this)};
    }
    template <class U = T> // the default lets `co_return {a, b};` work
        requires std::is_constructible_v<outcome<T>, U>
    void return_value(U&& value) {
        using given = std::remove_cvref_t<U>;
        if constexpr (std::is_same_v<given, outcome<T>>) {
            if (value)
                this->result_->give(*static_cast<U&&>(value));
            else
                this->result_->fail(value.error());
        } else if constexpr (std::is_same_v<given, std::exception_ptr>) {
            this->result_->fail(static_cast<U&&>(value));
        } else {
            this->result_->give(static_cast<U&&>(value)); // NOLINT(clang-analyzer-core.*): set before it runs
        }
    }
};

template <>
class task_promise<void> : public result_promise<void> {
  public:
    task<void> get_return_object() noexcept {
        return task<void>{std::coroutine_handle<task_promise>::from_promise(*this)};
    }
    void return_void() noexcept { result_->give(); } // NOLINT(clang-analyzer-core.*): set before it runs
};

/// Of a coroutine whose parameters have nothing to destroy: its frame may as well go when its parent does
/// already go on, and need not be entered once more for that.
template <class T>
class plain_promise final : public task_promise<T> {
  public:
    std::suspend_never final_suspend() const noexcept {
        this->go_on(this->continuation());
        return {};
    }
};

/// For the rest of the library: starting a task by hand.
struct task_access {
    template <class T>
    using frame_of = std::coroutine_handle<task_promise<T>>;
    template <class T>
    static frame_of<T> take(task<T>& t) noexcept {
        return moved_alone(t.handle_);
    }
    /// Makes `t` ready to be resumed in `scope`, and takes it over; `at_end` runs when it has ended, with what
    /// it came to in `result`.
    template <class T>
    static std::coroutine_handle<> prepare(task<T>& t, task_result<T>& result, context& scope,
                                           work& at_end) noexcept {
        const auto frame = std::exchange(t.handle_, {});
        prepare<T>(frame, result, scope, at_end);
        return frame;
    }
    template <class T>
    static void prepare(frame_of<T> frame, task_result<T>& result, context& scope, work& at_end) noexcept {
        give_into(frame, result);
        frame.promise().enter(scope);
        frame.promise().continue_with(at_end);
    }
    /// Where what it comes to is stored; before it is resumed.
    template <class T>
    static void give_into(frame_of<T> frame, task_result<T>& result) noexcept {
        frame.promise().result_ = &result;
    }
    static promise_base& promise_of(std::coroutine_handle<> frame) noexcept {
        return std::coroutine_handle<promise_base>::from_address(frame.address()).promise();
    }
    template <class T>
    static std::coroutine_handle<task_promise<T>> prepare(task<T>& t, task_result<T>& result) noexcept {
        const auto frame = std::exchange(t.handle_, {});
        frame.promise().result_ = &result;
        return frame;
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

/// Takes the task over when its parent suspends; until then that stays where it is.
template <class T>
class task<T>::awaiter {
  public:
    explicit awaiter(task& t) noexcept : task_{t} {}
    awaiter(awaiter&& other) noexcept : task_{other.task_} {} // before it is awaited
    bool await_ready() const noexcept { return false; }

    template <class P>
    auto await_suspend(std::coroutine_handle<P> parent) noexcept(std::is_base_of_v<detail::promise_base, P>) {
        if constexpr (std::is_base_of_v<detail::promise_base, P>) {
            const auto frame = detail::task_access::prepare(task_, result_);
            frame.promise().continue_with(parent);
            frame.promise().enter(*parent.promise().scope());
            detail::current().next = frame; // the trampoline goes on there
        } else {
            detail::context& scope = detail::running_scope(); // or throws
            const auto frame = detail::task_access::prepare(task_, result_);
            return frame.promise().run_for(parent, frame, scope, meeting_);
        }
    }
    T await_resume() { return result_.take_value(); }

  private:
    task& task_;
    detail::task_result<T> result_;
    detail::atomic<std::uintptr_t> meeting_; // with a parent that is no task
};

} // namespace plait

template <class T, class... Args>
struct std::coroutine_traits<plait::task<T>, Args...> {
    using promise_type = std::conditional_t<(std::is_trivially_destructible_v<Args> && ...),
                                            plait::detail::plain_promise<T>, plait::detail::task_promise<T>>;
};
