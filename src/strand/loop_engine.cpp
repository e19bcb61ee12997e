// SPDX-License-Identifier: Apache-2.0
#include "strand/loop_engine.hpp"

#include "strand/locals.hpp"
#include "strand/watchdog.hpp"
#include "sys/errors.hpp"
#include "sys/event_descriptor.hpp"
#include "sys/event_wait.hpp"
#include "sys/placement.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <pthread.h>
#include <sys/eventfd.h>

namespace plait::detail {

loop_engine::loop_engine(const char* kind, const char* thread_name, unhandled_handler handler)
    : engine{kind, std::move(handler)},
      thread_name_{thread_name},
      epoll_{above_stdio(unique_fd{::epoll_create1(EPOLL_CLOEXEC)})},
      event_{above_stdio(unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)})},
      timers_{std::chrono::steady_clock::now()},
      idle_{*this},
      locals_{new locals} {
    const int error = errno;
    if (!epoll_ || !event_) {
        delete locals_;
        throw_errno(error, std::string{kind} + ": cannot create its epoll and event descriptors");
    }
    epoll_event e{};
    e.events = EPOLLIN | EPOLLET; // never read: each write is a new edge
    e.data.ptr = nullptr;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, event_.get(), &e) != 0) {
        const int failed = errno;
        delete locals_;
        throw_errno(failed, std::string{kind} + ": cannot watch its event descriptor");
    }
}

loop_engine::~loop_engine() {
    if (thread_.joinable()) thread_.detach(); // the last owner is the thread itself
    // A late write must find its descriptor, not one that has got its number since.
    const std::uint64_t expected = producer_writes_ + announced_writes_.load(order::acquire);
    for (std::uint64_t seen = 0; seen < expected;) {
        if (const std::uint64_t n = take_event(event_.get()))
            seen += n;
        else
            system_policy::pause(64);
    }
    drop_retired();
    delete locals_;
}

bool loop_engine::is_current() const noexcept { return current().runs(*this); }

void loop_engine::post(work& w) noexcept {
    if (current().worker == this)
        ready_.push(w);
    else {
        const int fd = event_.get(); // before the push: afterwards the loop may end, and be gone
        if (inbox_.push(w)) ring_event(fd);
    }
}

void loop_engine::wake() noexcept {
    // release: pairs with drive_until_woken().
    announced_writes_.fetch_add(1, order::release);
    ring_event(event_.get());
}

void loop_engine::add_watch(int fd, watch& w) {
    if (const int error = try_watch(fd, w))
        throw_errno(error, std::string{kind()} + ": cannot watch descriptor " + std::to_string(fd));
}

int loop_engine::try_watch(int fd, watch& w) noexcept {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    e.data.ptr = &w;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : errno;
}

void loop_engine::unwatch(int fd) noexcept {
    epoll_event e{};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, &e); // it may be closed already
}

void loop_engine::retire(watch& w) noexcept {
    watch* head = retired_.load(order::relaxed);
    do {
        w.next_retired_ = head;
        // release: the loop sees the node whole, and what was done to `w` before.
    } while (!retired_.compare_exchange(head, &w, order::release, order::relaxed));
}

// No batch is in hand, and whatever is in the list left the poll set before it came here.
void loop_engine::drop_retired() noexcept {
    if (!retired_.load(order::relaxed)) return;
    for (watch* w = retired_.exchange(nullptr, order::acquire); w;) {
        watch* const next = w->next_retired_; // before w is gone
        w->retired();
        w = next;
    }
}

void loop_engine::remove_watch(int fd, watch& w) noexcept {
    unwatch(fd);
    for (epoll_event* e = next_event_; e != end_of_events_; ++e)
        if (e->data.ptr == &w) e->data.ptr = nullptr;
}

loop_engine::session::session(loop_engine& l) noexcept : before_{current()} {
    execution& e = current();
    e = {};
    e.worker = &l;
    e.locals = l.locals_;
    e.thread = before_.thread;
    e.outer = &before_;
}

loop_engine::session::~session() { current() = before_; }

void loop_engine::start_thread(function<void()> initializer) {
    initializer_ = std::move(initializer);
    add_owner();
    try {
        thread_ = std::thread{[this] { thread_main(); }};
    } catch (...) {
        release_owner();
        throw;
    }
}

void loop_engine::thread_main() noexcept {
    current().thread = name_this_thread(thread_name_);
    {
        const session here{*this};
        initialize(initializer_);
        const watched_loop watched{*this, thread_name_, slow_task_threshold_};
        while (stopping_.load(order::acquire) == 0) turn();
        // What was posted before the stop still runs: cancelled tasks in the queue give up their share.
        for (take_inbox(); !ready_.empty(); take_inbox()) run_ready();
        locals_->clear();
    }
    release_owner();
}

void loop_engine::stop() noexcept {
    stopping_.store(1, order::release);
    wake();
}

void loop_engine::join() noexcept {
    if (thread_.joinable()) thread_.join();
}

// The last one out may be any thread. Its post is the last that it does here, and the loop is not left before
// that.
void loop_engine::on_idle() noexcept { post(idle_); }

