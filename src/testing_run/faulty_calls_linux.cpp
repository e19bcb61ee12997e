// SPDX-License-Identifier: Apache-2.0
// The names at which a test makes calls fail (see fault_point). pthread_create is in simulated_calls_linux.cpp.
#include "testing_run/by_name.hpp"
#include "testing_run/fault_state.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <new>

namespace plait::testing::faults {

void take_their_places() noexcept {}

} // namespace plait::testing::faults

#ifndef PLAIT_NAMES_ARE_TAKEN

namespace plait::testing::faults {
namespace {

template <class F>
F* next(const char* name) noexcept {
    void* const found = ::dlsym(RTLD_NEXT, name);
    if (!found) std::abort(); // it is in every C library
    return reinterpret_cast<F*>(found);
}

int refused(int error) noexcept {
    errno = error;
    return -1;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (hit(fault_point::allocation)) return nullptr;
    void* const p = alignment == 0
                        ? std::malloc(size == 0 ? 1 : size)
                        : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p) live_blocks.fetch_add(1, std::memory_order_relaxed);
    return p;
}
void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    void* const p = allocate(size, alignment);
    if (!p) throw std::bad_alloc{};
    return p;
}
void give_back(void* p) noexcept {
    if (!p) return;
    live_blocks.fetch_sub(1, std::memory_order_relaxed);
    std::free(p);
}

} // namespace
} // namespace plait::testing::faults

namespace faults = plait::testing::faults;
using plait::testing::fault_point;

