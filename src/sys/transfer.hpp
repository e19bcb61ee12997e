// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/direct_call.hpp"

#include <cerrno>
#include <cstddef>
#include <sys/socket.h>
#include <sys/types.h>

namespace plait::detail {

// Bytes moved, or a negative errno.

inline long receive_now(int fd, void* data, std::size_t size) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (calls_directly()) [[likely]]
        return direct_call(SYS_read, fd, data, size);
#endif
    const ssize_t n = ::recv(fd, data, size, 0);
    return n < 0 ? -errno : n;
}

inline long send_now(int fd, void* data, std::size_t size) noexcept {
#if defined(PLAIT_DIRECT_CALLS)
    if (calls_directly()) [[likely]]
        return direct_call(SYS_sendto, fd, data, size, MSG_NOSIGNAL);
#endif
    const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

} // namespace plait::detail
