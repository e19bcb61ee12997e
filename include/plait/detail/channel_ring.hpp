// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <plait/detail/atomic.hpp>
#include <utility>

namespace plait::detail {

/// How an operation on a ring ended.
enum class ring_result : unsigned char {
    done,
    blocked, ///< full, or empty
    busy,    ///< somebody is just putting an item into the slot, or taking it out: a few instructions
    closed,  ///< nothing can be put in; nothing will come any more
};

/// A bounded queue: many threads at both ends, no lock. Nobody waits here; who does is channel_core's affair.
///
/// `head_` and `tail_` count items, as *positions*: a lap in the upper bits, the slot's index in the lower
/// ones, and between them, in the tail alone, the mark that says closed. A slot's stamp says whose turn it
/// is:
///
///     p            free for the sender who gets position p
///     p + 1        holds the item of position p
///     p + one lap  taken out: free for the sender of the next lap
///
/// Stamps are the positions' lower halves, which makes a slot of small items half as large (send_many of
/// ints: half as many lines travel). Moving an end decides by the whole position, and whoever finds nothing
/// to do looks at its end again; so a stamp that looks right because half a word has gone round misleads
/// nobody.
///
/// A sender gets a position by moving the tail past it, which it does only if the slot is free; a receiver
/// the head, and only if the slot holds an item. From then until it writes the stamp the slot is its alone.
template <class T, class Policy = system_policy>
class channel_ring {
  public:
    using position = std::uint64_t;
    using result = ring_result;
    static constexpr std::size_t most_capacity = std::size_t{1} << 29; // laps must fit into half a position

    explicit channel_ring(std::size_t capacity)
        : capacity_{capacity},
          mark_{std::bit_ceil(position{capacity} + 1)},
          lap_{2 * mark_},
          slots_{new slot[capacity]} {
        for (position i = 0; i < capacity; ++i) slots_[i].stamp.store(half(i), order::relaxed);
    }
    channel_ring(const channel_ring&) = delete;
    channel_ring& operator=(const channel_ring&) = delete;
    ~channel_ring() {
        std::optional<T> unread;
        while (pop(unread) == result::done) unread.reset();
        delete[] slots_;
    }

    std::size_t capacity() const noexcept { return capacity_; }

    /// Moves `x` in, or leaves it untouched.
    result push(T& x) noexcept {
        position tail = 0;
        result r;
        // relaxed: the move of the tail only divides the slots up among senders; what is in them is handed
        // over by their stamps.
        while ((r = find_free(tail)) == result::done &&
               !tail_.compare_exchange(tail, after(tail), order::relaxed, order::relaxed)) {}
        if (r != result::done) return r;
        slot& s = at(tail);
        ::new (static_cast<void*>(s.bytes)) T(std::move(x));
        // release: publishes the item to the receiver, who finds the stamp in find_item. seq_cst: and then we
        // look for waiting receivers, while they have announced themselves and look at this stamp. Either we
        // see them or they see the item; with release alone both could look away.
        s.stamp.exchange(half(tail + 1), order::seq_cst);
        return r;
    }

    /// Moves the first item out into `into`, which is empty.
    result pop(std::optional<T>& into) noexcept {
        position head = 0;
        result r;
        // relaxed: as in push.
        while ((r = find_item(head)) == result::done &&
               !head_.compare_exchange(head, after(head), order::relaxed, order::relaxed)) {}
        if (r != result::done) return r;
        slot& s = at(head);
        into.emplace(std::move(s.item()));
        s.item().~T();
        // release: the next lap's sender, who finds the stamp in find_free, writes where we have read.
        // seq_cst: as in push, with the senders that wait for a free slot.
        s.stamp.exchange(half(head + lap_), order::seq_cst);
        return r;
    }

    /// As many of the `n` as there is room for now, in one step; `done` if it was any. Publishes by release
    /// alone: the caller has to follow it with a read-modify-write on what waiting receivers announce
    /// themselves in.
    result push_some(T* from, std::size_t n, std::size_t& moved) noexcept {
        position tail = 0;
        for (;;) {
            const result r = find_free(tail);
            if (r != result::done) return r;
            position end = after(tail);
            moved = 1;
            // acquire: pairs with the release in pop. A free slot can only be taken by moving the tail past
            // it, so all of these are still free if that succeeds.
            for (; moved < n && at(end).stamp.load(order::acquire) == half(end); ++moved) end = after(end);
            if (!tail_.compare_exchange(tail, end, order::relaxed, order::relaxed)) continue;
            for (position p = tail; p != end; p = after(p)) {
                ::new (static_cast<void*>(at(p).bytes)) T(std::move(*from++));
                at(p).stamp.store(half(p + 1),
                                  order::release); // pairs with the load in find_item and pop_some
            }
            return r;
        }
    }

