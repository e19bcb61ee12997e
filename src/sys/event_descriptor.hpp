// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace plait::detail {

/// Adds one to an eventfd's count: wakes whoever waits for it. If it is full it says what it has to already.
inline void ring_event(int fd) noexcept {
    const std::uint64_t one = 1;
    while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/// Takes an eventfd's count (of a semaphore's: one). 0: there is nothing. The descriptor does not block.
inline std::uint64_t take_event(int fd) noexcept {
    std::uint64_t count = 0;
    while (::read(fd, &count, sizeof count) < 0)
        if (errno != EINTR) return 0;
    return count;
}

} // namespace plait::detail
