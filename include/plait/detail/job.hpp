// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>
#include <plait/detail/invoke.hpp>
#include <plait/detail/state.hpp>
#include <plait/task.hpp>

namespace plait {

/// Which of an executor's waiting tasks start first. Never starves: see the executor.
enum class priority : unsigned char { high, normal, low };

/// How to run one task; every field may be left out: `ex.submit({.name = "parse", .timeout = 5s}, fn,
/// args...)`.
struct submit_options {
    /// For `dump_tasks()`, traces and messages. Not copied: a literal, or something that outlives the task
    /// and its future.
    const char* name = nullptr;
    /// How often a task is run again when its worker process died under it.
    int retries = 0;
    /// From the task's start. A coroutine is stopped as by `plait::timeout`; a function is asked to stop, and
    /// timeout_error comes when it has returned; a process task's worker is killed.
    detail::nanoseconds timeout = detail::nanoseconds::max();
    /// Where tasks queue for workers: thread and process pools. A loop runs all that is ready in turn.
    plait::priority priority = priority::normal;
    std::source_location created = std::source_location::current();
};

namespace detail {

class group_core;

/// A place in a group's lists; a list is a ring with a link that belongs to nobody.
struct group_link {
    group_link* before = this;
    group_link* after = this;

    bool alone() const noexcept { return after == this; }
    void unlink() noexcept {
        before->after = after;
        after->before = before;
        before = after = this;
    }
    void insert_before(group_link& at) noexcept {
        before = at.before;
        after = &at;
        before->after = this;
        at.before = this;
    }
};

/// A submitted task, its scope and its future's state in one block: what queues hold, as `work`.
///
/// Owners: the future; the queue, which passes its share to whoever runs the task; cancellers and helpers
/// while they are at it.
class [[gnu::visibility("default")]] job_core : public work, public context, public group_link {
  public:
    job_core(worker& home, const submit_options& options);

    virtual bool is_done() const noexcept = 0;
    /// Ownership, for a group that stops its children.
    virtual void keep() noexcept = 0;
    virtual void let_go() noexcept = 0;
    /// Of one that was never queued: cancelled, and the queue's share given up.
    virtual void cancel_unqueued() noexcept = 0;
    virtual bool claimed() const noexcept = 0;
    /// Runs it in this thread, if nobody has begun it.
    virtual void run_if_unclaimed() noexcept = 0;

    group_core* group = nullptr; // the group that waits for it, if any
    bool counted = true;         // in its executor: the last thing that it does is to leave that
    /// The executor that counted it in; `home` may move.
    worker& owner() const noexcept { return *owner_; }

  protected:
    ~job_core();

    /// Around the task itself: what `this_task` shows, and the time-out.
    void begin() noexcept;
    /// True: its time was over. timeout_error takes the place of `cancelled`, and of a function's late value.
    bool end() noexcept;

    /// The calling task is the one that submitted this, on a thread of the same pool: it may run it itself.
    bool can_help() const noexcept;
    /// Leaves the registry and the executor's list of coroutines; the executor itself is left last, by the
    /// caller.
    void leave_registry() noexcept;

    /// Off the group's list; a failure stops the others. Then, when the result is out, `member_gone`.
    void leave_group(const std::exception_ptr& error) noexcept;
    static void member_gone(group_core& g) noexcept;

    std::exception_ptr timeout_failure() const noexcept;

    /// From here on `report` works, whether the executor is still there or not.
    void keep_failures() noexcept;
    /// Nobody will see this failure.
    void report(const std::exception_ptr& error) const noexcept;

    const char* name_;
    worker* const owner_;
    bool is_coroutine_ = false;

  private:
    struct time_limit; // a timer on the home's keeper
    std::uint64_t parent_;
    nanoseconds timeout_;
    time_limit* limit_ = nullptr;
    failure_handler* failures_ = nullptr; // an owner's share, once it has failed
};

/// R: what the future holds.
template <class R>
class job_base : public hooked_state<R>, public job_core {
  public:
    job_base(worker& at, const submit_options& options) : hooked_state<R>{2}, job_core{at, options} {}

    bool cancel(cancel_mode) noexcept override {
        if (this->word_.try_cancel()) {
            this->add_owner();
            drop_call();
            settle_result(outcome<R>{cancelled_error()});
            return true;
        }
        if (this->done()) return false;
        stop();
        return true;
    }

    worker* producer() const noexcept override { return owner_; } // not home: that is the task's to change
    bool is_done() const noexcept override { return this->done(); }
    void keep() noexcept override { this->add_owner(); }
    void let_go() noexcept override { this->release_owner(); }
    void cancel_unqueued() noexcept override {
        cancel(cancel_mode::ask);
        this->release_owner();
    }
    bool claimed() const noexcept override {
        return this->word_.is(future_word<>::started | future_word<>::ready);
    }
    void run_if_unclaimed() noexcept override {
        if (this->stopped()) this->cancel(cancel_mode::ask);
        if (!this->word_.try_start()) return;
        this->add_owner(); // the queue keeps its own, and gives it up when it comes to this job
        run_claimed();
    }

