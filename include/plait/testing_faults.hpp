// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Component testing_run: link plait::testing_run.

namespace plait::testing {

/// Where something can be refused: memory, threads, descriptors, and what is done with them. Of the calls that plait
/// makes only those are missing that cannot fail there (closing, unmapping, clocks, one's own number), and hints, whose
/// failure changes nothing (names and affinity of threads, advice on memory).
enum class fault_point : unsigned char {
    allocation,    ///< operator new: bad_alloc
    thread_start,  ///< pthread_create: EAGAIN
    process_start, ///< posix_spawn: EAGAIN
    process_watch, ///< pidfd_open: EMFILE
    process_wait,  ///< waitid, waitpid: ECHILD
    epoll_create,  ///< epoll_create1: EMFILE
    epoll_control, ///< epoll_ctl: ENOMEM
    event_create,  ///< eventfd, signalfd: EMFILE
    memory_file,   ///< memfd_create: EMFILE
    memory_map,    ///< mmap, by name: ENOMEM
    memory_size,   ///< ftruncate, fallocate: ENOSPC
    copy,          ///< fcntl(F_DUPFD), dup3, pipe2: EMFILE
    socket_create, ///< socket and socketpair: EMFILE
    socket_setup,  ///< bind, listen, setsockopt: ENOBUFS
    look,          ///< fstat, getsockopt, getsockname, getpeername, ioctl: EIO
    connect,       ///< connect: ENETUNREACH
    accept,        ///< accept4: EMFILE
    receive,       ///< recv: ECONNRESET; recvmsg: ENOMEM
    send,          ///< send: ECONNRESET; sendmsg: ENOBUFS
    file_open,     ///< open, openat: EMFILE
    file_read,     ///< pread, preadv2: EIO
    file_write,    ///< pwrite, pwritev2, fsync: ENOSPC
    interruption,  ///< whatever waits, reads or writes: EINTR, as by a signal; in a sweep once only
};
inline constexpr std::size_t fault_points = 23;

[[gnu::visibility("default")]] std::string_view name_of(fault_point p) noexcept;

/// While it lives, calls at one point fail: the `first` one (from 1), and with `from_then_on` all that follow.
///
/// Threads:  every thread's calls count. One at a time.
/// Errors:   logic_error if there is one already, or under a sanitizer, which has these names itself.
class [[gnu::visibility("default")]] fault_injection {
  public:
    fault_injection(fault_point point, std::uint64_t first, bool from_then_on);
    fault_injection(const fault_injection&) = delete;
    fault_injection& operator=(const fault_injection&) = delete;
    ~fault_injection();

    /// Calls at the point since it began.
    std::uint64_t calls() const noexcept;
    /// Those that failed.
    std::uint64_t failed() const noexcept;
};

/// What a sweep has found.
struct sweep_result {
    std::uint64_t injections = 0;                 ///< runs in which a call was made to fail
    std::uint64_t refused = 0;                    ///< of these, how many the scenario ended with an exception
    std::array<std::uint64_t, fault_points> at{}; ///< injections at each point
    std::vector<std::string> faults;              ///< what is wrong, a line each; empty if nothing is

    explicit operator bool() const noexcept { return faults.empty(); }
    /// "thread_pool: 312 injections (allocation 280, thread_start 32), 300 refused".
    std::string summary(std::string_view name) const;
};

struct sweep_options {
    std::vector<fault_point> points = {}; ///< empty: all
    /// Of points with more calls than this, so many of them spread over all.
    std::uint64_t most_at_a_point = 400;
    bool lasting = true; ///< also with all calls failing from there on
};

/// Runs `scenario` once with the first call at a point failing, once with the second, and so on, until it runs through
/// untouched; and again with all calls failing from there on. After each run it looks whether a descriptor or a thread is
/// left, and whether memory grows if the same failure is repeated; and then whether the scenario, left alone, still passes.
///
///     const plait::testing::sweep_result r = plait::testing::sweep([] {
///         plait::thread_pool pool{{.workers = 2}};
///         if (pool.submit([] { return 42; }).get() != 42) throw std::logic_error{"wrong"};
///     });
///     if (!r) std::cerr << r.faults.front() << '\n';
///
/// The scenario may end with any exception but std::logic_error, which says that a promise was broken; it must clean up
/// by itself. It has to pass when nothing fails. A hang is for the test's own time limit; set PLAIT_FAULTS to see, on stderr,
/// which call is made to fail before each run.
///
/// "Fail after n until success": SQLite's and Seastar's way of testing.
[[gnu::visibility("default")]] sweep_result sweep(const std::function<void()>& scenario,
                                                  const sweep_options& options = {});

} // namespace plait::testing