    /// At most `most` of the items that are there, appended to `into`; as push_some. Throws what `into`
    /// throws for want of memory, and has taken nothing then.
    template <class Vector>
    result pop_some(Vector& into, std::size_t most) {
        position head = 0;
        for (;;) {
            const result r = find_item(head);
            if (r != result::done) return r;
            position end = after(head);
            std::size_t n = 1;
            // acquire: pairs with the release in push.
            for (; n < most && at(end).stamp.load(order::acquire) == half(end + 1); ++n) end = after(end);
            into.reserve(into.size() + n);
            if (!head_.compare_exchange(head, end, order::relaxed, order::relaxed)) continue;
            for (position p = head; p != end; p = after(p)) {
                slot& s = at(p);
                into.push_back(std::move(s.item()));
                s.item().~T();
                s.stamp.store(half(p + lap_),
                              order::release); // pairs with the load in find_free and push_some
            }
            return r;
        }
    }

    /// Could a pop, or a push, do something now? `done` and `closed` say yes.
    result poll_item() const noexcept {
        position head = 0;
        return find_item(head);
    }
    result poll_free() const noexcept {
        position tail = 0;
        return find_free(tail);
    }

    /// From now on nothing can be put in. False: it was closed already.
    bool close() noexcept {
        // release: whoever finds it in find_free, or the end in find_item, sees what was done before it was closed.
        return (tail_.fetch_or(mark_, order::acq_rel) & mark_) == 0;
    }
    bool closed() const noexcept { return (tail_.load(order::acquire) & mark_) != 0; }

    /// Items in it; a moment later it may be another number.
    std::size_t size() const noexcept {
        const position head = head_.load(order::acquire);
        const position tail = tail_.load(order::acquire) & ~mark_;
        const position low = mark_ - 1;
        const position laps = (tail & ~(lap_ - 1)) - (head & ~(lap_ - 1));
        const auto n = static_cast<std::int64_t>((tail & low) - (head & low) + (laps / lap_) * capacity_);
        if (n < 0) return 0; // they were read one after the other
        return static_cast<std::size_t>(n) < capacity_ ? static_cast<std::size_t>(n) : capacity_;
    }

  private:
    struct slot {
        typename Policy::template atomic<std::uint32_t> stamp{0};
        alignas(T) unsigned char bytes[sizeof(T)];
        T& item() noexcept { return *std::launder(reinterpret_cast<T*>(bytes)); }
    };

    slot& at(position p) const noexcept { return slots_[p & (mark_ - 1)]; }
    position after(position p) const noexcept {
        return (p & (mark_ - 1)) + 1 < capacity_ ? p + 1 : (p & ~(lap_ - 1)) + lap_;
    }

    static std::uint32_t half(position p) noexcept { return static_cast<std::uint32_t>(p); }

    result find_free(position& tail) const noexcept {
        for (;;) {
            // acquire: pairs with close(), if it says so. An old tail is noticed, by its slot's stamp or when
            // it is moved.
            tail = tail_.load(order::acquire);
            if (tail & mark_) return result::closed;
            // acquire, and seq_cst, for the pairs named in pop and push.
            const std::uint32_t stamp = at(tail).stamp.load(order::seq_cst);
            if (stamp == half(tail)) return result::done;
            // Last lap's item is in it, or is being taken out. An old head only says busy instead of full.
            if (stamp == half(tail + 1 - lap_) && tail_.load(order::relaxed) == tail)
                return head_.load(order::relaxed) + lap_ == tail ? result::blocked : result::busy;
        }
    }

    result find_item(position& head) const noexcept {
        for (;;) {
            head = head_.load(order::relaxed); // an old one is noticed, as in find_free
            const std::uint32_t stamp = at(head).stamp.load(order::seq_cst);
            if (stamp == half(head + 1)) return result::done;
            if (stamp == half(head) && head_.load(order::relaxed) == head) {
                // acquire: pairs with close(), if it says so.
                const position tail = tail_.load(order::acquire);
                if ((tail & ~mark_) != head) return result::busy;
                return tail & mark_ ? result::closed : result::blocked;
            }
        }
    }

    // Each end has its line; so has what nobody changes.
    alignas(64) typename Policy::template atomic<position> head_{0};
    alignas(64) typename Policy::template atomic<position> tail_{0};
    alignas(64) const std::size_t capacity_;
    const position mark_;
    const position lap_;
    slot* const slots_;
};

} // namespace plait::detail
