// SPDX-License-Identifier: Apache-2.0
// The C library's names for what waits, wakes and tells the time. The linker takes these for the program and its
// libraries; outside of a run each passes the call on.
#include "testing_run/by_name.hpp"
#include "testing_run/fault_state.hpp"
#include "testing_run/simulation.hpp"

#include <dlfcn.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <ctime>

namespace plait::testing {
namespace {

template <class F>
F* next(const char* name) noexcept {
    void* const found = ::dlsym(RTLD_NEXT, name);
    if (!found) std::abort(); // it is in every C library
    return reinterpret_cast<F*>(found);
}

} // namespace

namespace real {

void take_their_places() noexcept {}

int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*),
           void* argument) noexcept {
    static auto* const f = next<decltype(::pthread_create)>("pthread_create");
    return f(handle, attributes, function, argument);
}
static long call(long number, long a, long b, long c, long d, long e, long f) noexcept {
    static auto* const real_syscall = next<decltype(::syscall)>("syscall");
    return real_syscall(number, a, b, c, d, e, f);
}
void sleep_on(std::atomic<std::uint32_t>& word) noexcept {
    while (word.load(std::memory_order_acquire) == 0)
        call(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
}
void wake(std::atomic<std::uint32_t>& word) noexcept {
    call(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

} // namespace real
} // namespace plait::testing

#ifndef PLAIT_NAMES_ARE_TAKEN

namespace plait::testing {
namespace {

constexpr std::int64_t second = 1'000'000'000;
// Between the clocks of a run: the time of day is so much later.
constexpr std::int64_t time_of_day = 1'700'000'000 * second;

std::int64_t of(const timespec& t) noexcept { return std::int64_t{t.tv_sec} * second + t.tv_nsec; }
timespec to(std::int64_t ns) noexcept {
    timespec t{};
    t.tv_sec = static_cast<time_t>(ns / second);
    t.tv_nsec = static_cast<long>(ns % second);
    return t;
}
std::int64_t later(std::int64_t now, std::int64_t ns) noexcept {
    return ns >= simulation::never - now ? simulation::never : now + std::max<std::int64_t>(ns, 0);
}
// A deadline on one of the clocks, on the run's.
std::int64_t deadline(clockid_t clock, const timespec* t) noexcept {
    if (!t) return simulation::never;
    return of(*t) - (clock == CLOCK_REALTIME ? time_of_day : 0);
}

int real_trylock(pthread_mutex_t* m) noexcept {
    static auto* const f = next<decltype(::pthread_mutex_trylock)>("pthread_mutex_trylock");
    return f(m);
}
int real_unlock(pthread_mutex_t* m) noexcept {
    static auto* const f = next<decltype(::pthread_mutex_unlock)>("pthread_mutex_unlock");
    return f(m);
}

int lock(simulation& s, pthread_mutex_t* m) noexcept {
    for (;;) {
        const int error = real_trylock(m);
        if (error != EBUSY) {
            if (error == 0) s.holds(m, true);
            return error;
        }
        s.wait(m, "waits for a mutex");
    }
}
int unlock(simulation& s, pthread_mutex_t* m) noexcept {
    const int error = real_unlock(m);
    if (error != 0) return error;
    s.holds(m, false);
    s.wake(m, ~0U);
    return 0;
}
int condition_wait(simulation& s, pthread_cond_t* c, pthread_mutex_t* m, std::int64_t until) noexcept {
    if (const int error = unlock(s, m)) return error;
    const bool woken = s.wait(c, "waits for a condition", until);
    if (const int error = lock(s, m)) return error;
    return woken ? 0 : ETIMEDOUT;
}

long futex(simulation& s, long word, long operation, long value, long timeout, long mask) noexcept {
    static_cast<void>(mask);
    const auto* const at = reinterpret_cast<const std::uint32_t*>(word);
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
        if (__atomic_load_n(at, __ATOMIC_SEQ_CST) != static_cast<std::uint32_t>(value)) {
            errno = EAGAIN;
            return -1;
        }
        std::int64_t until = simulation::never;
        if (const auto* const t = reinterpret_cast<const timespec*>(timeout))
            until =
                (operation & FUTEX_CMD_MASK) == FUTEX_WAIT
                    ? later(s.now(), of(*t))
                    : deadline((operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, t);
        if (s.wait(at, "sleeps on a futex", until)) return 0;
        errno = ETIMEDOUT;
        return -1;
    }
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: {
        const unsigned n = s.wake(at, static_cast<unsigned>(std::max(value, 0L)));
        s.give_way();
        return n;
    }
    default:
        errno = ENOSYS;
        return -1;
    }
}

// Of the calls without a name of their own.
bool faulty(long number, const long* arguments) noexcept {
    if (number == SYS_futex) {
        const long what = arguments[1] & FUTEX_CMD_MASK;
        return (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET) && faults::interrupted();
    }
    if (number != SYS_pidfd_open || !faults::hit(fault_point::process_watch)) return false;
    errno = EMFILE;
    return true;
}

template <class Look>
int poll_until(simulation& s, const void* on, const char* how, std::int64_t until, Look look) noexcept {
    s.begins_to_poll();
    for (;;) {
        const int n = look();
        if (n != 0) return n;
        if (until <= s.now()) return 0;
        s.wait_for_activity(on, how, until);
    }
}

int epoll(simulation& s, int fd, epoll_event* events, int room, std::int64_t until) noexcept {
    static auto* const f = next<decltype(::epoll_wait)>("epoll_wait");
    return poll_until(s, events, "waits for events", until, [&] { return f(fd, events, room, 0); });
}

} // namespace
} // namespace plait::testing

