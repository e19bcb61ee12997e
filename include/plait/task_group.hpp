// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/child.hpp>
#include <plait/detail/fork.hpp>
#include <plait/detail/fragile.hpp>
#include <plait/detail/group.hpp>

namespace plait {

namespace detail {
struct group_access;
}

/// Tasks that belong together: none outlives the group, and the first failure stops the rest.
///
/// In a coroutine a group comes from `with_group`. In a thread:
///
///     plait::task_group group{pool};
///     group.spawn(build_index, left);
///     group.spawn(build_index, right);
///     group.wait();                       // throws error_group with all real failures
///
/// To divide and conquer, `run` forks a function for the price of a few dozen instructions:
///
///     long a = 0;                         // in fib(pool, n)
///     plait::task_group halves{pool};
///     halves.run([&] { a = fib(pool, n - 1); });
///     const long b = fib(pool, n - 2);
///     halves.wait();
///
/// Threads:       `spawn`, `run` and `cancel` from any thread while the group lives; `wait` by its owner.
/// Cancellation:  `cancel()` stops every child; the group then ends quietly. A child that is cancelled
///                through its own future leaves the others alone (test C13).
/// Errors:        a child's failure is in its future as well. Spawning into a group that is stopping gives a
///                cancelled future; into one that has ended, logic_error.
/// Lifetime:      the destructor cancels and waits.
class [[gnu::visibility("default")]] task_group {
  public:
    /// Its tasks run on `ex`, one of the executors of this process. Throws logic_error on the very loop that
    /// would run them, since it could not wait there.
    template <class Executor>
        requires requires(Executor& e) {
            { e.admit() } -> std::same_as<detail::worker&>;
        }
    explicit task_group(Executor& ex)
        : home_{&ex.next_worker()},
          executor_{&ex},
          admit_{[](void* e) -> detail::worker& { return static_cast<Executor*>(e)->admit(); }} {
        detail::execution& e = detail::current();
        if (e.forks && e.worker == home_ && (e.scope || e.light))
            forks_.belong_to(e);
        else
            refuse_own_loop();
    }
    ~task_group() {
        if (!admit_) return; // with_group has waited
        if (quiet()) return;
        cancel_and_wait();
    }
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    /// As an executor's submit. The task's captures and arguments live until it has ended.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    auto spawn(F&& fn, Args&&... args) {
        return start(submit_options{.created = {}}, std::forward<F>(fn), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    auto spawn(const submit_options& options, F&& fn, Args&&... args) {
        return start(options, std::forward<F>(fn), std::forward<Args>(args)...);
    }
    template <class T>
    future<T> spawn(task<T> t, std::source_location created = std::source_location::current()) {
        return start(submit_options{.created = created},
                     [t = std::move(t)]() mutable { return std::move(t); });
    }

    /// Forks `fn()`, whose result is dropped: a child without a future and without an entry of its own in
    /// `dump_tasks()`; it has its parent's name there. In a function that runs on a thread of the pool
    /// nothing is allocated, and nothing shared is written unless another thread steals it; the newest fork
    /// not stolen is run by `wait`, as a call. Elsewhere it is as `spawn`. For coroutine functions: `spawn`.
    /// In a group that is stopping it is dropped. Errors: `fn`'s come out of `wait`; bad_alloc.
    template <class F>
        requires std::invocable<std::decay_t<F>&>
    void run(F&& fn, std::source_location created = std::source_location::current()) {
        static_assert(!detail::is_task<std::invoke_result_t<std::decay_t<F>&>>,
                      "plait: task_group::run takes a function; a coroutine needs spawn");
        if (forks_.belongs_to(detail::current())) return forks_.run(std::forward<F>(fn));
        if constexpr (std::is_trivially_copyable_v<std::decay_t<F>>) {
            // Nobody but us has seen the address of `fn`, so that it need not be made in memory and copied from
            // there: of words that were only just written that costs 4 ns.
            std::decay_t<F> copy = fn;
            run_elsewhere(created, std::move(copy));
        } else {
            run_elsewhere(created, std::forward<F>(fn));
        }
    }

    /// Stops every child, and whoever is spawned from now on. The group then ends quietly.
    void cancel() noexcept { core().cancel(true); }

    /// Blocks until all children have ended, running those that nobody has begun if this is a thread of their
    /// pool. Throws error_group. On a loop: logic_error; use with_group there.
    void wait() {
        forks_.join();
        if (forks_.scope() && quiet()) return;
        wait_for_children();
    }

  private:
    friend struct detail::group_access;
    explicit task_group(detail::worker& home) : home_{&home} {}

    detail::group_core& core() noexcept { return forks_.core().get(*home_, forks_.scope()); }
    /// No fork and no child is left, and none has failed or was stopped.
    bool quiet() noexcept {
        if (!forks_.idle()) return false;
        const detail::group_core* const core = forks_.core().if_made();
        return !core || core->quiet();
    }

    template <class F, class... Args>
    auto start(const submit_options& options, F&& fn, Args&&... args) {
        using job = detail::job<std::decay_t<F>, std::decay_t<Args>...>;
        using R = detail::submit_result_t<F, Args...>;
        detail::worker& home = admit_ ? admit_(executor_) : *home_;
        job* j = nullptr;
        try {
            j = new job{home, options, std::forward<F>(fn), std::forward<Args>(args)...};
        } catch (...) {
            if (admit_) home.leave();
            throw;
        }
        j->counted = admit_ != nullptr;
        detail::submit_future_t<R, F, Args...> result{detail::future_access::make<R>(*j)};
        if (admit(*j)) {
            admit_ ? home.post(*j) : home.post_child(*j);
        } else {
            j->cancel_unqueued();
        }
        return result;
    }
    template <class F>
    [[gnu::noinline]] void run_elsewhere(std::source_location created, F&& fn) {
        static_cast<void>(start(submit_options{.created = created}, std::forward<F>(fn)));
    }
    void refuse_own_loop() const;
    bool admit(detail::job_core& child);
    void wait_for_children();
    void wait_quietly();
    void cancel_and_wait() noexcept;

    detail::worker* home_;
    detail::fork_group forks_; // of the thread of the pool that is to wait; and the core
    void* executor_ = nullptr; // null: with_group's
    detail::worker& (*admit_)(void* executor) = nullptr; // counts a child in
};

namespace detail {

struct group_access {
    static task_group make(worker& home) { return task_group{home}; }
    static group_core& core(task_group& g) noexcept { return g.core(); }
};

/// The wait of the task that `with_group` is: for the body and every child. It ends when the last one has.
class [[gnu::visibility("default")]] group_join : public waiter {
  public:
    explicit group_join(group_core& core) noexcept : core_{core}, last_{*this} {}

