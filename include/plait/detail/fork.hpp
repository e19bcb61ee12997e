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
        if (!push(w)) [[unlikely]]
            return false;
        if (somebody_sleeps()) [[unlikely]]
            wake();
        return true;
    }
    // After a push. Not both overlook the other: see deque and the pool's sleep().
    bool somebody_sleeps() const noexcept { return sleepers_->load(order::seq_cst) != 0; }
    [[gnu::noinline]] void wake() noexcept { home_->work_added(); }

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
    std::int64_t position; // in the deque of the thread that forked it
    std::int64_t base;     // with `thief`
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
    fork_group() noexcept {} // the memory is left as it is
    fork_group(const fork_group&) = delete;
    fork_group& operator=(const fork_group&) = delete;

    /// On a thread of a pool, in a task: from now on it can fork.
    void belong_to(execution& thread) noexcept {
        // That of a fork stays light for one more level; anything else is made whole now, by the task itself.
        context& parent = is_light_fork(thread) ? *thread.light : *task_scope(thread);
        thread_ = &thread;
        ::new (static_cast<void*>(&scope_)) fork_scope{parent, *thread.worker};
    }
    bool belongs_to(const execution& e) const noexcept { return &e == thread_; }
    bool idle() const noexcept { return pending_ == 0; }
    late_group_core& core() noexcept { return core_; }
    /// That of all forks, which a canceller has to find; null if there can be none.
    context* scope() noexcept { return thread_ ? &scope_ : nullptr; }
    static bool is_light_fork(const execution& e) noexcept {
        return !e.scope && e.light && e.light->enter.load(order::relaxed) == &make_whole;
    }

    template <class F>
    void run(F&& fn) {
        using forked = fork_of<std::decay_t<F>>;
        fork* f = nullptr;
        if constexpr (sizeof(forked) <= place::size && alignof(forked) <= place::alignment)
            if (used_ != 2) {
                place& room = used_++ == 0 ? first_ : second_; // not an array: no address is to be worked out
                f = ::new (static_cast<void*>(&room)) forked{*this, true, static_cast<F&&>(fn)};
            }
        if (!f) f = new forked{*this, false, static_cast<F&&>(fn)};
        f->older = newest_;
        newest_ = f;
        f->position = thread_->forks->position();
        if (thread_->forks->fork(*f))
            ++pending_;
        else
            take_back(*f);
    }

    /// Until all have ended. What failed is in the core.
    void join() noexcept {
        if (pending_ == 1 && belongs_to(current()) && thread_->forks->pop_at(newest_->position)) {
            pending_ = 0;
            take_back(*newest_);
        }
        if (pending_ != 0) [[unlikely]]
            join_several();
        used_ = 0;
    }

  private:
    friend fork;
    struct place { // for forks that need not be allocated
        static constexpr std::size_t size = 112, alignment = 16;
        alignas(alignment) std::array<unsigned char, size> bytes;
    };
    static constexpr std::uint32_t sleeping = 0x8000'0000;

    /// A scope that is light until a fork asks for it. Then it has everything from `parent`, its entry too.
    struct fork_scope : context {
        fork_scope(context& p, worker& at) noexcept : context{&fork_group::make_whole}, parent{&p} {
            home = &at; // the parent may move
        }
        context* parent;
    };
    // What the thread does while it runs a fork.
    class as_fork {
      public:
        as_fork(execution& thread, context& scope) noexcept
            : thread_{thread}, scope_{thread.scope}, light_{thread.light} {
            thread.scope = nullptr;
            thread.light = &scope;
        }
        as_fork(const as_fork&) = delete;
        as_fork& operator=(const as_fork&) = delete;
        ~as_fork() {
            thread_.scope = scope_;
            thread_.light = light_;
        }

      private:
        execution& thread_;
        context* scope_;
        context* light_;
    };

    static void make_whole(context& c) noexcept;
    static void run_stolen(work& w) noexcept;
    void take_back(fork& f) noexcept {
        newest_ = f.older;
        call(f, *thread_);
        if (f.release_) f.release_(f);
    }
    void call(fork& f, execution& thread) noexcept {
        const as_fork here{thread, scope_};
        if (group_core* const core = core_.if_made(); core && core->stopping()) return skip(f);
        try {
            f.call_(f, fork::what::run);
        } catch (...) {
            core_.get(*thread.worker, &scope_).note(std::current_exception());
        }
    }
    void join_several() noexcept;
    void skip(fork& f) noexcept;
    void wait_for_thieves() noexcept;
    bool help_thieves() noexcept;

    late_group_core core_;
    execution* thread_ = nullptr;
    std::uint32_t pending_ = 0;
    std::uint32_t used_ = 0;
    fork* newest_ = nullptr;
    atomic<std::uint32_t> ended_{0}; // a futex word; the highest bit: the owner sleeps
    union {
        fork_scope scope_; // of every fork, if there can be any
    };
    place first_, second_; // of which `used_` are taken
};

inline fork::fork(fork_group& g, call* c, release* r) noexcept
    : work{&fork_group::run_stolen}, call_{c}, release_{r}, group{&g} {
    forked_ = true;
}

} // namespace plait::detail
