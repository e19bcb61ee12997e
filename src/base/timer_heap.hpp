// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/timer.hpp>

namespace plait::detail {

/// Timers by deadline, equal ones in order of creation. Intrusive: a pairing heap, whose nodes are the timers.
///
/// push and first are constant in time, remove is logarithmic, amortised. Source: Fredman, Sedgewick, Sleator and
/// Tarjan, "The Pairing Heap", 1986.
class timer_heap {
  public:
    timer* first() const noexcept { return root_; }
    void push(timer& t) noexcept;
    void remove(timer& t) noexcept;

  private:
    static bool earlier(const timer& a, const timer& b) noexcept {
        return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.sequence_ < b.sequence_;
    }
    static timer* joined(timer* a, timer* b) noexcept;
    static timer* joined_children(timer* first) noexcept;

    // Of a node: `child_` is its first child, `next_` its right sibling, `previous_` its left one or, of a first
    // child, its parent.
    timer* root_ = nullptr;
};

} // namespace plait::detail