loop_engine::idle_work::idle_work(loop_engine& l) noexcept
    : work{[](work& w) noexcept {
          loop_engine& loop_here = static_cast<idle_work&>(w).loop;
          loop_here.idle_seen_ = true;
          if (loop_here.closed()) loop_here.stopping_.store(1, order::release);
      }},
      loop{l} {}

void loop_engine::drain() noexcept {
    cancel_pending();
    stop_roots();
    idle_seen_ = false;
    defer();
    drive_until([this] { return idle_seen_; });
    run_pending();
}

void loop_engine::run_here(work& w) noexcept {
    const session here{*this};
    w.run();
}

void loop_engine::run_left_behind() noexcept {
    take_inbox();
    if (ready_.empty()) return;
    const session here{*this};
    run_ready();
}

void loop_engine::clear_locals() noexcept {
    const session here{*this};
    locals_->clear();
}

inline void loop_engine::take_events(long n) noexcept {
    next_event_ = events_.data();
    end_of_events_ = next_event_ + std::max(n, 0L); // a signal may have come first
    resumes_at_poll_ = resumes();
    now_ = time_point{};
}

// After inbox_.try_sleep(), and an end of the sleep. Producers need not write any more.
inline void loop_engine::wake_up() noexcept {
    if (inbox_.wake_up()) [[unlikely]] {
        ++producer_writes_;
        take_inbox();
    }
    if (watchdog_wants_to_know() && slow_task_threshold_ != nanoseconds::zero()) [[unlikely]]
        unpark_watchdog();
}

// One by one: a task that is told goes on at once, and the other side has its answer while we read the next
// question. Told all first, a thousand connections had 0.83 of a raw loop's rate, so 0.93 (docs/internals/loop.md).
inline void loop_engine::tell_events() noexcept {
    while (next_event_ != end_of_events_) {
        const epoll_event& e = *next_event_++;
        if (auto* w = static_cast<watch*>(e.data.ptr)) w->ready(e.events);
    }
}

void loop_engine::turn() noexcept {
    if (!nothing_to_do() || !inbox_.try_sleep()) return busy_turn();
    if (!timers_.empty() || retired_.load(order::relaxed)) {
        sleep();
    } else {
        take_events(wait_without_limit(epoll_.get(), events_.data(), events_.size()));
        wake_up();
    }
    if (!ready_.empty()) run_ready();
    tell_events();
}

// Nothing may be ready all the same: events in hand, and a task that was told of one drives the loop.
[[gnu::noinline]] void loop_engine::busy_turn() noexcept {
    take_inbox();
    if (poll_is_due()) poll();
    run_ready();
    tell_events();
}

bool loop_engine::poll_is_due() const noexcept {
    if (resumes() - resumes_at_poll_ >= poll_every) return true;
    const time_point now = std::chrono::steady_clock::now();
    if (now_ == time_point{}) now_ = now;
    return now - now_ >= poll_after;
}

time_point loop_engine::coarse_now() const noexcept {
    if (now_ == time_point{}) now_ = std::chrono::steady_clock::now();
    return now_;
}

void loop_engine::take_inbox() noexcept {
    for (work* w = inbox_.take(); w;) {
        work* const next = w->next_;
        ready_.push(*w);
        w = next;
    }
}

void loop_engine::run_ready() noexcept {
    batch_.append(ready_); // not empty if a task drives the loop itself (serial in serial)
    while (work* w = batch_.pop()) {
        count(*w);
        w->run();
        // A long batch must not hold up timers and descriptors (C28).
        if (resumes() - resumes_at_poll_ >= poll_every) {
            poll();
            tell_events();
            take_inbox();
        }
    }
}

void loop_engine::poll() noexcept {
    tell_events(); // the rest, before the next ones take their place
    drop_retired();
    constexpr timespec at_once{};
    take_events(wait_for_events(epoll_.get(), events_.data(), events_.size(), at_once));
    fire_timers();
}

// After inbox_.try_sleep().
[[gnu::noinline]] void loop_engine::sleep() noexcept {
    drop_retired();
    const time_point next = timers_.next();
    if (next == time_point::max()) {
        take_events(wait_without_limit(epoll_.get(), events_.data(), events_.size()));
    } else {
        const auto left = std::max(next - std::chrono::steady_clock::now(), nanoseconds::zero());
        const timespec limit{static_cast<time_t>(left / std::chrono::seconds{1}),
                             static_cast<long>((left % std::chrono::seconds{1}).count())};
        take_events(wait_for_events(epoll_.get(), events_.data(), events_.size(), limit));
    }
    // A tick of the wheel may resume nobody: the watchdog is to see that the loop has slept all the same.
    resumes_.store(resumes() + 1, order::relaxed);
    wake_up();
    fire_timers();
}

// Before any task is resumed: equal deadlines set all their flags first (C25).
void loop_engine::fire_timers() noexcept {
    if (timers_.empty()) return;
    now_ = std::chrono::steady_clock::now();
    timers_.fire_due(now_);
}

} // namespace plait::detail
