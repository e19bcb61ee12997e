// SPDX-License-Identifier: Apache-2.0
// The names at which a test makes calls fail (see fault_point). pthread_create is in simulated_calls_linux.cpp.
#include "testing_run/by_name.hpp"
#include "testing_run/fault_state.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

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
[[gnu::visibility("default")]] int signalfd(int fd, const sigset_t* which, int flags) noexcept {
    static auto* const f = faults::next<decltype(::signalfd)>("signalfd");
    return faults::hit(fault_point::event_create) ? faults::refused(EMFILE) : f(fd, which, flags);
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
[[gnu::visibility("default")]] int ftruncate(int fd, off_t size) noexcept {
    static auto* const f = faults::next<decltype(::ftruncate)>("ftruncate");
    return faults::hit(fault_point::memory_size) ? faults::refused(ENOSPC) : f(fd, size);
}
[[gnu::visibility("default")]] int fallocate(int fd, int mode, off_t offset, off_t size) {
    static auto* const f = faults::next<decltype(::fallocate)>("fallocate");
    return faults::hit(fault_point::memory_size) ? faults::refused(ENOSPC) : f(fd, mode, offset, size);
}
[[gnu::visibility("default")]] int fcntl(int fd, int command, ...) {
    static auto* const f = faults::next<decltype(::fcntl)>("fcntl");
    va_list more;
    va_start(more, command);
    const long argument = va_arg(more, long); // whatever it is, it is in a register
    va_end(more);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && faults::hit(fault_point::copy))
        return faults::refused(EMFILE);
    return f(fd, command, argument);
}
[[gnu::visibility("default")]] int dup3(int from, int to, int flags) noexcept {
    static auto* const f = faults::next<decltype(::dup3)>("dup3");
    return faults::hit(fault_point::copy) ? faults::refused(EMFILE) : f(from, to, flags);
}
[[gnu::visibility("default")]] int pipe2(int fds[2], int flags) noexcept { // NOLINT
    static auto* const f = faults::next<decltype(::pipe2)>("pipe2");
    return faults::hit(fault_point::copy) ? faults::refused(EMFILE) : f(fds, flags);
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
[[gnu::visibility("default")]] int getsockopt(int fd, int level, int name, void* value,
                                              socklen_t* size) noexcept {
    static auto* const f = faults::next<decltype(::getsockopt)>("getsockopt");
    return faults::hit(fault_point::look) ? faults::refused(EIO) : f(fd, level, name, value, size);
}
[[gnu::visibility("default")]] int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
    static auto* const f = faults::next<decltype(::getsockname)>("getsockname");
    return faults::hit(fault_point::look) ? faults::refused(EIO) : f(fd, address, size);
}
[[gnu::visibility("default")]] int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
    static auto* const f = faults::next<decltype(::getpeername)>("getpeername");
    return faults::hit(fault_point::look) ? faults::refused(EIO) : f(fd, address, size);
}
[[gnu::visibility("default")]] int fstat(int fd, struct stat* to) noexcept {
    static auto* const f = faults::next<decltype(::fstat)>("fstat");
    return faults::hit(fault_point::look) ? faults::refused(EIO) : f(fd, to);
}
[[gnu::visibility("default")]] int ioctl(int fd, unsigned long request, ...) noexcept {
    static auto* const f = faults::next<decltype(::ioctl)>("ioctl");
    va_list more;
    va_start(more, request);
    void* const argument = va_arg(more, void*);
    va_end(more);
    return faults::hit(fault_point::look) ? faults::refused(EIO) : f(fd, request, argument);
}
[[gnu::visibility("default")]] int connect(int fd, const sockaddr* address, socklen_t size) {
    static auto* const f = faults::next<decltype(::connect)>("connect");
    if (faults::hit(fault_point::connect)) return faults::refused(ENETUNREACH);
    const int result = f(fd, address, size);
    return faults::interrupted() ? -1 : result; // it goes on all the same
}
[[gnu::visibility("default")]] int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
    static auto* const f = faults::next<decltype(::accept4)>("accept4");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::accept) ? faults::refused(EMFILE) : f(fd, address, size, flags);
}
[[gnu::visibility("default")]] ssize_t recv(int fd, void* data, size_t size, int flags) {
    static auto* const f = faults::next<decltype(::recv)>("recv");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::receive) ? faults::refused(ECONNRESET) : f(fd, data, size, flags);
}
[[gnu::visibility("default")]] ssize_t recvmsg(int fd, msghdr* message, int flags) {
    static auto* const f = faults::next<decltype(::recvmsg)>("recvmsg");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::receive) ? faults::refused(ENOMEM) : f(fd, message, flags);
}
[[gnu::visibility("default")]] ssize_t send(int fd, const void* data, size_t size, int flags) {
    static auto* const f = faults::next<decltype(::send)>("send");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::send) ? faults::refused(ECONNRESET) : f(fd, data, size, flags);
}
[[gnu::visibility("default")]] ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    static auto* const f = faults::next<decltype(::sendmsg)>("sendmsg");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::send) ? faults::refused(ENOBUFS) : f(fd, message, flags);
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

[[gnu::visibility("default")]] int fsync(int fd) {
    static auto* const f = faults::next<decltype(::fsync)>("fsync");
    return faults::hit(fault_point::file_write) ? faults::refused(ENOSPC) : f(fd);
}
[[gnu::visibility("default")]] ssize_t read(int fd, void* data, size_t size) {
    static auto* const f = faults::next<decltype(::read)>("read");
    return faults::interrupted() ? -1 : f(fd, data, size);
}
[[gnu::visibility("default")]] ssize_t write(int fd, const void* data, size_t size) {
    static auto* const f = faults::next<decltype(::write)>("write");
    return faults::interrupted() ? -1 : f(fd, data, size);
}
[[gnu::visibility("default")]] int waitid(idtype_t kind, id_t which, siginfo_t* to, int options) {
    static auto* const f = faults::next<decltype(::waitid)>("waitid");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::process_wait) ? faults::refused(ECHILD) : f(kind, which, to, options);
}
[[gnu::visibility("default")]] pid_t waitpid(pid_t which, int* status, int options) {
    static auto* const f = faults::next<decltype(::waitpid)>("waitpid");
    if (faults::interrupted()) return -1;
    return faults::hit(fault_point::process_wait) ? faults::refused(ECHILD) : f(which, status, options);
}

} // extern "C"
// NOLINTEND(readability-identifier-naming)

#endif