    context* next_child() noexcept override { return core_.next_to_stop(began_); }
    bool withdraw() noexcept override { return false; }

  protected:
    ~group_join() = default;
    /// False: the scope is stopped, and nothing has begun.
    bool begin(std::coroutine_handle<> h);

    group_core& core_;
    context body_;

  private:
    struct last_work : work {
        explicit last_work(group_join& j) noexcept : work{&everybody_gone}, self{j} {}
        group_join& self;
    };
    static void everybody_gone(work& w) noexcept;

  protected:
    last_work last_;
    bool began_ = false;
};

/// The same with the body in it, which is a task.
template <class T>
class [[nodiscard]] group_awaiter final : public group_join {
  public:
    group_awaiter(group_core& core, task<T>&& body) noexcept
        : group_join{core}, body_end_{*this}, task_{std::move(body)} {}
    group_awaiter(group_awaiter&&) = delete;

    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        if (!begin(h)) return false;
        start_child(h, task_access::prepare(task_, result_, body_, body_end_), body_);
        return true;
    }
    outcome<T> await_resume() {
        check();
        return result_.take_outcome();
    }

  private:
    struct end_work : work {
        explicit end_work(group_awaiter& a) noexcept : work{&body_ended}, self{a} {}
        group_awaiter& self;
    };
    static void body_ended(work& w) noexcept {
        group_awaiter& self = static_cast<end_work&>(w).self;
        if (const std::exception_ptr error = self.result_.error()) {
            if (!is_cancellation(error)) self.core_.add_error(error);
            self.core_.cancel(false);
        }
        self.core_.member_gone();
    }

