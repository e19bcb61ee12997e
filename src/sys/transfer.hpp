// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>

namespace plait::detail {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIT_LIBC_TRANSFER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define PLAIT_LIBC_TRANSFER 1
#endif
#endif

// Bytes moved, or a negative errno. The C library's calls are cancellation points: in a program of several
// threads that costs 58 instructions a call, of the 300 that a whole round trip may take. Sanitizers have to
// see them, though.
#if defined(__x86_64__) && defined(__LP64__) && !defined(PLAIT_LIBC_TRANSFER)

inline long transfer_call(long number, int fd, void* data, std::size_t size, long flags) noexcept {
    long result = number;
    register long r10 asm("r10") = flags;
    register long r8 asm("r8") = 0; // no address
    register long r9 asm("r9") = 0;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(static_cast<long>(fd)), "S"(data), "d"(size), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}
inline long receive_now(int fd, void* data, std::size_t size) noexcept {
    return transfer_call(SYS_recvfrom, fd, data, size, 0);
}
inline long send_now(int fd, void* data, std::size_t size) noexcept {
    return transfer_call(SYS_sendto, fd, data, size, MSG_NOSIGNAL);
}

#else

inline long receive_now(int fd, void* data, std::size_t size) noexcept {
    const ssize_t n = ::recv(fd, data, size, 0);
    return n < 0 ? -errno : n;
}
inline long send_now(int fd, void* data, std::size_t size) noexcept {
    const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

#endif
#undef PLAIT_LIBC_TRANSFER

} // namespace plait::detail
