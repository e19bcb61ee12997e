// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <plait/detail/chrono.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/future_word.hpp>
#include <plait/outcome.hpp>
#include <utility>

namespace plait {

/// How hard to cancel what runs already; see `future::cancel`.
enum class cancel_mode : unsigned char {
    ask, ///< request a stop; the task ends when it notices
    kill ///< a process task's worker is killed and replaced; elsewhere the same as `ask`
};

namespace detail {

class worker;

/// What a future and whoever produces its value share, but for the value.
class [[gnu::visibility("default")]] state_base {
  public:
    /// `owners`: one for the future, one for the producer.
    explicit state_base(unsigned owners) noexcept : word_{owners} {}
    state_base(const state_base&) = delete;
    state_base& operator=(const state_base&) = delete;

    bool done() const noexcept { return word_.is(word_t::ready); }
    bool cancelled() const noexcept {
        return (word_.load() & (word_t::ready | word_t::cancelled)) == (word_t::ready | word_t::cancelled);
    }

    /// As `future::cancel`.
    virtual bool cancel(cancel_mode mode) noexcept = 0;

    /// Blocks until done or until the deadline; true if done. Without a deadline it first runs the task here,
    /// if it is a child of the calling task that nobody has begun. Throws logic_error where waiting could
    /// never end.
    bool wait_until(time_point deadline) { return done() || wait_long(deadline); }

    using added = future_word<>::added;
    added add_hook(completion& c) noexcept { return word_.add_hook(c, hooks()); }
    bool remove_hook(completion& c) noexcept { return word_.remove_hook(c, hooks()); }

    void add_owner() noexcept { word_.add_owner(); }
    void release_owner() noexcept {
        if (word_.release_owner()) destroy();
    }
    /// The future goes: nobody will ask for the result. A failure that is still in it is reported.
    void abandon() noexcept {
        if (word_.is_last_of_ready()) {
            if (unread_) report_unread();
            return destroy();
        }
        if ((word_.drop() & word_t::ready) && unread_) report_unread();
        release_owner();
    }

    /// What every blocking wait does first: runs the task here, if it is a child of the calling task that
    /// nobody has begun, and the wait has no deadline (the task may take longer, or wait for what the caller
    /// does next). Throws logic_error where waiting could never end.
    void before_blocking(time_point deadline);

    /// The one loop that produces it, if there is one: to wait for it there would be for ever.
    virtual worker* producer() const noexcept { return nullptr; }

  protected:
    using word_t = future_word<>;
    ~state_base() = default;

    /// Where the word's hooks are.
    virtual completion*& hooks() noexcept = 0;
    /// Called once, by whoever gives up the last ownership.
    virtual void destroy() noexcept = 0;
    /// A chance to run the task in the waiting thread.
    virtual void help() noexcept {}
    /// Before a thread sleeps for this one alone, and for as long as it takes: a chance to wait in a better way. May
    /// return before it is done.
    virtual void attend() noexcept {}
    /// It has failed, and is about to say so: from then on `unobserved` may come at any time, when the
    /// executor is gone, too.
    virtual void keep_handler() noexcept {}
    /// Nobody will see this failure. Called once at most.
    virtual void unobserved(const std::exception_ptr& error) noexcept;
    /// The failure that it holds.
    virtual const std::exception_ptr& failure() const noexcept = 0;

    /// The result is stored: publish it. `error` is what was stored, or null.
    void complete(const std::exception_ptr& error, bool was_cancelled) noexcept;

    word_t word_;
    // The producer's until it is complete, then the future's:
    bool unread_ = false; // it holds a failure
    bool stored_ = false; // it holds a result
    // For whoever destroys it: what there is to give back besides memory. Here, on a line that is looked at
    // anyway.
    unsigned char owes_ = 0;

  private:
    bool wait_long(time_point deadline);
    void complete_failed() noexcept;
    void report_unread() noexcept;
};

/// The same with room for a T (void and references too).
template <class T>
class future_state : public state_base {
  public:
    explicit future_state(unsigned owners) noexcept : state_base{owners} {}

    /// Requires done(). Leaves nothing behind.
    T take() { return take_outcome().value(); }
    outcome<T> take_outcome() noexcept {
        outcome<T> result{std::move(result_)};
        drop_result();
        unread_ = false;
        return result;
    }
    /// Requires done().
    bool failed() const noexcept { return !result_.has_value(); }

  protected:
    ~future_state() { drop_result(); }

    void finish(outcome<T>&& result) noexcept {
        store([&result] { return outcome<T>{std::move(result)}; });
        finish_stored();
    }
    /// What `make` gives, where it stays; finish_stored() then publishes it.
    template <class Make>
    void store(Make make) noexcept {
        ::new (static_cast<void*>(&result_)) outcome<T>(make());
        stored_ = true;
    }
    void finish_stored() noexcept {
        if (result_.has_value())
            complete(nullptr, false);
        else
            complete(result_.error(), is_cancelled(result_.error()));
    }

    const std::exception_ptr& failure() const noexcept final { return result_.error(); }

  private:
    static bool is_cancelled(const std::exception_ptr& error) noexcept;
    void drop_result() noexcept {
        if (std::exchange(stored_, false)) result_.~outcome();
    }
    union { // there if stored_ says so
        outcome<T> result_;
    };
};

/// The same with the place for who waits for it, which a `submitted` has elsewhere.
template <class T>
class hooked_state : public future_state<T> {
  public:
    explicit hooked_state(unsigned owners) noexcept : future_state<T>{owners} {}

  protected:
    ~hooked_state() = default;
    completion*& hooks() noexcept final { return hooks_; }

  private:
    completion* hooks_ = nullptr;
};

/// Is it a `plait::cancelled`?
[[gnu::visibility("default")]] bool is_cancellation(const std::exception_ptr& error) noexcept;

template <class T>
bool future_state<T>::is_cancelled(const std::exception_ptr& error) noexcept {
    return is_cancellation(error);
}

[[noreturn, gnu::visibility("default")]] void throw_no_state();
[[gnu::visibility("default")]] std::exception_ptr cancelled_error() noexcept;

} // namespace detail
} // namespace plait