    end_work body_end_;
    task<T> task_;
    task_result<T> result_;
};

/// The body as a task, whatever it is.
template <class T, class F>
task<T> group_body(F& fn, task_group& group) {
    if constexpr (is_task<std::invoke_result_t<F&, task_group&>>)
        co_return co_await fn(group);
    else
        co_return fn(group);
}

/// What a group whose members have all gone comes to, but for the body's value: throws, or returns.
[[gnu::visibility("default")]] void settle_group(group_core& core, const context& scope, bool body_cancelled,
                                                 bool body_is_void);

/// What with_group is, with the body owned by its frame.
template <class T, class F>
task<T> run_group(F fn) {
    context& scope = running_scope();
    task_group group = group_access::make(*scope.home);
    group_core& core = group_access::core(group);
    group_awaiter<T> members{core, group_body<T>(fn, group)};
    outcome<T> body = co_await members;
    core.end();
    settle_group(core, scope, !body && is_cancellation(body.error()), std::is_void_v<T>);
    if constexpr (std::is_void_v<T>)
        co_return;
    else
        co_return std::move(body).value();
}

/// A task that has to be given a name before it is awaited, on compilers that break the alternative; see
/// fragile_future. It is and converts to task<T>.
template <class T>
class [[nodiscard]] fragile_task : public task<T> {
  public:
    using must_be_named = void; // see detail/child.hpp: fragile

    fragile_task() noexcept = default;
    explicit fragile_task(task<T>&& t) noexcept : task<T>{std::move(t)} {}

    template <class U = T>
    typename task<U>::awaiter operator co_await() && noexcept {
        static_assert(
            never<U>,
            "plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a "
            "co_await expression. Name the task first: plait::task<> all = plait::with_group([data](auto& "
            "group) {...}); co_await std::move(all);");
        return static_cast<task<T>&&>(*this).operator co_await();
    }
};
template <class T>
inline constexpr bool is_task<fragile_task<T>> = true;
template <class T>
struct task_value<fragile_task<T>> : task_value<task<T>> {};

template <class F>
using group_value_t = task_value_t<std::invoke_result_t<std::decay_t<F>&, task_group&>>;
template <class F>
using group_task_t =
    std::conditional_t<is_fragile<F&&>, fragile_task<group_value_t<F>>, task<group_value_t<F>>>;

} // namespace detail

/// Runs `fn(group)`, which spawns tasks into the group, and ends when it and all of them have ended: its
/// value.
///
///     co_await plait::with_group([&](plait::task_group& group) -> plait::task<> {
///         for (;;) group.spawn(answer_to, co_await listener.accept());
///     });
///
/// `fn(group)` may be a coroutine or a function, with captures; it is kept until the end. What is spawned
/// owns its callable and arguments likewise.
///
/// Cancellation:  reaches the body and every child; `cancelled` comes out when all have ended (test C16).
///                `group.cancel()` ends the group quietly (test C17).
/// Errors:        error_group with **all** real failures, the body's among them, in the order in which they
///                happened; the first one stops the rest. If the awaiting task is cancelled meanwhile, its
///                next wait throws.
template <class F>
    requires std::invocable<std::decay_t<F>&, task_group&>
auto with_group(F&& fn) {
    return detail::group_task_t<F>{
        detail::run_group<detail::group_value_t<F>, std::decay_t<F>>(std::forward<F>(fn))};
}

} // namespace plait
