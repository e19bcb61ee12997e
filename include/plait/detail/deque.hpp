// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <new>
#include <plait/detail/atomic.hpp>

namespace plait::detail {

/// One thread, the owner, pushes and pops at one end; any other takes from the other end what was pushed
/// first.
///
/// After Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), without fences: every order
/// stands on an operation, so that ThreadSanitizer sees it.
///   - Owner and thief meet at the last entry: the owner lowers `bottom_`, then reads `top_`; a thief reads
///     `top_`, then `bottom_`; all seq_cst, so that not both overlook the other, and the exchange of `top_`
///     decides.
///   - A thief reads the entry before its exchange. That succeeds only if `top_` has not moved, and until it
///     does the slot of `top_` is not written again: the ring grows before it would come round.
///   - push stores `bottom_` after the entry (release), which a thief reads before it (acquire). seq_cst on
///     top: whoever pushes then looks for sleepers, who announce themselves and then look for entries. If they
///     pay (let_sleepers_pay), it has but a light barrier between the two, and they a heavy one.
/// Rings that have been outgrown stay until the end, since a thief may be reading one: twice the memory.
template <class T, class Policy = system_policy, std::int64_t FirstRing = 256>
class deque {
  public:
    template <class U>
    using atomic = typename Policy::template atomic<U>;

    deque() noexcept = default;
    /// Before anybody else knows of it. The exchange in push costs the owner six nanoseconds, and has it wait
    /// for all that it has stored before; the barrier costs who goes to sleep a microsecond or two, and each
    /// thread of the program that runs at that moment an interruption.
    void let_sleepers_pay() noexcept { sleepers_pay_ = true; }

    deque(const deque&) = delete;
    deque& operator=(const deque&) = delete;
    ~deque() {
        for (ring* r = ring_.load(order::relaxed); r;) {
            ring* const older = r->older;
            ring::destroy(r);
            r = older;
        }
    }

    /// Owner. False: there is no memory for more.
    bool push(T& item) noexcept { return push_quickly(item) || (make_room() && push_quickly(item)); }

    /// Owner. False: there is no room; push makes some.
    bool push_quickly(T& item) noexcept {
        const std::int64_t bottom = bottom_.load(order::relaxed);
        if (bottom == limit_) [[unlikely]]
            return false;
        ring_.load(order::relaxed)->slot(bottom).store(&item, order::relaxed);
        if (sleepers_pay_) {
            bottom_.store(bottom + 1, order::release);
            Policy::light_barrier();
        } else {
            bottom_.store(bottom + 1, order::seq_cst);
        }
        return true;
    }

    /// Owner: what was pushed last; null if there is nothing.
    T* pop() noexcept {
        const std::int64_t bottom = bottom_.load(order::relaxed) - 1;
        if (top_.load(order::relaxed) > bottom) return nullptr; // it only grows: empty it is
        T* const item = ring_.load(order::relaxed)->slot(bottom).load(order::relaxed);
        return take_back(bottom) ? item : nullptr;
    }

    /// Owner: pops `item` if that is what was pushed last. False: it is not, or has been stolen.
    bool pop_if(const T& item) noexcept {
        const std::int64_t bottom = bottom_.load(order::relaxed) - 1;
        if (top_.load(order::relaxed) > bottom) return false;
        if (ring_.load(order::relaxed)->slot(bottom).load(order::relaxed) != &item) return false;
        return take_back(bottom);
    }

    /// Owner: pops what it has pushed at that position, if nothing is on top of it. False: something is, or it
    /// has been stolen. A position is not used again for as long as what was pushed there has not been popped.
    bool pop_at(std::int64_t position) noexcept {
        if (bottom_.load(order::relaxed) - 1 != position || top_.load(order::relaxed) > position)
            return false;
        return take_back(position);
    }

