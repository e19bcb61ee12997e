// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <plait/detail/chrono.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/state.hpp>
#include <utility>

namespace plait {

template <class T>
class promise;

namespace detail {
template <class T>
class future_awaiter;
struct future_access;
} // namespace detail

/// The result of a task that was submitted somewhere: a value, or the exception that took its place.
///
///     plait::future<std::size_t> f = pool.submit(count_words, path);
///     std::size_t words = f.get();         // a thread waits; in a coroutine: co_await f
///
/// It ends in exactly one way: value, exception, `cancelled`, or (process tasks) `worker_lost`. Reading it,
/// by `get` or `co_await`, consumes it. T may be void, move-only or a reference.
///
/// Threads:       one thread at a time, but for `cancel`, `done` and `cancelled`, which any thread may call.
/// Lifetime:      destroying it neither blocks nor cancels (unlike std::async's); a failure that then nobody
///                sees goes to the executor's handler.
/// Cancellation:  a coroutine that is cancelled while it awaits a future cancels the future (`shield` it
///                otherwise); test C9.
/// Errors:        on a future without state every member throws std::future_error (no_state).
/// Cost:          one allocation for task and future together; done() is one load, get() of a finished one no
///                more.
template <class T>
class future {
  public:
    using value_type = T;

    future() noexcept = default;
    future(future&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
    future& operator=(future&& other) noexcept {
        future{std::move(other)}.swap(*this);
        return *this;
    }
    ~future() {
        if (state_) state_->abandon();
    }

    void swap(future& other) noexcept { std::swap(state_, other.state_); }

    bool valid() const noexcept { return state_ != nullptr; }

    /// Waits, then hands over the value or rethrows the very exception object. In a worker it first runs the
    /// task itself if that is a child of the calling task that nobody has begun. Throws logic_error on the
    /// loop that has to produce the value: it would wait for ever.
    T get() {
        state().wait_until(detail::time_point::max());
        const future self{std::move(*this)};
        return self.state_->take();
    }

    /// The same, but the exception comes as a value.
    outcome<T> get_outcome() {
        state().wait_until(detail::time_point::max());
        const future self{std::move(*this)};
        return self.state_->take_outcome();
    }

    /// Waits without reading.
    void wait() const { state().wait_until(detail::time_point::max()); }

    /// Waits for at most `d`; 0 or less polls, duration::max() waits for ever. True if done. Neither cancels
    /// nor consumes.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> d) const {
        const detail::nanoseconds ns = detail::saturated(d);
        if (ns <= detail::nanoseconds::zero()) return done();
        return state().wait_until(detail::deadline_in(ns));
    }

    bool done() const { return state().done(); }
    /// Ended by cancellation.
    bool cancelled() const { return state().cancelled(); }

    /// Queued: the task never runs, and the future is done when this returns. Running: it is asked to stop
    /// (see `this_task::stop_token`), or its worker killed (`cancel_mode::kill`, process tasks only); if it
    /// does not stop, its value arrives. False: it was done already.
    bool cancel(cancel_mode mode = cancel_mode::ask) { return state().cancel(mode); }

    detail::future_awaiter<T> operator co_await() & { return detail::future_awaiter<T>{take_state()}; }
    detail::future_awaiter<T> operator co_await() && { return detail::future_awaiter<T>{take_state()}; }

  private:
    friend struct detail::future_access;
    friend class promise<T>;

    explicit future(detail::future_state<T>& state) noexcept : state_{&state} {}

    detail::future_state<T>& state() const {
        if (!state_) detail::throw_no_state();
        return *state_;
    }
    detail::future_state<T>& take_state() {
        if (!state_) detail::throw_no_state();
        return *std::exchange(state_, nullptr);
    }

    detail::future_state<T>* state_ = nullptr;
};

namespace detail {

/// For the rest of the library: a future's state, without making it public.
struct future_access {
    template <class T>
    static future<T> make(future_state<T>& state) noexcept {
        return future<T>{state};
    }
    template <class T>
    static future_state<T>& state(const future<T>& f) {
        return f.state();
    }
    template <class T>
    static future_state<T>& take(future<T>& f) {
        return f.take_state();
    }
};

/// A task's wait for a future; owns it meanwhile.
class [[gnu::visibility("default")]] future_waiter : public waiter, public completion {
  public:
    explicit future_waiter(state_base& state) noexcept : state_{&state} {}
    future_waiter(future_waiter&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}