// operator new and delete: the C++ library's others come to these.
void* operator new(std::size_t size) { return faults::allocate_or_throw(size, 0); }
void* operator new[](std::size_t size) { return faults::allocate_or_throw(size, 0); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return faults::allocate(size, 0); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return faults::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t a) {
    return faults::allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size, std::align_val_t a) {
    return faults::allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
    return faults::allocate(size, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { faults::give_back(p); }
void operator delete[](void* p) noexcept { faults::give_back(p); }
void operator delete(void* p, std::size_t) noexcept { faults::give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { faults::give_back(p); }
void operator delete(void* p, std::align_val_t) noexcept { faults::give_back(p); }
void operator delete[](void* p, std::align_val_t) noexcept { faults::give_back(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { faults::give_back(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { faults::give_back(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { faults::give_back(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { faults::give_back(p); }

// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

[[gnu::visibility("default")]] int posix_spawn(pid_t* pid, const char* path,
                                               const posix_spawn_file_actions_t* actions,
                                               const posix_spawnattr_t* attributes,
                                               char* const arguments[],     // NOLINT
                                               char* const environment[]) { // NOLINT
    static auto* const f = faults::next<decltype(::posix_spawn)>("posix_spawn");
    if (faults::hit(fault_point::process_start)) return EAGAIN;
    return f(pid, path, actions, attributes, arguments, environment);
}
[[gnu::visibility("default")]] int epoll_create1(int flags) noexcept {
    static auto* const f = faults::next<decltype(::epoll_create1)>("epoll_create1");
    return faults::hit(fault_point::epoll_create) ? faults::refused(EMFILE) : f(flags);
}
[[gnu::visibility("default")]] int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    static auto* const f = faults::next<decltype(::epoll_ctl)>("epoll_ctl");
    if (operation != EPOLL_CTL_DEL && faults::hit(fault_point::epoll_control)) return faults::refused(ENOMEM);
    return f(epoll, operation, fd, event);
}
[[gnu::visibility("default")]] int eventfd(unsigned value, int flags) noexcept {
    static auto* const f = faults::next<decltype(::eventfd)>("eventfd");
    return faults::hit(fault_point::event_create) ? faults::refused(EMFILE) : f(value, flags);
}
[[gnu::visibility("default")]] int memfd_create(const char* name, unsigned flags) noexcept {
    static auto* const f = faults::next<decltype(::memfd_create)>("memfd_create");
    return faults::hit(fault_point::memory_file) ? faults::refused(EMFILE) : f(name, flags);
}
[[gnu::visibility("default")]] void* mmap(void* at, size_t size, int protection, int flags, int fd,
                                          off_t offset) noexcept {
    static auto* const f = faults::next<decltype(::mmap)>("mmap");
    if (faults::hit(fault_point::memory_map)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return f(at, size, protection, flags, fd, offset);
}
[[gnu::visibility("default")]] int socket(int domain, int type, int protocol) noexcept {
    static auto* const f = faults::next<decltype(::socket)>("socket");
    return faults::hit(fault_point::socket_create) ? faults::refused(EMFILE) : f(domain, type, protocol);
}
[[gnu::visibility("default")]] int socketpair(int domain, int type, int protocol,
                                              int fds[2]) noexcept { // NOLINT
    static auto* const f = faults::next<decltype(::socketpair)>("socketpair");
    return faults::hit(fault_point::socket_create) ? faults::refused(EMFILE) : f(domain, type, protocol, fds);
}
[[gnu::visibility("default")]] int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
    static auto* const f = faults::next<decltype(::bind)>("bind");
    return faults::hit(fault_point::socket_setup) ? faults::refused(ENOBUFS) : f(fd, address, size);
}
[[gnu::visibility("default")]] int listen(int fd, int backlog) noexcept {
    static auto* const f = faults::next<decltype(::listen)>("listen");
    return faults::hit(fault_point::socket_setup) ? faults::refused(ENOBUFS) : f(fd, backlog);
}
[[gnu::visibility("default")]] int setsockopt(int fd, int level, int name, const void* value,
                                              socklen_t size) noexcept {
    static auto* const f = faults::next<decltype(::setsockopt)>("setsockopt");
    return faults::hit(fault_point::socket_setup) ? faults::refused(ENOBUFS)
                                                  : f(fd, level, name, value, size);
}
[[gnu::visibility("default")]] int connect(int fd, const sockaddr* address, socklen_t size) {
    static auto* const f = faults::next<decltype(::connect)>("connect");
    return faults::hit(fault_point::connect) ? faults::refused(ENETUNREACH) : f(fd, address, size);
}
[[gnu::visibility("default")]] int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
    static auto* const f = faults::next<decltype(::accept4)>("accept4");
    return faults::hit(fault_point::accept) ? faults::refused(EMFILE) : f(fd, address, size, flags);
}
[[gnu::visibility("default")]] ssize_t recv(int fd, void* data, size_t size, int flags) {
    static auto* const f = faults::next<decltype(::recv)>("recv");
    return faults::hit(fault_point::receive) ? faults::refused(ECONNRESET) : f(fd, data, size, flags);
}
[[gnu::visibility("default")]] ssize_t recvmsg(int fd, msghdr* message, int flags) {
    static auto* const f = faults::next<decltype(::recvmsg)>("recvmsg");
    return faults::hit(fault_point::receive) ? faults::refused(ECONNRESET) : f(fd, message, flags);
}
[[gnu::visibility("default")]] ssize_t send(int fd, const void* data, size_t size, int flags) {
    static auto* const f = faults::next<decltype(::send)>("send");
    return faults::hit(fault_point::send) ? faults::refused(ECONNRESET) : f(fd, data, size, flags);
}
[[gnu::visibility("default")]] ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    static auto* const f = faults::next<decltype(::sendmsg)>("sendmsg");
    return faults::hit(fault_point::send) ? faults::refused(ECONNRESET) : f(fd, message, flags);
}
[[gnu::visibility("default")]] int open(const char* path, int flags, ...) {
    static auto* const f = faults::next<decltype(::open)>("open");
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return faults::hit(fault_point::file_open) ? faults::refused(EMFILE) : f(path, flags, mode);
}
[[gnu::visibility("default")]] int openat(int directory, const char* path, int flags, ...) {
    static auto* const f = faults::next<decltype(::openat)>("openat");
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return faults::hit(fault_point::file_open) ? faults::refused(EMFILE) : f(directory, path, flags, mode);
}
[[gnu::visibility("default")]] ssize_t pread(int fd, void* data, size_t size, off_t offset) {
    static auto* const f = faults::next<decltype(::pread)>("pread");
    return faults::hit(fault_point::file_read) ? faults::refused(EIO) : f(fd, data, size, offset);
}
[[gnu::visibility("default")]] ssize_t preadv2(int fd, const iovec* data, int n, off_t offset, int flags) {
    static auto* const f = faults::next<decltype(::preadv2)>("preadv2");
    return faults::hit(fault_point::file_read) ? faults::refused(EIO) : f(fd, data, n, offset, flags);
}
[[gnu::visibility("default")]] ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
    static auto* const f = faults::next<decltype(::pwrite)>("pwrite");
    return faults::hit(fault_point::file_write) ? faults::refused(ENOSPC) : f(fd, data, size, offset);
}
[[gnu::visibility("default")]] ssize_t pwritev2(int fd, const iovec* data, int n, off_t offset, int flags) {
    static auto* const f = faults::next<decltype(::pwritev2)>("pwritev2");
    return faults::hit(fault_point::file_write) ? faults::refused(ENOSPC) : f(fd, data, n, offset, flags);
}

} // extern "C"
// NOLINTEND(readability-identifier-naming)

#endif
