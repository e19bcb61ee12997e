// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>

namespace plait::detail {

/// What other threads push and one thread takes, whole: one word, the list's head or "sleeping".
///
/// No lost wake-up: both sides change one word, so its modification order decides. A push before the
/// consumer's `try_sleep` makes that fail; a push after it finds "sleeping", and that producer alone wakes
/// the consumer. `Node` needs a member `Node* next_`.
template <class Node, class Policy = system_policy>
class inbox {
  public:
    /// True: the consumer sleeps, and this call has to wake it. After that nothing here is touched.
    bool push(Node& n) noexcept {
        std::uintptr_t head = head_.load(order::relaxed);
        do {
            n.next_ = head == sleeping ? nullptr : reinterpret_cast<Node*>(head);
            // release: the consumer sees the node whole. acquire: and we see why it sleeps.
        } while (!head_.compare_exchange(head, reinterpret_cast<std::uintptr_t>(&n), order::acq_rel,
                                         order::relaxed));
        return head == sleeping;
    }

    /// Consumer: nothing there, going to sleep. False: there is something.
    bool try_sleep() noexcept {
        std::uintptr_t expected = 0;
        // release: pairs with push(): who wakes us sees what we did before.
        return head_.compare_exchange(expected, sleeping, order::acq_rel, order::relaxed);
    }

    /// Consumer, after try_sleep() said yes: awake again. True: a producer has found it asleep, and wakes or
    /// woke it.
    bool wake_up() noexcept {
        std::uintptr_t expected = sleeping;
        // seq_cst: pairs with sleeps() of whoever announced before that it wants to be told of this.
        return !head_.compare_exchange(expected, 0, order::seq_cst, order::seq_cst);
    }

    /// From any thread: between try_sleep() and the push, or wake_up(), that ends it.
    bool sleeps() const noexcept { return head_.load(order::seq_cst) == sleeping; }

    /// Consumer, awake: everything pushed so far, first in first; null if nothing.
    Node* take() noexcept {
        // relaxed: what is overlooked here try_sleep() finds. acquire: pairs with push(), the nodes are
        // whole; all of them, since each push is a read-modify-write.
        if (head_.load(order::relaxed) == 0) return nullptr;
        const std::uintptr_t head = head_.exchange(0, order::acquire);
        Node* reversed = nullptr;
        for (Node* n = reinterpret_cast<Node*>(head); n;) {
            Node* const next = n->next_; // before n runs and is gone
            n->next_ = reversed;
            reversed = n;
            n = next;
        }
        return reversed;
    }

    /// For a futex: the half of the word that tells "sleeping" (1) from any pointer (even). Little endian.
    const std::uint32_t* word() const noexcept {
        return reinterpret_cast<const std::uint32_t*>(head_.address());
    }
    static constexpr std::uint32_t asleep = 1;

  private:
    static constexpr std::uintptr_t sleeping = 1;
    typename Policy::template atomic<std::uintptr_t> head_{0};
};

} // namespace plait::detail
