// SPDX-License-Identifier: Apache-2.0
#include <plait/process_sync.hpp>

#include "process/waiting.hpp"
#include "sys/errors.hpp"
#include "sys/event_descriptor.hpp"
#include "sys/memory.hpp"
#include "sys/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>

namespace plait {

using detail::shared_descriptor;
using detail::time_point;

namespace {

shared_descriptor make_event(unsigned value, int flags) {
    detail::unique_fd fd = detail::above_stdio(
        detail::unique_fd{::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK | flags)}); // its readers never block
    if (!fd) detail::throw_errno("eventfd");
    return shared_descriptor{fd.release()};
}

/// Between threads of one process the order that the kernel makes is made once more, in the language's own
/// terms: what the one has done before `hand_on` the other sees after `take_over`. acquire pairs with
/// release; every hand_on is a read-modify-write, so the last one is enough for all before it.
constinit detail::atomic<std::uint32_t> handed_on{0};
void hand_on() noexcept { handed_on.fetch_add(1, detail::order::release); }
void take_over() noexcept { static_cast<void>(handed_on.load(detail::order::acquire)); }

void check_held(const shared_descriptor& d, const char* what) {
    if (!d) throw std::logic_error{std::string{what} + ": this handle holds nothing: it was moved from"};
}

} // namespace

// ---- event

process_event::process_event() : event_{make_event(0, 0)} {}

void process_event::set() const {
    check_held(event_, "process_event");
    hand_on();
    detail::ring_event(event_.get());
}

void process_event::reset() const {
    check_held(event_, "process_event");
    (void)detail::take_event(event_.get());
}

bool process_event::is_set() const {
    check_held(event_, "process_event");
    pollfd entry{event_.get(), POLLIN, 0};
    if (::poll(&entry, 1, 0) <= 0) return false;
    take_over();
    return true;
}

task<void> process_event::wait() const {
    check_held(event_, "process_event");
    return detail::wait_suspended([self = *this] { return self.is_set(); }, {event_}, "process_event.wait");
}

void process_event::wait_blocking() const { wait_until(time_point::max()); }

bool process_event::wait_until(time_point deadline) const {
    check_held(event_, "process_event");
    return detail::wait_in_thread([this] { return is_set(); }, {event_}, "process_event.wait_blocking",
                                  "wait()", deadline);
}

// ---- semaphore
//
// The truth is in locks on bytes of a file, each held by a file description of its own: the kernel releases
// them with the process. The bell says how many might be free: it wakes, and spares a look at every byte. It
// may be wrong in both directions for a moment, or for ever by who died with a permit; so who waits looks at
// the locks again from time to time, without the bell.

namespace {

constexpr std::chrono::milliseconds look_again{20};

shared_descriptor description_of(const shared_descriptor& file) {
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    detail::unique_fd fd = detail::above_stdio(detail::unique_fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)});
    if (!fd) detail::throw_errno("process_semaphore: open(" + path + ")");
    return shared_descriptor{fd.release()};
}

bool lock_one(const shared_descriptor& description, std::uint32_t bytes) {
    const auto start = static_cast<std::uint32_t>(::getpid()) % bytes; // not all at the same one
    for (std::uint32_t i = 0; i < bytes; ++i) {
        struct flock lock{};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        lock.l_start = static_cast<off_t>((start + i) % bytes);
        lock.l_len = 1;
        if (::fcntl(description.get(), F_OFD_SETLK, &lock) == 0) return true;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            detail::throw_errno("process_semaphore: fcntl");
    }
    return false;
}

} // namespace

process_semaphore::process_semaphore(std::size_t permits) {
    if (permits == 0 || permits > 10'000)
        throw std::invalid_argument{"process_semaphore: " + std::to_string(permits) +
                                    " permits; there must be from 1 to 10000"};
    permits_ = static_cast<std::uint32_t>(permits);
    locks_ = shared_descriptor{detail::make_sealed_memory("plait-semaphore", permits).release()};
    bell_ = make_event(permits_, EFD_SEMAPHORE);
}

process_semaphore::permit::~permit() {
    if (!lock_) return;
    hand_on();
    lock_ = {}; // the description's last descriptor: the lock goes with it
    detail::ring_event(bell_.get());
}

process_semaphore::permit process_semaphore::try_acquire() const {
    check_held(locks_, "process_semaphore");
    permit p;
    shared_descriptor description = description_of(locks_);
    (void)detail::take_event(
        bell_.get()); // or somebody who had not waited for it is faster below: then it was theirs
    if (lock_one(description, permits_)) {
        take_over();
        p.lock_ = std::move(description);
        p.bell_ = bell_;
    }
    return p;
}

task<process_semaphore::permit> process_semaphore::acquire_one(process_semaphore self) {
    permit p;
    const auto try_it = [&self, &p] {
        p = self.try_acquire();
        return static_cast<bool>(p);
    };
    std::vector<shared_descriptor> bells;
    bells.push_back(self.bell_);
    co_await detail::wait_suspended(try_it, std::move(bells), "process_semaphore.acquire", look_again);
    co_return p;
}

task<process_semaphore::permit> process_semaphore::acquire() const {
    check_held(locks_, "process_semaphore");
    return acquire_one(*this);
}

process_semaphore::permit process_semaphore::acquire_blocking() const {
    return acquire_until(time_point::max());
}

process_semaphore::permit process_semaphore::acquire_until(time_point deadline) const {
    permit p;
    detail::wait_in_thread(
        [&] {
            p = try_acquire();
            return static_cast<bool>(p);
        },
        {bell_}, "process_semaphore.acquire_blocking", "acquire()", deadline, look_again);
    return p;
}

void process_semaphore::save_handle(detail::byte_writer& out) const {
    out.put(permits_);
    detail::put_descriptor(out, locks_);
    detail::put_descriptor(out, bell_);
}

process_semaphore process_semaphore::load_handle(detail::byte_reader& in) {
    process_semaphore s;
    s.permits_ = in.take<std::uint32_t>();
    s.locks_ = detail::take_descriptor(in);
    s.bell_ = detail::take_descriptor(in);
    return s;
}

} // namespace plait
