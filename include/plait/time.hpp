// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/child.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/detail/timer.hpp>

namespace plait {

namespace detail {

/// A task's wait for a moment of its executor's clock.
class [[nodiscard, gnu::visibility("default")]] sleep_awaiter final : public waiter, private timer {
  public:
    explicit sleep_awaiter(nanoseconds d) noexcept : timer{&fired}, arm_{*this}, duration_{d} {}
    sleep_awaiter(sleep_awaiter&& other) noexcept : sleep_awaiter{other.duration_} {} // before it is awaited

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume() const { check(); }

  private:
    struct arm_work : work {
        explicit arm_work(sleep_awaiter& s) noexcept : work{&arm_on_keeper}, self{s} {}
        sleep_awaiter& self;
    };
    static void fired(timer& t) noexcept;
    static void arm_on_keeper(work& w) noexcept;
    void unlink() noexcept override;
    void publish() noexcept;

    arm_work arm_;
    nanoseconds duration_;
};

/// To the back of the queue.
class [[nodiscard, gnu::visibility("default")]] yield_awaiter final : private work {
  public:
    yield_awaiter() noexcept : work{&resume_work} {}
    yield_awaiter(yield_awaiter&&) noexcept : yield_awaiter{} {}

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h);
    void await_resume() const { scope_->check(); }

  private:
    static void resume_work(work& w) noexcept;
    std::coroutine_handle<> handle_;
    context* scope_ = nullptr;
};

/// A task under a deadline: the part that does not depend on its type.
class [[gnu::visibility("default")]] timeout_core : public waiter {
  protected:
    explicit timeout_core(nanoseconds d) noexcept
        : timer_{*this},
          end_{*this},
          arm_{*this, &arm_on_keeper},
          disarm_{*this, &disarm_on_keeper},
          duration_{d} {}
    ~timeout_core() = default;

    bool expired() const noexcept { return duration_ <= nanoseconds::zero(); }
    /// False: the scope is stopped. Otherwise the child is to be started in `child_`, ending in `end_`.
    bool begin(std::coroutine_handle<> h);
    /// Throws timeout_error or cancelled, whichever is due, when the child ended by `cancelled`.
    [[noreturn]] void throw_stopped() const;
    [[noreturn]] static void throw_expired(nanoseconds d);

    context* next_child() noexcept override { return std::exchange(visited_, true) ? nullptr : &child_; }
    bool withdraw() noexcept override { return false; } // it ends when the child has ended

    struct deadline_timer : timer {
        explicit deadline_timer(timeout_core& t) noexcept : timer{&fired}, self{t} {}
        timeout_core& self;
    };
    struct end_work : work {
        explicit end_work(timeout_core& t) noexcept : work{&child_ended}, self{t} {}
        timeout_core& self;
    };
    struct step_work : work {
        step_work(timeout_core& t, function* f) noexcept : work{f}, self{t} {}
        timeout_core& self;
    };
    static void fired(timer& t) noexcept;
    static void child_ended(work& w) noexcept;
    static void arm_on_keeper(work& w) noexcept;
    static void disarm_on_keeper(work& w) noexcept;

    context child_;
    deadline_timer timer_;
    end_work end_;
    step_work arm_; // to the keeper, where that is another thread
    step_work disarm_;
    nanoseconds duration_;
    atomic<std::uint32_t> fired_{0};
    bool visited_ = false;
};

template <class T>
class [[nodiscard]] timeout_awaiter final : private timeout_core {
  public:
    timeout_awaiter(nanoseconds d, task<T>&& t) noexcept : timeout_core{d}, task_{std::move(t)} {}
    timeout_awaiter(timeout_awaiter&& other) noexcept
        : timeout_awaiter{other.duration_, std::move(other.task_)} {}

    bool await_ready() const noexcept { return expired(); }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        if (!begin(h)) return false;
        start_child(h, task_access::prepare(task_, result_, child_, end_), child_);
        return true;
    }

    T await_resume() {
        if (expired()) {
            running_scope().check();
            throw_expired(duration_);
        }
        check();
        if (is_cancellation(result_.error())) throw_stopped();
        return result_.take_value();
    }

  private:
    task<T> task_;
    task_result<T> result_;
};

} // namespace detail

/// Suspends the task for at least `d`, by its executor's clock; 0 or less is `yield()`. One timer, constant
/// time.
///
/// Cancellation:  throws `cancelled`; the timer is gone at once (test C26).
template <class Rep, class Period>
auto sleep_for(std::chrono::duration<Rep, Period> d) noexcept {
    return detail::sleep_awaiter{detail::saturated(d)};
}

/// Lets every task that is ready now run once.
///
/// Cancellation:  throws `cancelled` on return if the task was cancelled (test C10).
inline auto yield() noexcept { return detail::yield_awaiter{}; }

/// Runs `t` for at most `d`: its value or exception, or timeout_error, which comes only after `t` has ended,
/// however long it resists. A task that ends by the deadline has its value, and one that catches the
/// cancellation gives what it then returns or throws. With 0 or less it is never started; duration::max()
/// never fires.
///
///     auto page = co_await plait::timeout(5s, download(url));
///
/// Cancellation:  passed on to `t`; `cancelled` comes out, not timeout_error (test C24).
/// Nested:        of equal deadlines the outer one reports (test C25).
template <class Rep, class Period, class T>
auto timeout(std::chrono::duration<Rep, Period> d, task<T> t) noexcept {
    return detail::timeout_awaiter<T>{detail::saturated(d), std::move(t)};
}

/// The same for a future: timed out, it is cancelled. A future that is done gives its value whatever `d` is.
template <class Rep, class Period, class T>
auto timeout(std::chrono::duration<Rep, Period> d, future<T> f) {
    const bool done = f.done();
    return detail::timeout_awaiter<T>{done ? detail::nanoseconds::max() : detail::saturated(d),
                                      detail::as_task(std::move(f))};
}

/// The same for any other wait, of a socket say: `co_await plait::timeout(5s, stream.read(buffer))`.
template <class Rep, class Period, detail::awaiter A>
auto timeout(std::chrono::duration<Rep, Period> d, A wait) {
    return timeout(d, detail::as_task(std::move(wait)));
}
template <class Rep, class Period, detail::fragile A>
auto timeout(std::chrono::duration<Rep, Period>, A&&) {
    detail::refuse_fragile<A>();
}

} // namespace plait
