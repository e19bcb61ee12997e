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

/// Either of the below, but directly. Null: without limit.
long wait_otherwise(int epoll, epoll_event* events, std::size_t room, const timespec* limit) noexcept;

// The number of events, or a negative errno.
inline long wait_without_limit(int epoll, epoll_event* events, std::size_t room) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (calls_directly()) [[likely]]
        return direct_call(SYS_epoll_wait, epoll, events, room, -1);
#endif
    return wait_otherwise(epoll, events, room, nullptr);
}
inline long wait_for_events(int epoll, epoll_event* events, std::size_t room,
                            const timespec& limit) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (calls_directly() && coarse_waits.load(order::relaxed) == 0) [[likely]] {
        const long n = direct_call(SYS_epoll_pwait2, epoll, events, room, reinterpret_cast<long>(&limit));
        if (n != -ENOSYS && n != -EPERM) [[likely]]
            return n;
        coarse_waits.store(1, order::relaxed);
    }
#endif
    return wait_otherwise(epoll, events, room, &limit);
}

} // namespace plait::detail