    bool await_ready() const { return state_->done() && !running_scope().stopped() && spend_budget(); }
    bool await_suspend(std::coroutine_handle<> h);

    bool link() noexcept override { return pend(); }
    bool claim() noexcept override { return complete(); }
    void fire() noexcept override { post(); }

  protected:
    ~future_waiter() {
        if (state_) state_->abandon();
    }
    void unlink() noexcept override;
    state_base* state_;
};

template <class T>
class future_awaiter final : public future_waiter {
  public:
    explicit future_awaiter(future_state<T>& state) noexcept : future_waiter{state} {}
    T await_resume() {
        check();
        return static_cast<future_state<T>*>(state_)->take();
    }
};

/// The state behind a promise.
template <class T>
class promise_state final : public hooked_state<T>, public pooled {
  public:
    promise_state() noexcept : hooked_state<T>{2} {}

    bool cancel(cancel_mode) noexcept override {
        if (this->done()) return false;
        if (this->word_.try_cancel()) {
            this->add_owner();
            this->finish(outcome<T>{cancelled_error()});
            return true;
        }
        return !this->done();
    }
    void set(outcome<T>&& result) noexcept {
        if (!this->word_.try_start()) return; // the consumer has cancelled: nobody wants it
        this->add_owner();
        this->finish(std::move(result));
    }

  private:
    void destroy() noexcept override { delete this; }
};

[[noreturn, gnu::visibility("default")]] void throw_already_satisfied();
[[noreturn, gnu::visibility("default")]] void throw_already_retrieved();
[[gnu::visibility("default")]] std::exception_ptr broken_promise_error() noexcept;

} // namespace detail

/// The producing end of a future, for adapters to what calls back. Tasks need none: `submit` makes their
/// future.
///
///     plait::promise<reply> p;
///     auto f = p.get_future();
///     client.on_reply([p = std::move(p)](reply r) mutable { p.set_value(std::move(r)); });
///     reply r = co_await f;
///
/// Threads:  one thread at a time; the future may be used elsewhere meanwhile.
/// Errors:   setting it twice throws std::future_error (promise_already_satisfied), and the first result
///           stays. Destroyed unset, the future gets std::future_error (broken_promise). Setting it after the
///           consumer cancelled does nothing.
template <class T>
class promise {
  public:
    promise() : state_{new detail::promise_state<T>} {}
    promise(promise&& other) noexcept
        : state_{std::exchange(other.state_, nullptr)}, retrieved_{other.retrieved_}, set_{other.set_} {}
    promise& operator=(promise&& other) noexcept {
        promise tmp{std::move(other)};
        std::swap(state_, tmp.state_);
        std::swap(retrieved_, tmp.retrieved_);
        std::swap(set_, tmp.set_);
        return *this;
    }
    ~promise() {
        if (!state_) return;
        if (!set_) state_->set(outcome<T>{detail::broken_promise_error()});
        if (!retrieved_) state_->abandon();
        state_->release_owner();
    }

    /// Once.
    [[nodiscard]] future<T> get_future() {
        check_state();
        if (std::exchange(retrieved_, true)) detail::throw_already_retrieved();
        return detail::future_access::make<T>(*state_);
    }

    template <class... U>
    void set_value(U&&... value) {
        if constexpr (std::is_void_v<T>)
            set(outcome<T>{});
        else
            set(outcome<T>{std::forward<U>(value)...});
    }
    void set_exception(std::exception_ptr error) { set(outcome<T>{std::move(error)}); }
    void set_outcome(outcome<T> result) { set(std::move(result)); }

    /// The consumer does not want it any more.
    bool cancelled() const noexcept { return state_ && state_->cancelled(); }

  private:
    void check_state() const {
        if (!state_) detail::throw_no_state();
    }
    void set(outcome<T>&& result) {
        check_state();
        if (std::exchange(set_, true)) detail::throw_already_satisfied();
        state_->set(std::move(result));
    }

    detail::promise_state<T>* state_;
    bool retrieved_ = false;
    bool set_ = false;
};

} // namespace plait
