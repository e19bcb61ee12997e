// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <utility>

namespace plait::detail {

/// Somebody who waits for one future.
struct completion {
    /// Under the future's lock, just before it is linked in. False: it need not be any more.
    virtual bool link() noexcept { return true; }
    /// Under the future's lock: take the news? False: no longer interested.
    virtual bool claim() noexcept = 0;
    /// Afterwards, outside every lock, if `claim` said true. The last time that this object is touched.
    virtual void fire() noexcept = 0;

    completion* next_hook = nullptr; // the future's

  protected:
    ~completion() = default;
};

/// The word that a future, its producer and its cancellers share: flags, and above them the number of owners.
///
///     ready      the result is there, for good
///     waiting    somebody waits: there are hooks, in a list that lies elsewhere, and without this bit is nothing
///     locked     somebody looks at the hooks: a few instructions
///     dropped    the future is gone: nobody will ask for the result
///     cancelled  the task never ran, or ended by `cancelled`
///     started    the task was claimed: by the worker that runs it, or by the waiter that helps
///     stopping   a canceller uses what the running task has on its stack: until then it is not complete
///
/// Its owner keeps the list, where it is out of the way of what every task needs, and brings it along as `hooks`;
/// `locked` guards it.
///
/// Whoever sets `started` runs the task; whoever sets `cancelled` before that completes it in its stead:
/// exactly one.
///
/// Orders: what the word publishes is
///   - the result: released by complete(), acquired by load(), drop(), add_hook();
///   - the hooks: released by unlock(), acquired by who takes `locked`, be it with `ready`;
///   - that the running task's scope is not used any more: released by end_stop(), acquired by complete();
///   - what an owner did with all this: released by release_owner() and complete(), acquired by the last one.
/// Claiming publishes nothing: the task has come by its queue, or with the future. All changes are
/// read-modify-writes, so that none that comes in between parts a release from its acquire.
template <class Policy = system_policy>
class future_word {
  public:
    using word = std::uint32_t;
    static constexpr word ready = 1, waiting = 2, locked = 4, dropped = 8, cancelled = 16, started = 32;
    static constexpr word stopping = 64, owner = 128;

    explicit future_word(word owners) noexcept : word_{owners * owner} {}

    // acquire: whoever sees `ready` may read the result.
    word load() const noexcept { return word_.load(order::acquire); }
    bool is(word flag) const noexcept { return (load() & flag) != 0; }

    // relaxed: who adds an owner is one, or has claimed the task.
    void add_owner() noexcept { word_.fetch_add(owner, order::relaxed); }

    /// Nobody will ask for the result. The word as it was: either it says `ready`, and the caller looks after
    /// the result (acquire: it sees it), or complete() will say `dropped`.
    word drop() noexcept { return word_.fetch_or(dropped, order::acquire); }

    /// True: that was the last one, and the caller destroys the whole.
    bool release_owner() noexcept {
        // release: what we did with it happens before its destruction; acquire: so does what the others did.
        return last(word_.fetch_sub(owner, order::acq_rel));
    }

    /// By the future that gives up its share of what is complete: nobody else has one, so that none need be
    /// counted down.
    bool is_last_of_ready() const noexcept {
        const word s = load();
        return (s & (ready | locked)) == ready && last(s);
    }

    /// Claims the task. False: cancelled, or claimed by another.
    bool try_start() noexcept { return try_set(started); }
    /// Cancels a task that nobody has claimed. True: the caller completes it.
    bool try_cancel() noexcept { return try_set(cancelled | started); }

    /// By a canceller: from now on the task, which runs, cannot be complete before end_stop(). False: it is
    /// not running, or another canceller is at it.
    bool begin_stop() noexcept {
        // The exchange excludes complete(), no more: where the scope is, and what is in it,
        // submitted::scope() acquires.
        word s = load();
        while ((s & (started | cancelled | ready | stopping)) == started)
            if (word_.compare_exchange(s, s | stopping, order::acq_rel, order::acquire)) return true;
        return false;
    }
    // release: pairs with the acquire in complete(), after which what we have used may be gone.
    void end_stop() noexcept { word_.fetch_sub(stopping, order::release); }

