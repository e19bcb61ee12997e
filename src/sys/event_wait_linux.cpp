// SPDX-License-Identifier: Apache-2.0
#include "sys/event_wait.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <plait/detail/chrono.hpp>

namespace plait::detail {

constinit atomic<std::uint32_t> calls_by_name{0};
constinit atomic<std::uint32_t> coarse_waits{0};

bool calls_go_by_name() noexcept { return calls_by_name.load(order::relaxed) != 0; }

namespace {

// In milliseconds, rounded up: a deadline must have passed.
long wait_coarsely(int epoll, epoll_event* events, int room, const timespec* limit) noexcept {
    int milliseconds = -1;
    if (limit) {
        const auto exact = std::chrono::seconds{limit->tv_sec} + nanoseconds{limit->tv_nsec};
        const auto whole = std::chrono::ceil<std::chrono::milliseconds>(exact).count();
        milliseconds = static_cast<int>(std::min<std::int64_t>(whole, std::numeric_limits<int>::max()));
    }
    const int n = ::epoll_wait(epoll, events, room, milliseconds);
    return n < 0 ? -errno : n;
}

} // namespace

long wait_otherwise(int epoll, epoll_event* events, std::size_t room, const timespec* limit) noexcept {
    if (coarse_waits.load(order::relaxed) == 0) {
        const int n = ::epoll_pwait2(epoll, events, static_cast<int>(room), limit, nullptr);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n < 0 ? -errno : n;
        coarse_waits.store(1, order::relaxed);
    }
    return wait_coarsely(epoll, events, static_cast<int>(room), limit);
}

} // namespace plait::detail
