// SPDX-License-Identifier: Apache-2.0
// The descriptors of handles on their way to a worker and back.
#include "process/descriptor_passing.hpp"
#include "process/parent_lane.hpp"
#include "sys/futex.hpp"

#include <cerrno>
#include <new>
#include <utility>

namespace plait::detail {

// Only for the task that the worker holds, which takes the message before it does anything else: so there is
// never more than one on its way, what is withdrawn or moved has none there, and it fits the socket's buffer.
// If the worker dies, the kernel closes what it has not taken.
bool parent_lane::send_descriptors(process_task& task) noexcept {
    const std::int64_t now = monotonic_now();
    if (now < post_again) return false;
    const int error = pass_descriptors(post.get(), task.number_, task.descriptors, false);
    if (error == 0) {
        task.descriptors_sent_ = true;
        post_since = post_again = 0;
        return true;
    }
    // The kernel has no room or no memory for them; or there is nobody to take them, and its end is on its way.
    if (post_since == 0) post_since = now;
    post_again = now + pause_when_full;
    return false;
}

bool parent_lane::is_post_stuck() const noexcept {
    return post_since != 0 && post_again - post_since > patience_with_post;
}

// They were sent before `done`, so they are there; but on a loop tasks end in another order than they are looked at.
bool parent_lane::take_handles(std::uint64_t task, descriptor_list& into) {
    for (auto a = arrived_.begin(); a != arrived_.end(); ++a) {
        if (a->task != task) continue;
        into = std::move(a->handles);
        arrived_.erase(a);
        return true;
    }
    for (;;) {
        arrival next;
        const int error = receive_descriptors(post.get(), next.task, next.handles, false);
        if (error == ENOMEM) throw std::bad_alloc{}; // and they are lost
        if (error != 0) return false;
        if (next.task == task) {
            into = std::move(next.handles);
            return true;
        }
        if (arrived_.size() >= slots_per_loop_lane) return false; // more than can have ended
        arrived_.push_back(std::move(next));
    }
}

} // namespace plait::detail
