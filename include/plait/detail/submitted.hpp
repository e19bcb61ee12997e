// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/job.hpp>

namespace plait::detail {

/// A submitted function without a time limit, as queues hold it: with its future's state in one block of two
/// cache lines. Its scope is on the stack of whoever runs it, and so is there only while it runs. An entry in
/// the registry it has while it runs; with a name from the start on.
///
/// Who submits it, who runs it and who reads its result wait for each line in turn. What all need is on the
/// first: one from outside of all tasks, without a name and without captures, never touches the second.
///
/// What coroutines need, time limits and groups, `job` has.
///
/// Owners: the future; the queue, which passes its share to whoever runs the function; cancellers while they
/// are at it.
class [[gnu::visibility("default")]] submitted : public work {
  public:
    worker& owner() const noexcept { return *reinterpret_cast<worker*>(owner_); }

  protected:
    /// Counted in, in `owner`, when it is queued.
    submitted(worker& owner, const submit_options& options) noexcept;
    ~submitted() = default;

    // What it owes at its end.
    static constexpr unsigned char an_entry = 1, a_handler = 2;
    // relaxed: asked by whoever makes it, claims it, or is the last to have it.
    bool has_entry() const noexcept {
        return (place_.load(order::relaxed) & (has_node | is_scope)) == has_node;
    }
    void give_back(unsigned char what) noexcept {
        leave_registry(); // it could not be made
        if ((what & a_handler) != 0) failures_->release_owner();
    }

    /// What `this_task` and the registry show while the function runs.
    class [[gnu::visibility("default")]] running : public context {
      public:
        explicit running(submitted& self) noexcept;
        /// The function is gone; the registry knows of it no more. The scope stays: a canceller may be at it
        /// until the function is complete.
        void over() noexcept;
        running(const running&) = delete;
        running& operator=(const running&) = delete;

      private:
        execution& thread_; // a function, unlike a coroutine, stays on its thread
        context* const outer_;
        bool rests_ = false; // its entry, which is the thread's
    };

    /// The calling task is the one that submitted this, on a thread of the same pool: it may run it itself.
    bool can_help() const noexcept;
    /// Of one that does not run, or not any more.
    void leave_registry() noexcept {
        if (!has_entry()) return;
        place_.store(has_details, order::relaxed); // it is the last owner that asks again
        free_task_node(*node_);
    }
    /// The scope of the function, which runs, or is about to.
    context& scope() const noexcept;

    /// From here on `report` works, whether the executor is still there or not.
    void keep_failures(bool named) noexcept;
    void report(const std::exception_ptr& error) const noexcept;

  private:
    static constexpr unsigned address_bits = 48; // the others are zero in every program's addresses
    static constexpr std::uint64_t is_scope = std::uint64_t{1} << 63;
    static constexpr std::uint64_t has_details = std::uint64_t{1} << 62;
    static constexpr std::uint64_t has_node = std::uint64_t{1} << 61;

    const std::uint64_t owner_ : address_bits; // its address, in what `work` leaves of a word
    // Until it begins: where it was submitted; or has_details, with has_node if it has an entry in the registry. Then its
    // scope's address, with is_scope.
    atomic<std::uint64_t> place_;

    // The details, which few need, on the second line.
    std::uint64_t parent_; // the task that submitted it
    union {
        std::source_location created_;
        task_node* node_; // of one with a name, until it begins
    };
    union {
        time_point deadline_;       // until it begins
        failure_handler* failures_; // an owner's share, once it has failed
    };
    const char* name_;
};

/// R: what the future holds.
template <class R>
class submitted_base : public future_state<R>, public submitted {
  public:
    submitted_base(worker& at, const submit_options& options) noexcept
        : future_state<R>{2}, submitted{at, options} {
        if (has_entry()) this->owes_ = an_entry;
    }

    bool cancel(cancel_mode) noexcept override {
        if (this->word_.try_cancel()) {
            this->add_owner(); // the queue keeps its own
            worker& from = owner();
            settle_unstarted(cancelled_error());
            from.leave();
            return true;
        }
        if (this->done()) return false;
        if (this->word_.begin_stop()) {
            scope().stop();
            this->word_.end_stop();
            return true;
        }
        return !this->done();
    }
    /// It could not be queued, and has not been counted in.
    void give_up() noexcept {
        if (this->word_.try_cancel()) settle_unstarted(cancelled_error());
    }
    worker* producer() const noexcept override { return &owner(); }

  protected:
    ~submitted_base() = default;
    void end() noexcept {
        if (this->owes_ != 0) give_back(this->owes_);
    }

    virtual void drop_call() noexcept = 0;
    virtual void run_claimed() noexcept = 0;

    void help() noexcept override {
        if (!can_help() || !this->word_.try_start()) return;
        this->add_owner(); // the queue keeps its own, and gives it up when it comes to this
        run_claimed();
    }

    /// Popped from a queue.
    static void run_queued(submitted_base& self) noexcept {
        if (self.owner().refusing()) return refuse(self);
        if (self.word_.try_start())
            self.run_claimed();
        else
            self.release_owner(); // cancelled, or helped
    }

    static void refuse(submitted_base& self) noexcept {
        const std::exception_ptr why = self.owner().refusal();
        if (is_cancellation(why)) {
            self.cancel(cancel_mode::ask);
        } else if (self.word_.try_start()) {
            worker& from = self.owner();
            // With a scope, as if it ran: a canceller, who sees that it has been started, looks for one.
            submitted::running here{self};
            self.drop_call();
            here.over();
            self.finish(outcome<R>{why}); // may be the end of this object
            return from.leave();
        }
        self.release_owner();
    }

    /// The callable is gone first: whoever sees the result sees nothing of the task any more.
    void settle_unstarted(const std::exception_ptr& why) noexcept {
        drop_call();
        leave_registry();
        this->finish(outcome<R>{why}); // may be the end of this object
    }

    void keep_handler() noexcept override {
        keep_failures((this->owes_ & an_entry) != 0);
        this->owes_ |= a_handler;
    }
    void unobserved(const std::exception_ptr& error) noexcept override { report(error); }
};

template <class F, class... Args>
class submitted_call final : public submitted_base<kept_result_t<F, Args...>>, public pooled {
    using call = bound_call<F, Args...>;
    using R = kept_result_t<F, Args...>;
    using base = submitted_base<R>;

  public:
    template <class G, class... A>
    submitted_call(worker& at, const submit_options& options, G&& f, A&&... args) : base{at, options} {
        try {
            ::new (static_cast<void*>(&call_))
                call{std::in_place, static_cast<G&&>(f), static_cast<A&&>(args)...};
        } catch (...) {
            this->end();
            throw;
        }
        this->run_ = [](work& w) noexcept { base::run_queued(static_cast<submitted_call&>(w)); };
    }

  private:
    ~submitted_call() {} // the callable has gone before

    void run_claimed() noexcept override {
        worker& from = this->owner();
        submitted::running here{*this};
        this->store([this]() noexcept { return outcome_of(call_); });
        call_.~call();
        here.over();
        this->finish_stored(); // may be the end of this object
        from.leave();
    }
    void drop_call() noexcept override { call_.~call(); }
    completion*& hooks() noexcept override { return hooks_; }
    void destroy() noexcept override {
        this->end();
        delete this;
    }

    completion* hooks_; // the word says whether there are any
    union {             // until it has run, or is cancelled
        call call_;
    };
};

} // namespace plait::detail
