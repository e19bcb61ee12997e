// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/job.hpp>
#include <vector>

namespace plait::detail {

/// The children of a group: who is left, what failed, whether they are to stop.
///
/// `members` counts the children and, until it waits for them, the owner; the last one out ends the wait.
/// Lists and errors are guarded by a lock that is never held while a child is stopped or run.
class [[gnu::visibility("default")]] group_core {
  public:
    explicit group_core(worker& home) noexcept;
    ~group_core();
    group_core(const group_core&) = delete;
    group_core& operator=(const group_core&) = delete;

    worker& home() const noexcept { return *home_; }

    /// Counts a child in. False: the group is stopping, so it is to be cancelled rather than run.
    /// Throws logic_error in a group that has ended.
    bool add(job_core& child);
    void remove(job_core& child, const std::exception_ptr& error) noexcept;
    void member_gone() noexcept;

    /// Stops everybody, for good. `by_owner`: the group ends quietly.
    void cancel(bool by_owner) noexcept;
    /// The next scope to stop, for the canceller of whoever waits for the group; null: no more, or another
    /// canceller is at it. It is kept alive until the next call.
    context* next_to_stop(bool& began) noexcept;
    /// A child that nobody has begun, kept for the caller; null: none.
    job_core* next_unclaimed() noexcept;

    bool stopping() const noexcept { return stopping_.load(order::acquire) != 0; }
    bool cancelled_by_owner() const noexcept { return by_owner_.load(order::acquire) != 0; }
    bool any_cancelled() const noexcept { return any_cancelled_.load(order::acquire) != 0; }

    /// Adds a failure that is no child's: the body's.
    void add_error(const std::exception_ptr& error) noexcept;
    /// What a fork has thrown: a failure stops the others.
    void note(const std::exception_ptr& error) noexcept;
    void note_cancelled() noexcept { any_cancelled_.store(1, order::release); }
    /// No child is left, and none has failed or was stopped.
    bool quiet() const noexcept {
        // acquire: as after a wait.
        return members_.load(order::acquire) == 1 && !stopping();
    }
    /// After the end, in the order in which they came. Throws bad_alloc.
    std::vector<std::exception_ptr> take_errors();

    /// The owner waits from now on: true if everybody has gone already, else `last` runs when they have.
    bool wait_with(work& last) noexcept;
    /// The same for an owner whose body counts for it: `last` runs when body and children have gone.
    void when_all_gone(work& last) noexcept { last_ = &last; }
    /// After a wait: the owner is counted in again, and may spawn more. relaxed: nobody else is in.
    void reopen() noexcept { members_.store(1, order::relaxed); }
    void end() noexcept { ended_.store(1, order::release); }

    context* body = nullptr; // the body's scope, while it runs, or that of all forks

  private:
    worker* home_;
    atomic<std::uint32_t> lock_{0};
    group_link live_;              // guarded by lock_: children that no canceller has come to yet
    group_link stopped_;           // guarded by lock_: the others
    job_core* visiting_ = nullptr; // by the one canceller
    // Released by each child that goes, acquired by the last one out or the owner, who reads what they did,
    // failed with, or noted here. Counting in is relaxed: whoever does it is in, so nobody is the last
    // meanwhile.
    atomic<std::uint32_t> members_{1};
    // Released by the canceller, acquired by who is not to begin: with by_owner_, and with why. A child that
    // is being added, and the canceller, meet under lock_: see add().
    atomic<std::uint32_t> stopping_{0};
    // 1: somebody stops the children, 2: has done so. The exchange decides who; what he goes through is
    // guarded by lock_.
    atomic<std::uint32_t> traversing_{0};
    // Read after the end. by_owner_ was set before stopping_, for the sake of which they ended;
    // any_cancelled_ by one of those that were waited for. ended_ is read by who should not have come, and
    // orders nothing.
    atomic<std::uint32_t> by_owner_{0};
    atomic<std::uint32_t> any_cancelled_{0};
    atomic<std::uint32_t> ended_{0};
    work* last_ = nullptr;                           // written before the owner's own count goes
    std::exception_ptr first_error_;                 // guarded by lock_: it needs no memory
    std::vector<std::exception_ptr> further_errors_; // guarded by lock_
};

/// A group's core, made when the first one asks for it: a group that only forks, and whose forks all return,
/// has none.
///
/// Threads:  any; two that ask for the first time at once get the same.
class [[gnu::visibility("default")]] late_group_core {
  public:
    late_group_core() noexcept {} // the memory is left as it is
    late_group_core(const late_group_core&) = delete;
    late_group_core& operator=(const late_group_core&) = delete;
    ~late_group_core() {
        // acquire: as in get(); its owner may not be who made it.
        if (state_.load(order::acquire) == made) [[unlikely]]
            destroy();
    }

    /// `home`, `body`: what it begins with.
    group_core& get(worker& home, context* body) noexcept {
        // acquire: pairs with make().
        if (state_.load(order::acquire) != made) make(home, body);
        return core_;
    }
    /// Null: nobody has asked yet, so there is nobody in it, nothing has failed, and it is not stopping.
    /// acquire: as get().
    group_core* if_made() noexcept { return state_.load(order::acquire) == made ? &core_ : nullptr; }

  private:
    static constexpr std::uint32_t none = 0, in_the_making = 1, made = 2;
    void make(worker& home, context* body) noexcept;
    void destroy() noexcept;

    atomic<std::uint32_t> state_{none};
    union {
        group_core core_; // if made
    };
};

} // namespace plait::detail
