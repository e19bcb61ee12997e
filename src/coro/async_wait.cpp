// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/async_wait.hpp>

namespace plait::detail {

queued_wait* wait_queue::end_first(woken_waits& woken) noexcept {
    queued_wait* const w = list.pop_front();
    if (w) {
        w->complete(); // cannot fail: cancellers take the lock, and take it off the list
        woken.push(*w);
    }
    return w;
}

void wait_queue::wake(woken_waits& woken) noexcept {
    woken.wake_all([](queued_wait& w) { w.post(); });
}

bool queued_wait::go_on() noexcept {
    if (current().budget != 0) return settle();
    post();
    return true;
}

bool queued_wait::withdraw() noexcept {
    wait_queue& q = *queue_;
    woken_waits others;
    {
        const spin_guard guard{q.lock};
        if (!waiter::withdraw()) return false;
        q.list.remove(*this);
        left(others);
    }
    wait_queue::wake(others); // the scope is held: this is still there
    return true;
}

} // namespace plait::detail
