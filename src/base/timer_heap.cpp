// SPDX-License-Identifier: Apache-2.0
#include "base/timer_heap.hpp"

#include <utility>

namespace plait::detail {

// Two roots without siblings: the later one becomes the other's first child.
timer* timer_heap::joined(timer* a, timer* b) noexcept {
    if (!a || !b) return a ? a : b;
    if (earlier(*b, *a)) std::swap(a, b);
    b->next_ = a->child_;
    b->previous_ = a;
    if (a->child_) a->child_->previous_ = b;
    a->child_ = b;
    return a;
}

// Siblings: in pairs from left to right, and then all of those from right to left. That order makes it logarithmic.
timer* timer_heap::joined_children(timer* first) noexcept {
    timer* pairs = nullptr; // the last one first
    while (first) {
        timer* const a = first;
        timer* const b = a->next_;
        first = b ? b->next_ : nullptr;
        a->next_ = a->previous_ = nullptr;
        if (b) b->next_ = b->previous_ = nullptr;
        timer* const pair = joined(a, b);
        pair->next_ = pairs;
        pairs = pair;
    }
    timer* all = nullptr;
    while (pairs) {
        timer* const pair = pairs;
        pairs = pair->next_;
        pair->next_ = nullptr;
        all = joined(all, pair);
    }
    return all;
}

void timer_heap::push(timer& t) noexcept {
    t.previous_ = t.next_ = t.child_ = nullptr;
    root_ = joined(root_, &t);
}

void timer_heap::remove(timer& t) noexcept {
    if (&t == root_) {
        root_ = joined_children(t.child_);
    } else {
        (t.previous_->child_ == &t ? t.previous_->child_ : t.previous_->next_) = t.next_;
        if (t.next_) t.next_->previous_ = t.previous_;
        root_ = joined(root_, joined_children(t.child_));
    }
    t.previous_ = t.next_ = t.child_ = nullptr;
}

} // namespace plait::detail
