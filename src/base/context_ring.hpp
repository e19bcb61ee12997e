// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>

namespace plait::detail {

/// Scopes in a ring, through their own links; one that belongs to nobody closes it. One thread at a time.
class context_ring {
  public:
    context_ring() noexcept { ends_.previous = ends_.next = &ends_; }
    context_ring(const context_ring&) = delete;
    context_ring& operator=(const context_ring&) = delete;

    bool empty() const noexcept { return ends_.next == &ends_; }
    context& front() const noexcept { return *ends_.next; }
    void add(context& c) noexcept {
        c.previous = &ends_;
        c.next = ends_.next;
        ends_.next->previous = &c;
        ends_.next = &c;
    }
    /// Out of whichever ring it is in.
    static void remove(context& c) noexcept {
        c.previous->next = c.next;
        c.next->previous = c.previous;
    }

  private:
    context ends_;
};

} // namespace plait::detail
