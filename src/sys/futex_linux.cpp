// SPDX-License-Identifier: Apache-2.0
#include "sys/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace plait::detail {
namespace {

constexpr std::int64_t nanoseconds_per_second = 1'000'000'000;

constexpr int operation(int base, futex_scope scope) noexcept {
    return scope == futex_scope::process_private ? base | FUTEX_PRIVATE_FLAG : base;
}

} // namespace

futex_result futex_wait(const std::uint32_t* word, std::uint32_t expected, std::int64_t deadline,
                        futex_scope scope) noexcept {
    timespec until{};
    timespec* timeout = nullptr;
    if (deadline != no_deadline) {
        if (deadline < 0) {
            return futex_result::timed_out; // before the clock's zero; the kernel would answer EINVAL
        }
        until.tv_sec = deadline / nanoseconds_per_second;
        until.tv_nsec = deadline % nanoseconds_per_second;
        timeout = &until;
    }
    // FUTEX_WAIT_BITSET, because its time is absolute: a signal in the middle does not lengthen the wait.
    const int saved = errno;
    const long status = ::syscall(SYS_futex, word, operation(FUTEX_WAIT_BITSET, scope), expected, timeout,
                                  nullptr, FUTEX_BITSET_MATCH_ANY);
    const int error = errno;
    errno = saved;
    if (status == 0) {
        return futex_result::woken;
    }
    switch (error) {
    case EAGAIN:
        return futex_result::changed;
    case ETIMEDOUT:
        return futex_result::timed_out;
    default:
        return futex_result::woken; // EINTR
    }
}

int futex_wake(const std::uint32_t* word, int count, futex_scope scope) noexcept {
    const int saved = errno;
    const long woken = ::syscall(SYS_futex, word, operation(FUTEX_WAKE, scope), count, nullptr, nullptr, 0);
    errno = saved;
    return woken > 0 ? static_cast<int>(woken) : 0;
}

std::int64_t monotonic_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * nanoseconds_per_second + now.tv_nsec;
}

} // namespace plait::detail