    /// Anybody: what was pushed first; null if there is nothing, or somebody else was quicker.
    T* steal() noexcept {
        return steal_if(0, [] { return true; });
    }
    /// The same, if it was pushed at position `from` or later, and if `still()` holds between the look and
    /// the taking.
    template <class Still>
    T* steal_if(std::int64_t from, Still still) noexcept {
        std::int64_t top = top_.load(order::seq_cst);
        if (top < from || top >= bottom_.load(order::seq_cst)) return nullptr;
        // acquire: the ring is seen whole. It holds this entry, as do those that it has outgrown.
        T* const item = ring_.load(order::acquire)->slot(top).load(order::relaxed);
        if (!still() || !top_.compare_exchange(top, top + 1, order::seq_cst, order::relaxed)) return nullptr;
        return item;
    }

    /// Has anything ever been pushed? seq_cst: whoever pushes the first one then sees who has announced itself
    /// before it looked here.
    bool used() const noexcept { return ring_.load(order::seq_cst) != nullptr; }
    /// Anybody.
    bool empty() const noexcept { return top_.load(order::seq_cst) >= bottom_.load(order::seq_cst); }
    /// Owner: is there nothing to pop?
    bool idle() const noexcept { return top_.load(order::relaxed) >= bottom_.load(order::relaxed); }
    /// Owner: the position of what it pushes next.
    std::int64_t position() const noexcept { return bottom_.load(order::relaxed); }

  private:
    struct ring {
        std::int64_t mask;
        ring* older;
        atomic<T*>& slot(std::int64_t i) noexcept {
            return reinterpret_cast<atomic<T*>*>(this + 1)[i & mask];
        }
        static ring* make(std::int64_t size, ring* older) noexcept {
            const auto slots = static_cast<std::size_t>(size);
            void* const memory = ::operator new(sizeof(ring) + slots * sizeof(atomic<T*>), std::nothrow);
            if (!memory) return nullptr;
            ring* const r = ::new (memory) ring{size - 1, older};
            for (std::int64_t i = 0; i < size; ++i) ::new (&r->slot(i)) atomic<T*>{};
            return r;
        }
        static void destroy(ring* r) noexcept { ::operator delete(r); }
    };

    // The last entry, at `bottom`. False: it has been stolen.
    bool take_back(std::int64_t bottom) noexcept {
        bottom_.store(bottom, order::seq_cst);
        std::int64_t top = top_.load(order::seq_cst);
        if (top < bottom) return true;
        const bool taken =
            top == bottom && top_.compare_exchange(top, top + 1, order::seq_cst, order::relaxed);
        // release: a thief that reads this goes on to the ring. What it finds there is not its own: top_ has moved.
        bottom_.store(bottom + 1, order::release);
        return taken;
    }

    // At the limit: a look at how far the thieves are by now, and if that is no further, a larger ring.
    [[gnu::noinline]] bool make_room() noexcept {
        const std::int64_t bottom = bottom_.load(order::relaxed);
        ring* const r = ring_.load(order::relaxed);
        // acquire: a slot that a thief has left is written only after it has read it.
        const std::int64_t top = top_.load(order::acquire);
        if (r && bottom - top <= r->mask) {
            limit_ = top + r->mask + 1;
            return true;
        }
        ring* const more = ring::make(r ? 2 * (r->mask + 1) : FirstRing, r);
        if (!more) return false;
        for (std::int64_t i = r ? top : bottom; i < bottom; ++i)
            more->slot(i).store(r->slot(i).load(order::relaxed), order::relaxed);
        ring_.exchange(more, order::seq_cst); // release: with its entries. seq_cst: see used()
        limit_ = top + more->mask + 1;
        return true;
    }

    alignas(64) atomic<std::int64_t> top_{0};    // thieves, and the owner at the last entry
    alignas(64) atomic<std::int64_t> bottom_{0}; // written by the owner alone
    atomic<ring*> ring_{nullptr};                // written by the owner alone
    std::int64_t limit_ = 0; // the owner's: where nothing more is pushed without a look at top_
    bool sleepers_pay_ = false;
};

} // namespace plait::detail