  protected:
    ~job_base() = default;

    virtual void drop_call() noexcept = 0;
    virtual void run_claimed() noexcept = 0;

    void help() noexcept override {
        if (can_help()) run_if_unclaimed();
    }

    /// Popped from a queue.
    static void run_queued(job_base& self) noexcept {
        if (self.owner_->refusing()) return refuse(self);
        if (self.stopped()) self.cancel(cancel_mode::ask); // by its group, while it was queued
        if (self.word_.try_start())
            self.run_claimed();
        else
            self.release_owner(); // cancelled, or helped
    }

    static void refuse(job_base& self) noexcept {
        const std::exception_ptr why = self.owner_->refusal();
        if (is_cancellation(why)) {
            self.cancel(cancel_mode::ask);
        } else if (self.word_.try_start()) {
            self.drop_call();
            return self.settle_result(outcome<R>{why});
        }
        self.release_owner();
    }

    /// The callable is gone by now: whoever sees the result sees nothing of the task any more.
    void settle_result(outcome<R>&& result) noexcept {
        worker* const from = counted ? owner_ : nullptr;
        group_core* const in = group;
        leave_registry();
        if (in) leave_group(result ? nullptr : result.error());
        this->finish(std::move(result)); // may be the end of this object
        if (from) from->leave();
        if (in) member_gone(*in);
    }

    void finish_run(outcome<R>&& result) noexcept {
        // A coroutine that catches the stop gives what it then returns, as under `plait::timeout`.
        if (end() && (result ? !is_coroutine_ : is_cancellation(result.error())))
            settle_result(outcome<R>{timeout_failure()});
        else
            settle_result(std::move(result));
    }

    void keep_handler() noexcept override { keep_failures(); }
    void unobserved(const std::exception_ptr& error) noexcept override { report(error); }
};

/// What `submit(f, args...)` gives: the callable and the arguments decayed, a task<R> driven to its R.
template <class F, class... Args>
using submit_result_t = task_value_t<std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>>;

template <class F, class... Args>
class job final : public job_base<task_value_t<std::invoke_result_t<F, Args...>>>, public pooled {
    using call = bound_call<F, Args...>;
    using direct = std::invoke_result_t<F, Args...>;
    using R = task_value_t<direct>;
    using base = job_base<R>;

  public:
    template <class G, class... A>
    job(worker& at, const submit_options& options, G&& f, A&&... args)
        : base{at, options},
          call_{std::in_place, std::in_place, static_cast<G&&>(f), static_cast<A&&>(args)...} {
        this->run_ = [](work& w) noexcept { base::run_queued(static_cast<job&>(w)); };
        this->unstarted_ = true;
        this->is_coroutine_ = is_task<direct>;
    }

  private:
    void run_claimed() noexcept override {
        this->begin();
        if constexpr (is_task<direct>) {
            auto started = in_scope([this]() noexcept { return outcome_of(*call_); });
            if (!started) {
                call_.reset();
                return this->finish_run(outcome<R>{started.error()});
            }
            coroutine_.end.self = this;
            resume(task_access::prepare(*started, coroutine_.result, *this, coroutine_.end), *this);
        } else {
            auto result = in_scope([this]() noexcept { return outcome_of(*call_); });
            call_.reset();
            this->finish_run(std::move(result));
        }
    }

    void ended() noexcept
        requires is_task<direct>
    {
        outcome<R> result{coroutine_.result.take_outcome()};
        call_.reset(); // nothing of the frame refers to it any more
        this->finish_run(std::move(result));
    }

    void drop_call() noexcept override { call_.reset(); }
    void destroy() noexcept override { delete this; }

    template <class G>
    auto in_scope(G&& g) noexcept {
        execution& e = current();
        context* const outer = std::exchange(e.scope, this);
        auto result = g();
        current().scope = outer;
        return result;
    }

    // What its end comes to. Not the job itself: that is still in a queue if a waiter has begun it.
    struct end_work : work {
        end_work() noexcept : work{[](work& w) noexcept { static_cast<end_work&>(w).self->ended(); }} {}
        job* self = nullptr;
    };
    struct a_coroutine {
        task_result<R> result;
        end_work end;
    };
    struct no_coroutine {};
    std::optional<call> call_;
    [[no_unique_address]] std::conditional_t<is_task<direct>, a_coroutine, no_coroutine> coroutine_;
};

} // namespace detail
} // namespace plait