using plait::testing::simulation;

// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

[[gnu::visibility("default")]] int pthread_create(pthread_t* handle, const pthread_attr_t* attributes,
                                                  void* (*function)(void*), void* argument) noexcept {
    if (plait::testing::faults::hit(plait::testing::fault_point::thread_start)) return EAGAIN;
    if (simulation* const s = simulation::here()) return s->create(handle, attributes, function, argument);
    return plait::testing::real::create(handle, attributes, function, argument);
}

[[gnu::visibility("default")]] int pthread_join(pthread_t handle, void** result) {
    static auto* const f = plait::testing::next<decltype(::pthread_join)>("pthread_join");
    if (simulation* const s = simulation::here()) s->await_end(handle);
    return f(handle, result);
}

[[gnu::visibility("default")]] int pthread_mutex_lock(pthread_mutex_t* m) noexcept {
    static auto* const f = plait::testing::next<decltype(::pthread_mutex_lock)>("pthread_mutex_lock");
    simulation* const s = simulation::here();
    return s ? plait::testing::lock(*s, m) : f(m);
}
[[gnu::visibility("default")]] int pthread_mutex_trylock(pthread_mutex_t* m) noexcept {
    const int error = plait::testing::real_trylock(m);
    if (simulation* const s = simulation::here(); s && error == 0) s->holds(m, true);
    return error;
}
[[gnu::visibility("default")]] int pthread_mutex_unlock(pthread_mutex_t* m) noexcept {
    simulation* const s = simulation::here();
    if (!s) return plait::testing::real_unlock(m);
    const int error = plait::testing::unlock(*s, m);
    s->give_way();
    return error;
}

[[gnu::visibility("default")]] int pthread_cond_wait(pthread_cond_t* c, pthread_mutex_t* m) {
    static auto* const f = plait::testing::next<decltype(::pthread_cond_wait)>("pthread_cond_wait");
    simulation* const s = simulation::here();
    return s ? plait::testing::condition_wait(*s, c, m, simulation::never) : f(c, m);
}
[[gnu::visibility("default")]] int pthread_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* m,
                                                          const timespec* t) {
    static auto* const f = plait::testing::next<decltype(::pthread_cond_timedwait)>("pthread_cond_timedwait");
    simulation* const s = simulation::here();
    return s ? plait::testing::condition_wait(*s, c, m, plait::testing::deadline(CLOCK_REALTIME, t))
             : f(c, m, t);
}
[[gnu::visibility("default")]] int pthread_cond_clockwait(pthread_cond_t* c, pthread_mutex_t* m,
                                                          clockid_t clock, const timespec* t) {
    static auto* const f = plait::testing::next<decltype(::pthread_cond_clockwait)>("pthread_cond_clockwait");
    simulation* const s = simulation::here();
    return s ? plait::testing::condition_wait(*s, c, m, plait::testing::deadline(clock, t))
             : f(c, m, clock, t);
}
[[gnu::visibility("default")]] int pthread_cond_signal(pthread_cond_t* c) noexcept {
    static auto* const f = plait::testing::next<decltype(::pthread_cond_signal)>("pthread_cond_signal");
    simulation* const s = simulation::here();
    if (!s) return f(c);
    s->wake(c, 1);
    s->give_way();
    return 0;
}
[[gnu::visibility("default")]] int pthread_cond_broadcast(pthread_cond_t* c) noexcept {
    static auto* const f = plait::testing::next<decltype(::pthread_cond_broadcast)>("pthread_cond_broadcast");
    simulation* const s = simulation::here();
    if (!s) return f(c);
    s->wake(c, ~0U);
    s->give_way();
    return 0;
}

