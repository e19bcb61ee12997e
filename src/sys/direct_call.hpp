// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <sys/syscall.h>

// The C library's calls that may block are cancellation points: in a program of several threads that costs 58
// instructions a call, of the 300 that a whole round trip may take. Sanitizers have to see them, though.
#if defined(__x86_64__) && defined(__LP64__)
#define PLAIT_DIRECT_CALLS 1
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef PLAIT_DIRECT_CALLS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#undef PLAIT_DIRECT_CALLS
#endif
#endif
#endif

namespace plait::detail {

/// 1: call the C library all the same; a test has put itself in its functions' places (component testing).
extern constinit atomic<std::uint32_t> calls_by_name;
/// The same, for who asks seldom.
bool calls_go_by_name() noexcept;

#if defined(PLAIT_DIRECT_CALLS)

/// Its own calls are direct, but for tests.
inline bool calls_directly() noexcept { return calls_by_name.load(order::relaxed) == 0; }

// The kernel's answer: a negative errno, if it fails.

/// Of three arguments.
inline long direct_call(long number, int fd, void* data, std::size_t size) noexcept {
    long result = number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(static_cast<long>(fd)), "S"(data), "d"(size)
                 : "rcx", "r11", "memory");
    return result;
}
/// Of five, the last of which is 0, or of six, if the last does not matter then.
inline long direct_call(long number, int fd, void* data, std::size_t size, long fourth) noexcept {
    long result = number;
    register long r10 asm("r10") = fourth;
    register long r8 asm("r8") = 0;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(static_cast<long>(fd)), "S"(data), "d"(size), "r"(r10), "r"(r8)
                 : "rcx", "r11", "memory");
    return result;
}

#endif

} // namespace plait::detail
