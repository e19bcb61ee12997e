// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/inbox.hpp"
#include "base/timers.hpp"
#include "strand/engine.hpp"
#include "sys/unique_fd.hpp"

#include <array>
#include <sys/epoll.h>
#include <thread>

namespace plait::detail {

class locals;

/// Somebody who is told what happens on a descriptor.
struct watch {
    /// On the loop's thread. `events`: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. Edge-triggered:
    /// each comes once, until the descriptor has been used up to EAGAIN.
    virtual void ready(std::uint32_t events) noexcept = 0;
    /// After retire(): the loop has no event for it in its hands any more. On whatever thread.
    virtual void retired() noexcept {}

    watch* next_retired_ = nullptr;

  protected:
    ~watch() = default;
};

/// An event loop: the work, timers and descriptors of one thread.
///
/// A turn: take the inbox, poll if it is time, run what was ready when the turn began (what it makes ready
/// waits for the next turn), tell the events one by one. Invariant: the thread sleeps only after
/// `inbox::try_sleep` said so and nothing was ready, and then until the next deadline, an event, or the one
/// producer that finds it asleep.
class loop_engine final : public engine {
  public:
    loop_engine(const char* kind, const char* thread_name, unhandled_handler handler);

    /// Runs `w` at once, in this thread, which drives the loop: how `serial` begins a task.
    void run_here(work& w) noexcept;
    /// Destroys the worker_locals; nobody drives it, or this thread does.
    void clear_locals() noexcept;

    /// From watch::ready(): resumes a task of this loop at once.
    void resume_now(waiter& w) noexcept {
        count(w);
        w.resume_now();
    }

    void post(work& w) noexcept override;
    bool is_current() const noexcept override;
    bool single_threaded() const noexcept override { return true; }
    worker& keeper() override { return *this; }
    time_point coarse_now() const noexcept override;
    void add_timer(timer& t) noexcept override { timers_.add(t); }
    void remove_timer(timer& t) noexcept override { timers_.remove(t); }

    /// Descriptors; on the loop's thread. Throws system_error. After remove_watch `w` is not called any more,
    /// not even for events of the same poll.
    void add_watch(int fd, watch& w);
    void remove_watch(int fd, watch& w) noexcept;
    /// The same from any thread that owns a share of the engine: 0 or an errno, and an end in two steps.
    /// After unwatch(), before the number is used again, retire() hands `w` over until `retired` is called on
    /// it.
    int try_watch(int fd, watch& w) noexcept;
    void unwatch(int fd) noexcept;
    void retire(watch& w) noexcept;

    /// Starts the loop's own thread, which runs `initializer`, if any, and then the loop until stop().
    void start_thread(function<void()> initializer = {});
    /// From any thread: the loop ends when it has run what is ready.
    void stop() noexcept;
    /// After stop(), not from the loop itself.
    void join() noexcept;

    /// Drives the loop in this thread until `done()`; it is asked after each turn.
    template <class Done>
    void drive_until(Done&& done) {
        const session here{*this};
        while (!done()) turn();
    }

    /// The same for what can change only before somebody calls wake().
    template <class Done>
    void drive_until_woken(Done&& done) {
        const session here{*this};
        for (;;) {
            // acquire: pairs with wake(), so that `done` sees what it is about.
            const std::uint64_t wakes = announced_writes_.load(order::acquire);
            if (done()) return;
            do turn();
            while (announced_writes_.load(order::relaxed) == wakes);
        }
    }

    /// Once round what is ready now: what tasks that have ended left to be done, such as timers to be
    /// dropped.
    void run_left_behind() noexcept;

    /// In the thread that drives it: cancels what is left, and drives on until nobody is in.
    void drain() noexcept;

    /// From any thread that knows the loop alive, and from a signal handler: makes it look around.
    void wake() noexcept;

    /// For the watchdog: changes with every task that is resumed, and with every sleep up to a deadline.
    std::uint64_t resumes() const noexcept { return resumes_.load(order::relaxed); }
    bool asleep() const noexcept { return inbox_.sleeps(); }
    /// Which kind of work runs, or ran last: the address of its function.
    std::uintptr_t running() const noexcept { return running_.load(order::relaxed); }
    /// Before it is driven: report tasks that hold it for longer; 0: none.
    void report_slow_tasks(nanoseconds threshold) noexcept { slow_task_threshold_ = threshold; }
    nanoseconds slow_task_threshold() const noexcept { return slow_task_threshold_; }
    const char* thread_name() const noexcept { return thread_name_; }

    /// On the loop's thread, for tests: how many timers stand in it.
    std::size_t armed_timers() const noexcept { return timers_.size(); }

  private:
    /// The thread's state while it drives this loop.
    class session {
      public:
        explicit session(loop_engine& l) noexcept;
        ~session();
        session(const session&) = delete;
        session& operator=(const session&) = delete;

      private:
        execution before_;
    };

    ~loop_engine() override;
    void on_idle() noexcept override;
    void thread_main() noexcept;
    void turn() noexcept;
    void take_inbox() noexcept;
    void run_ready() noexcept;
    bool nothing_to_do() const noexcept {
        return ready_.empty() && batch_.empty() && next_event_ == end_of_events_;
    }
    bool poll_is_due() const noexcept;
    void busy_turn() noexcept;
    void poll() noexcept;
    void sleep() noexcept;
    void wake_up() noexcept;
    void take_events(long n) noexcept;
    void tell_events() noexcept;
    void fire_timers() noexcept;
    void drop_retired() noexcept;
    void count(const work& w) noexcept {
        running_.store(reinterpret_cast<std::uintptr_t>(w.run_), order::relaxed);
        resumes_.store(resumes() + 1, order::relaxed);
    }

    static constexpr std::uint64_t poll_every = 1024; // resumes
    static constexpr nanoseconds poll_after{200'000};

    const char* thread_name_;
    function<void()> initializer_;
    unique_fd epoll_;
    unique_fd event_;
    inbox<work> inbox_;
    work_queue ready_;
    work_queue batch_; // what was ready when the turn began
    timers timers_;
    // Of the last poll; 0: nobody has asked since, as when there are no timers.
    mutable time_point now_{};
    atomic<std::uint64_t> resumes_{0}; // relaxed, as the next: the watchdog only compares what it sees
    atomic<std::uintptr_t> running_{0};
    nanoseconds slow_task_threshold_{0};
    std::uint64_t resumes_at_poll_ = 0;
    std::array<epoll_event, 256> events_;
    // Of the batch in hand: what is still to be told. A task that is told may drive the loop itself.
    epoll_event* next_event_ = nullptr;
    epoll_event* end_of_events_ = nullptr;
    atomic<watch*> retired_{nullptr};   // pushed by any thread, taken before a poll
    atomic<std::uint32_t> stopping_{0}; // released by stop(), acquired by the thread's turns
    // Writes to event_ that have happened or are under way: by wake(), and by producers that found us asleep.
    // The latter touch nothing here once they have pushed, but their write may come late: the destructor
    // waits for it.
    atomic<std::uint64_t> announced_writes_{0};
    std::uint64_t producer_writes_ = 0;
    struct idle_work : work {
        explicit idle_work(loop_engine& l) noexcept;
        loop_engine& loop;
    } idle_; // posted by the last one out
    bool idle_seen_ = false;
    locals* locals_;
    std::thread thread_;
};

} // namespace plait::detail
