// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/channel_ring.hpp>
#include <plait/detail/spin_lock.hpp>
#include <plait/detail/wait_list.hpp>

namespace plait::detail {

/// Somebody who waits at one end of a channel: a task, a thread, or one case of a select.
template <class T>
class channel_waiter : public wait_entry {
  public:
    bool sends = false;               // which end it waits at
    bool tell_only = false;           // wants to be told when something can be done, and tries again then
    bool closed = false;              // the answer, if it is not an item
    T* from = nullptr;                // a sender's item, moved when it has its place
    std::optional<T>* into = nullptr; // where a receiver's goes

    /// Under the channel's lock, off the list: take it? False (of a `tell_only` alone): it has ended already.
    virtual bool claim() noexcept = 0;
    /// Afterwards, outside of the lock. The last time that this object is touched.
    virtual void wake() noexcept = 0;

    channel_waiter* next_woken = nullptr;

  protected:
    ~channel_waiter() = default;
};

/// A ring, and those who wait at its ends.
///
/// Who finds the ring full or empty takes the lock, announces it in `waiting_`, looks once more, and stands
/// in a list. Whoever has put an item in, or taken one out, looks at `waiting_` afterwards, and if somebody
/// waits there, serves them under the lock: it moves items between the ring and those who wait, in the order
/// in which they came, and wakes only whom it has served. A wait that was cancelled is off the list before
/// anybody can serve it, so no item is ever on its way to nobody.
template <class T, class Policy = system_policy>
class channel_core {
  public:
    using waiting_node = channel_waiter<T>;
    using result = ring_result;
    using woken = woken_list<waiting_node>;
    using guard = basic_spin_guard<Policy>;

    explicit channel_core(std::size_t capacity) : ring{capacity} {}

    // What does not wait. `busy` becomes what it turns into: `patience` looks at it, or as many as it takes.

    result send_now(T& x, unsigned patience = few_looks) noexcept {
        const result r = settled(patience, [&] { return ring.push(x); });
        if (r == result::done) look_for<receivers>();
        return r;
    }
    result receive_now(std::optional<T>& into, unsigned patience = few_looks) noexcept {
        const result r = settled(patience, [&] { return ring.pop(into); });
        if (r == result::done) look_for<senders>();
        return r;
    }
    result send_some(T* from, std::size_t n, std::size_t& moved, unsigned patience = few_looks) noexcept {
        const result r = settled(patience, [&] { return ring.push_some(from, n, moved); });
        if (r == result::done) look_again_for<receivers>();
        return r;
    }
    template <class Vector>
    result receive_some(Vector& into, std::size_t most, unsigned patience = few_looks) {
        const result r = settled(patience, [&] { return ring.pop_some(into, most); });
        if (r == result::done) look_again_for<senders>();
        return r;
    }

    // What does. Under the lock, and `w` is this call's own until it stands in a list; true: it does.

    bool send_or_wait(waiting_node& w, woken& others) noexcept {
        announce<senders>();
        const result r = ring.push(*w.from);
        if (r == result::blocked || r == result::busy) { // whoever is busy there looks at `waiting_` later
            senders_.push_back(w);
            return true;
        }
        withdraw_announcement<senders>();
        w.closed = r == result::closed;
        if (!receivers_.empty()) serve(others);
        return false;
    }
    bool receive_or_wait(waiting_node& w, woken& others) noexcept {
        announce<receivers>();
        const result r = ring.pop(*w.into);
        if (r == result::blocked || r == result::busy) {
            receivers_.push_back(w);
            return true;
        }
        withdraw_announcement<receivers>();
        w.closed = r == result::closed;
        if (!senders_.empty()) serve(others);
        return false;
    }
    /// For a `tell_only`: stands in the list unless something can be done at once.
    bool tell_sender(waiting_node& w) noexcept {
        announce<senders>();
        const result r = ring.poll_free();
        if (r == result::blocked || r == result::busy) {
            senders_.push_back(w);
            return true;
        }
        withdraw_announcement<senders>();
        return false;
    }
    bool tell_receiver(waiting_node& w) noexcept {
        announce<receivers>();
        const result r = ring.poll_item();
        if (r == result::blocked || r == result::busy) {
            receivers_.push_back(w);
            return true;
        }
        withdraw_announcement<receivers>();
        return false;
    }

