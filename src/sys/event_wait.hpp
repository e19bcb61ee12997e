// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/direct_call.hpp"

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <plait/detail/atomic.hpp>
#include <sys/epoll.h>

namespace plait::detail {

/// 1: there is no epoll_pwait2: Linux before 5.11, some containers' filters, valgrind.
extern constinit atomic<std::uint32_t> coarse_waits;
/// wait_for_events() in milliseconds, rounded up: a deadline must have passed. Null: without limit.
long wait_coarsely(int epoll, epoll_event* events, std::size_t room, const timespec* limit) noexcept;

// The number of events, or a negative errno.
inline long wait_without_limit(int epoll, epoll_event* events, std::size_t room) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    return direct_call(SYS_epoll_wait, epoll, events, room, -1);
#else
    return wait_coarsely(epoll, events, room, nullptr);
#endif
}
inline long wait_for_events(int epoll, epoll_event* events, std::size_t room,
                            const timespec& limit) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (coarse_waits.load(order::relaxed) != 0) return wait_coarsely(epoll, events, room, &limit);
    const long n = direct_call(SYS_epoll_pwait2, epoll, events, room, reinterpret_cast<long>(&limit));
    if (n != -ENOSYS && n != -EPERM) [[likely]]
        return n;
    coarse_waits.store(1, order::relaxed);
#else
    if (coarse_waits.load(order::relaxed) == 0) {
        const int n = ::epoll_pwait2(epoll, events, static_cast<int>(room), &limit, nullptr);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n < 0 ? -errno : n;
        coarse_waits.store(1, order::relaxed);
    }
#endif
    return wait_coarsely(epoll, events, room, &limit);
}

} // namespace plait::detail