    enum class added : unsigned char { linked, ready, refused };
    /// Leaves `c` to be told, unless the result is there already or `c` refuses.
    added add_hook(completion& c, completion*& hooks) noexcept {
        word s = load();
        for (unsigned round = 0;;) {
            if (s & ready) return added::ready;
            if (!try_lock(s, round)) continue;
            if (!c.link()) {
                word_.fetch_sub(locked, order::release);
                return added::refused;
            }
            c.next_hook = (s & waiting) ? hooks : nullptr;
            hooks = &c;
            unlock(s, hooks);
            return added::linked;
        }
    }

    /// Takes `c` back. False: the completer has taken it; `fire` comes or has come, if `claim` said true.
    bool remove_hook(completion& c, completion*& hooks) noexcept {
        word s = load();
        for (unsigned round = 0;;) {
            if (!(s & (waiting | locked))) return false;
            if (!try_lock(s, round)) continue;
            if (!(s & waiting)) hooks = nullptr;
            completion** at = &hooks;
            while (*at && *at != &c) at = &(*at)->next_hook;
            const bool mine = *at != nullptr;
            if (mine) *at = c.next_hook;
            unlock(s, hooks);
            return mine;
        }
    }

    /// Publishes the result, with `flags` beside `ready`, and gives up the producer's ownership. Where the hooks are,
    /// `hooks()` is asked if there are any.
    /// Returns what to do outside: `hooks` to fire, `destroy` if nobody owns it any more.
    struct completed {
        completion* hooks;
        bool destroy;
        bool dropped;
    };
    template <class Hooks>
    completed complete(word flags, Hooks hooks) noexcept {
        word s = load();
        for (unsigned round = 0;;) {
            if (s & (locked | stopping)) {
                Policy::pause(round++);
                s = load();
            } else if (s & waiting) {
                // In one step with `ready`: a waiter that sees `ready` may be about to destroy all this, and
                // must find it locked until we have let go.
                // release: publishes the result. acquire: and we see the hooks.
                if (!word_.compare_exchange(s, s | ready | flags | locked, order::acq_rel, order::acquire))
                    continue;
                completion* const claimed = claim_all(hooks());
                // release: what we did with the hooks comes before their end, acquire: which may be our
                // affair.
                return {claimed, last(word_.fetch_sub(locked + waiting + owner, order::acq_rel)),
                        (s & dropped) != 0};
            } else if (word_.compare_exchange(s, (s | ready | flags) - owner, order::acq_rel,
                                              order::acquire)) {
                // release: publishes the result. acquire: the last one destroys what the others have used.
                return {nullptr, last(s), (s & dropped) != 0};
            }
        }
    }

    const word* address() const noexcept { return word_.address(); }

    /// Fires what `complete` returned.
    static void fire(completion* hooks) noexcept {
        while (hooks) {
            completion* const c = hooks;
            hooks = c->next_hook;
            c->fire(); // c is gone
        }
    }

  private:
    static bool last(word before) noexcept { return before / owner == 1; }

    bool try_set(word flags) noexcept {
        word s = load();
        // One of those who want to claim it succeeds, whatever the order.
        while (!(s & (started | ready)))
            if (word_.compare_exchange(s, s | flags, order::acq_rel, order::acquire)) return true;
        return false;
    }

    bool try_lock(word& s, unsigned& round) noexcept {
        if (s & locked) {
            Policy::pause(round++);
            s = load();
            return false;
        }
        // acquire: pairs with unlock().
        return word_.compare_exchange(s, s | locked, order::acq_rel, order::acquire);
    }

    // `s`: the word without `locked`, as it was when we took the lock.
    void unlock(word s, const completion* hooks) noexcept {
        // release: the completer that takes the lock after us sees the hooks. Nobody else changes these two bits
        // now.
        const word wanted = hooks ? waiting : 0;
        if ((s & waiting) == wanted)
            word_.fetch_sub(locked, order::release);
        else if (wanted)
            word_.fetch_sub(locked - waiting, order::release);
        else
            word_.fetch_sub(locked + waiting, order::release);
    }

    static completion* claim_all(completion* hooks) noexcept {
        completion* claimed = nullptr;
        for (completion* c = hooks; c;) {
            completion* const next = c->next_hook; // whoever says no may be gone the moment it has
            if (c->claim()) {
                c->next_hook = claimed;
                claimed = c;
            }
            c = next;
        }
        return claimed;
    }

    typename Policy::template atomic<word> word_;
};

} // namespace plait::detail
