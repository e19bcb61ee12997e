// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <plait/detail/context.hpp>
#include <plait/detail/deque.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/group.hpp>
#include <type_traits>

namespace plait::detail {

/// A pool thread's forks: the newest is its own to run, the oldest the others'.
class fork_deque : public deque<work> {
  public:
    /// `sleepers`: how many threads could be woken for a fork.
    void belong_to(worker& home, const atomic<std::uint32_t>& sleepers) noexcept {
        home_ = &home;
        sleepers_ = &sleepers;
    }

    /// False: there is no memory for it, so it has to be run here and now.
    bool fork(work& w) noexcept {
        if (!push(w)) return false;
        // Not both overlook the other: see deque and the pool's sleep().
        if (sleepers_->load(order::seq_cst) != 0) home_->work_added();
        return true;
    }

  private:
    worker* home_ = nullptr;
    const atomic<std::uint32_t>* sleepers_ = nullptr;
};

class fork_group;

/// A function that task_group::run has forked.
///
/// Run by the thread that forked it, when that waits: a call. Run by a thread that has stolen it: as work.
/// While it runs there, `thief` and `base` say in which deque the forks of its own stand, and from where on:
/// those the waiting thread may help with, since they descend from it.
struct fork : work {
    enum class what : bool { destroy, run };
    using call = void(fork&, what); // destroys the function in any case
    using release = void(fork&) noexcept;

    fork(fork_group& g, call* c, release* r) noexcept;

    call* const call_;
    release* const release_; // gives its memory back; null: it is the group's
    fork_group* const group;
    fork* older = nullptr; // the one that was forked before, of those that this thread has not taken back
    std::int64_t base = 0;
    atomic<fork_deque*> thief{nullptr};
};

template <class F>
struct fork_of final : fork, pooled {
    template <class G>
    fork_of(fork_group& g, bool in_group, G&& fn)
        : fork{g, &finish, in_group ? nullptr : &give_back}, fn_(static_cast<G&&>(fn)) {}
    ~fork_of() {}

    static void finish(fork& f, what w) {
        fork_of& self = static_cast<fork_of&>(f);
        struct destroyer { // also if it throws
            fork_of& self;
            ~destroyer() { self.fn_.~F(); }
        } const at_end{self};
        if (w == what::run) static_cast<void>(self.fn_());
    }
    static void give_back(fork& f) noexcept { delete static_cast<fork_of*>(&f); }

    union { // it ends before its memory does
        F fn_;
    };
};

/// The forks of one task_group: made, taken back and waited for by one thread of a pool. Elsewhere there can
/// be none: then it belongs to no thread.
///
/// `pending_` counts those that this thread has forked and not taken back. When its deque gives none back any
/// more they are with thieves, and `ended_` counts those that are through. For a fork that is not stolen
/// nothing atomic is written but the deque's own words.
class [[gnu::visibility("default")]] fork_group {
  public:
    explicit fork_group(late_group_core& core) noexcept : core_{core} {}
    fork_group(const fork_group&) = delete;
    fork_group& operator=(const fork_group&) = delete;

    /// On a thread of a pool, in a task: from now on it can fork.
    void belong_to(execution& thread) noexcept {
        thread_ = &thread;
        const context& parent = *thread.scope;
        context& mine = *::new (static_cast<void*>(&scope_)) context;
        mine.home = thread.worker;
        mine.node = parent.node;
        mine.deadline = parent.deadline;
        mine.attempt = parent.attempt;
    }
    bool belongs_to(const execution& e) const noexcept { return &e == thread_; }
    bool idle() const noexcept { return pending_ == 0; }
    /// That of all forks, which a canceller has to find; null if there can be none.
    context* scope() noexcept { return thread_ ? &scope_ : nullptr; }

    template <class F>
    void run(F&& fn) {
        using forked = fork_of<std::decay_t<F>>;
        fork* f = nullptr;
        if constexpr (sizeof(forked) <= place::size && alignof(forked) <= place::alignment)
            if (used_ != places_.size())
                f = ::new (static_cast<void*>(&places_[used_++])) forked{*this, true, static_cast<F&&>(fn)};
        if (!f) f = new forked{*this, false, static_cast<F&&>(fn)};
        f->older = newest_;
        newest_ = f;
        if (thread_->forks->fork(*f))
            ++pending_;
        else
            take_back(*f);
    }

    /// Until all have ended. What failed is in the core.
    void join() noexcept {
        // Elsewhere, after the task has moved: the others of the pool have to end them.
        const bool here = pending_ == 0 || belongs_to(current());
        while (here && pending_ != 0) {
            work* const w = thread_->forks->pop();
            if (!w) break;
            if (!w->forked_ || static_cast<fork&>(*w).group != this) {
                // Another's, that this task has forked since: not to be waited for here. It fits, for it has
                // just been there.
                (void)thread_->forks->fork(*w);
                break;
            }
            --pending_;
            take_back(static_cast<fork&>(*w));
        }
        if (pending_ != 0) wait_for_thieves();
        used_ = 0;
    }

  private:
    friend fork;
    struct place { // for forks that need not be allocated
        static constexpr std::size_t size = 104, alignment = 16;
        alignas(alignment) std::array<unsigned char, size> bytes;
    };
    static constexpr std::uint32_t sleeping = 0x8000'0000;

    static void run_stolen(work& w) noexcept;
    void take_back(fork& f) noexcept {
        newest_ = f.older;
        context* const outer = thread_->scope;
        call(f, *thread_);
        thread_->scope = outer;
        if (f.release_) f.release_(f);
    }
    void call(fork& f, execution& thread) noexcept {
        thread.scope = &scope_;
        if (group_core* const core = core_.if_made(); core && core->stopping()) return skip(f);
        try {
            f.call_(f, fork::what::run);
        } catch (...) {
            core_.get(*thread.worker, &scope_).note(std::current_exception());
        }
    }
    void skip(fork& f) noexcept;
    void wait_for_thieves() noexcept;
    bool help_thieves() noexcept;

    late_group_core& core_;
    execution* thread_ = nullptr;
    std::uint32_t pending_ = 0;
    std::uint32_t used_ = 0;
    fork* newest_ = nullptr;
    atomic<std::uint32_t> ended_{0}; // a futex word; the highest bit: the owner sleeps
    union {
        context scope_; // of every fork, if there can be any
    };
    std::array<place, 2> places_; // the first `used_` are taken
};

inline fork::fork(fork_group& g, call* c, release* r) noexcept
    : work{&fork_group::run_stolen}, call_{c}, release_{r}, group{&g} {
    forked_ = true;
}

} // namespace plait::detail