    /// Under the lock: takes `w` off its list, if it still stands there.
    bool leave(waiting_node& w) noexcept {
        if (!w.waits()) return false;
        if (w.sends) {
            senders_.remove(w);
            withdraw_announcement<senders>();
        } else {
            receivers_.remove(w);
            withdraw_announcement<receivers>();
        }
        return true;
    }

    /// Nothing can be sent any more; what is in the ring can still be received.
    void close() noexcept {
        woken done;
        {
            const guard g{lock};
            ring.close();
            serve(done);
        }
        wake(done);
    }

    static void wake(woken& done) noexcept {
        done.wake_all([](waiting_node& w) { w.wake(); });
    }

    channel_ring<T, Policy> ring;
    // Apart from the ring's ends: everybody reads `waiting_` at each operation, and it hardly ever changes.
    alignas(64) typename guard::word lock{0};

  private:
    using word = std::uint32_t;
    static constexpr word receivers = 1, senders = 2;
    static constexpr unsigned few_looks =
        16; // it takes the other a few instructions, unless it was preempted

    template <class Operation>
    static result settled(unsigned patience, Operation operation) {
        for (unsigned round = 0;; ++round) {
            const result r = operation();
            if (r != result::busy || round == patience) return r;
            Policy::pause(round);
        }
    }

    template <word Whom>
    void look_for() noexcept {
        // seq_cst: pairs with announce(). Its announcement and its look at the ring, our stamp (an exchange
        // in the ring) and this load: all four are in one order, so not both of us can miss the other.
        if (waiting_.load(order::seq_cst) & Whom) serve_all();
    }
    template <word Whom>
    void look_again_for() noexcept {
        // Stamps that were stored by release alone: a read-modify-write of the word that announce() changes.
        // If ours comes first, that one acquires our stamps; if not, we see its bit.
        if (waiting_.fetch_add(0, order::acq_rel) & Whom) serve_all();
    }

    template <word Whom>
    void announce() noexcept {
        // seq_cst: see look_for; acquire and release: see look_again_for.
        waiting_.fetch_or(Whom, order::seq_cst);
    }
    template <word Whom>
    void withdraw_announcement() noexcept {
        // relaxed: who still sees the bit comes in vain.
        if ((Whom == senders ? senders_ : receivers_).empty()) waiting_.fetch_and(~Whom, order::relaxed);
    }

    [[gnu::noinline]] void serve_all() noexcept {
        woken done;
        {
            const guard g{lock};
            serve(done);
        }
        wake(done);
    }

    // Under the lock: as much as can be done for those who wait. Serving one end may help the other.
    void serve(woken& done) noexcept {
        for (bool any = true; any;) {
            any = serve_receivers(done);
            any = serve_senders(done) || any;
        }
        withdraw_announcement<receivers>();
        withdraw_announcement<senders>();
    }
    bool serve_receivers(woken& done) noexcept {
        bool any = false;
        while (waiting_node* const w = receivers_.front()) {
            const result r = w->tell_only ? ring.poll_item() : ring.pop(*w->into);
            if (r == result::blocked || r == result::busy) break;
            any |= r == result::done && !w->tell_only;
            end(receivers_, *w, r, done);
        }
        return any;
    }
    bool serve_senders(woken& done) noexcept {
        bool any = false;
        while (waiting_node* const w = senders_.front()) {
            const result r = w->tell_only ? ring.poll_free() : ring.push(*w->from);
            if (r == result::blocked || r == result::busy) break;
            any |= r == result::done && !w->tell_only;
            end(senders_, *w, r, done);
        }
        return any;
    }
    void end(wait_list<waiting_node>& list, waiting_node& w, result r, woken& done) noexcept {
        list.remove(w);
        w.closed = r == result::closed;
        if (w.claim()) done.push(w);
    }

    // Who stands in which list: receivers, senders. Changed under the lock.
    typename Policy::template atomic<word> waiting_{0};
    wait_list<waiting_node> receivers_; // guarded by lock
    wait_list<waiting_node> senders_;   // guarded by lock
};

} // namespace plait::detail