[[gnu::visibility("default")]] long syscall(long number, ...) noexcept {
    va_list arguments;
    va_start(arguments, number);
    long a[6]; // NOLINT(cppcoreguidelines-avoid-c-arrays)
    for (long& each : a) each = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_futex)
        if (simulation* const s = simulation::here())
            return plait::testing::futex(*s, a[0], a[1], a[2], a[3], a[5]);
    if (plait::testing::faulty(number, a)) return -1;
    return plait::testing::real::call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

[[gnu::visibility("default")]] int epoll_wait(int fd, epoll_event* events, int room, int milliseconds) {
    static auto* const f = plait::testing::next<decltype(::epoll_wait)>("epoll_wait");
    simulation* const s = simulation::here();
    if (!s) return plait::testing::faults::interrupted() ? -1 : f(fd, events, room, milliseconds);
    return plait::testing::epoll(
        *s, fd, events, room,
        milliseconds < 0 ? simulation::never : plait::testing::later(s->now(), milliseconds * 1'000'000LL));
}
[[gnu::visibility("default")]] int epoll_pwait2(int fd, epoll_event* events, int room, const timespec* limit,
                                                const sigset_t* mask) {
    static auto* const f = plait::testing::next<decltype(::epoll_pwait2)>("epoll_pwait2");
    simulation* const s = simulation::here();
    if (!s) return plait::testing::faults::interrupted() ? -1 : f(fd, events, room, limit, mask);
    return plait::testing::epoll(*s, fd, events, room,
                                 limit ? plait::testing::later(s->now(), plait::testing::of(*limit))
                                       : simulation::never);
}
[[gnu::visibility("default")]] int poll(pollfd* fds, nfds_t n, int milliseconds) {
    static auto* const f = plait::testing::next<decltype(::poll)>("poll");
    simulation* const s = simulation::here();
    if (!s) return plait::testing::faults::interrupted() ? -1 : f(fds, n, milliseconds);
    return plait::testing::poll_until(
        *s, fds, "polls",
        milliseconds < 0 ? simulation::never : plait::testing::later(s->now(), milliseconds * 1'000'000LL),
        [&] { return f(fds, n, 0); });
}

[[gnu::visibility("default")]] int clock_gettime(clockid_t clock, timespec* t) noexcept {
    static auto* const f = plait::testing::next<decltype(::clock_gettime)>("clock_gettime");
    const simulation* const s = simulation::here();
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        if (s) return *t = plait::testing::to(s->now()), 0;
        break;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        if (s) return *t = plait::testing::to(s->now() + plait::testing::time_of_day), 0;
        break;
    default:
        break;
    }
    return f(clock, t);
}
[[gnu::visibility("default")]] int clock_nanosleep(clockid_t clock, int flags, const timespec* t,
                                                   timespec* left) {
    static auto* const f = plait::testing::next<decltype(::clock_nanosleep)>("clock_nanosleep");
    simulation* const s = simulation::here();
    if (!s && plait::testing::faults::interrupted()) {
        if (left != nullptr && (flags & TIMER_ABSTIME) == 0) *left = *t;
        return EINTR;
    }
    if (!s) return f(clock, flags, t, left);
    s->wait(t, "sleeps",
            (flags & TIMER_ABSTIME) != 0 ? plait::testing::deadline(clock, t)
                                         : plait::testing::later(s->now(), plait::testing::of(*t)));
    return 0;
}
[[gnu::visibility("default")]] int nanosleep(const timespec* t, timespec* left) {
    const int error = clock_nanosleep(CLOCK_MONOTONIC, 0, t, left);
    if (error == 0) return 0;
    errno = error;
    return -1;
}
[[gnu::visibility("default")]] int sched_yield() noexcept {
    static auto* const f = plait::testing::next<decltype(::sched_yield)>("sched_yield");
    simulation* const s = simulation::here();
    return s ? (s->give_way(), 0) : f();
}

} // extern "C"
// NOLINTEND(readability-identifier-naming)

#endif
