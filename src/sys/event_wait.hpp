// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/direct_call.hpp"

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <plait/detail/atomic.hpp>
#include <sys/epoll.h>

namespace plait::detail {

/// How the kernel is asked.
enum class wait_way : std::uint32_t {
    direct,  ///< epoll_pwait2 without the C library, where that can be
    coarse,  ///< there is none: Linux before 5.11, some containers' filters, valgrind
    library, ///< by the C library's names: a test has put itself in their place (testing::run)
};
extern constinit atomic<wait_way> way_to_wait;

/// Either of the below, but directly. Null: without limit.
long wait_otherwise(int epoll, epoll_event* events, std::size_t room, const timespec* limit) noexcept;

// The number of events, or a negative errno.
inline long wait_without_limit(int epoll, epoll_event* events, std::size_t room) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (way_to_wait.load(order::relaxed) != wait_way::library) [[likely]]
        return direct_call(SYS_epoll_wait, epoll, events, room, -1);
#endif
    return wait_otherwise(epoll, events, room, nullptr);
}
inline long wait_for_events(int epoll, epoll_event* events, std::size_t room,
                            const timespec& limit) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (way_to_wait.load(order::relaxed) == wait_way::direct) [[likely]] {
        const long n = direct_call(SYS_epoll_pwait2, epoll, events, room, reinterpret_cast<long>(&limit));
        if (n != -ENOSYS && n != -EPERM) [[likely]]
            return n;
        way_to_wait.store(wait_way::coarse, order::relaxed);
    }
#endif
    return wait_otherwise(epoll, events, room, &limit);
}

} // namespace plait::detail
