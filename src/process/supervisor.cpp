// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"
#include "sys/event_descriptor.hpp"
#include "sys/futex.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <utility>

namespace plait::detail {
namespace {

constexpr std::int64_t nanoseconds_per_millisecond = 1'000'000;
// A look costs a system call; a turn with results costs several times that.
constexpr unsigned turns_between_looks = 16;
constexpr double short_task = 20'000; // nanoseconds
constexpr std::int64_t patience_with_stop = 1'000 * nanoseconds_per_millisecond;

} // namespace

// The order of a turn is what makes sleeping safe: look at everything, then announce the sleep in every lane,
// look once more, and only then sleep. A worker that finishes before the announcement is seen by the second
// look; one that finishes after it rings the bell.
void process_engine::supervise() noexcept {
    ::prctl(PR_SET_NAME, "plait-pool");
    std::vector<ending>& ended = endings_;
    unsigned busy_turns = 0;
    {
        const std::lock_guard guard{mutex_};
        supervisor_id_ = std::this_thread::get_id();
    }
    for (;;) {
        std::int64_t deadline = no_deadline;
        try {
            const std::lock_guard guard{mutex_};
            deadline = turn(ended);
        } catch (...) {
            // Memory is short. What was collected is told below, which frees some; the rest is tried again.
            deadline = monotonic_now() + nanoseconds_per_millisecond;
        }
        const bool told = !ended.empty();
        deliver(ended);
        const bool news = tell_events();
        {
            const std::lock_guard guard{mutex_};
            if (over_) {
                changed_.notify_all();
                return;
            }
        }
        const bool printed = options_.capture_output && pump_output();
        if (pump_streams() || printed || told || news) {
            // While results keep coming there is no sleep, and so no look at who has died meanwhile.
            if (++busy_turns % turns_between_looks == 0) sleep_until(0);
            continue;
        }
        if (announce_sleep(deadline)) sleep_until(deadline);
        // Awake: nobody need ring any more.
        const std::lock_guard guard{mutex_};
        for_each_lane([](parent_lane& lane) { lane.supervisor_is(parent_lane::supervisor::awake); });
    }
}

std::int64_t process_engine::turn(std::vector<ending>& ended) {
    read_helper();
    for_each_lane([&](parent_lane& lane) { collect(lane, ended); });
    const std::int64_t now = monotonic_now();
    std::int64_t deadline = tend_workers(now, ended);
    if (broken_) refuse_all(ended);
    take_from_behind_long_tasks(now);
    dispatch();
    spread();
    wake_held_back();
    placed_timed_ = false;
    for_each_lane([&](parent_lane& lane) { deadline = std::min(deadline, check_timeouts(lane, now)); });
    deadline = std::min(deadline, check_memory(now));
    return deadline;
}

void process_engine::tell(ending& e) noexcept {
    if (e.death) e.result.error = error_of(std::move(*e.death));
    e.task->finished(std::move(e.result));
    e.task->drop_reference();
}

void process_engine::deliver(ending& one) noexcept {
    tell(one);
    bool last = false;
    {
        const std::lock_guard guard{mutex_};
        last = --open_ == 0 && closing_ && std::this_thread::get_id() != supervisor_id_;
    }
    if (last) wake_supervisor();
}

void process_engine::deliver(std::vector<ending>& ended) noexcept { deliver(ended, ended); }

// `spare`: where the list's memory goes when it is empty, if there is none yet.
void process_engine::deliver(std::vector<ending>& ended, std::vector<ending>& spare) noexcept {
    if (ended.empty()) return;
    for (ending& e : ended) tell(e);
    bool last = false;
    {
        const std::lock_guard guard{mutex_};
        open_ -= ended.size();
        ended.clear();
        if (&spare != &ended && spare.capacity() == 0) spare.swap(ended);
        last = open_ == 0 && closing_ && std::this_thread::get_id() != supervisor_id_;
    }
    if (last) wake_supervisor();
}

bool process_engine::pump_streams() noexcept {
    bool moved = false;
    // Lanes come and go in this thread alone, and a task that a worker holds leaves its lane here alone: so
    // the copying needs no lock.
    for_each_lane([&](parent_lane& lane) {
        parent_lane::streams tasks;
        {
            const std::lock_guard guard{mutex_};
            tasks = lane.streaming();
        }
        // On a loop the rings are looked at whoever runs: bytes that are nobody's are nonsense.
        if ((tasks.to_worker == nullptr && tasks.to_parent == nullptr && lane.at_once == 0) || lane.ended) {
            lane.pumping.store(false, order::relaxed); // nothing was copied
            return;
        }
        const char* trouble = nullptr;
        try {
            switch (lane.pump(tasks)) {
            case parent_lane::pumped::nothing:
                break;
            case parent_lane::pumped::some:
                moved = true;
                break;
            case parent_lane::pumped::nonsense:
                trouble = lane_damaged;
                break;
            case parent_lane::pumped::stuck:
                trouble = "for 5 s the kernel has not taken its task's handles";
                break;
            }
        } catch (...) {
            trouble = "its result is larger than the memory there is";
        }
        // release: whoever takes one of its tasks sees what was copied.
        lane.pumping.store(false, order::release);
        if (trouble == nullptr) return;
        const std::lock_guard guard{mutex_};
        if (lane.killed_by_us) return;
        lane.damaged = true; // whatever it still says: a value with a hole is none
        lane.killed_because = trouble;
        lane.kill();
    });
    return moved;
}

// While short tasks come in numbers it only naps: what it is not woken for then waits a millisecond at most.
bool process_engine::announce_sleep(std::int64_t& deadline) noexcept {
    const std::lock_guard guard{mutex_};
    auto how = parent_lane::supervisor::sleeps;
    const bool with_threads = std::exchange(threads_harvest_, false);
    if (std::exchange(lively_, false) && mean_ < short_task) {
        how = with_threads ? parent_lane::supervisor::dozes : parent_lane::supervisor::naps;
        deadline = std::min(deadline, monotonic_now() + nanoseconds_per_millisecond);
    }
    if (how == parent_lane::supervisor::sleeps) wake_held_back();
    for_each_lane([how](parent_lane& lane) { lane.supervisor_is(how); });
    // Set by the copying, which comes after the turn that has named the deadline.
    for_each_lane([&](const parent_lane& lane) {
        if (lane.post_again != 0 && lane.post_again > monotonic_now())
            deadline = std::min(deadline, lane.post_again);
    });
    bool busy = false;
    for_each_lane([&](parent_lane& lane) { busy = busy || (!lane.ended && lane.needs_attention()); });
    return !busy;
}

void process_engine::sleep_until(std::int64_t deadline) noexcept {
    int timeout = -1;
    if (deadline != no_deadline) {
        const std::int64_t left = deadline - monotonic_now();
        // Rounded up: an early look would find nothing and look again until it is time.
        timeout = left <= 0
                      ? 0
                      : static_cast<int>(std::min<std::int64_t>(
                            (left + nanoseconds_per_millisecond - 1) / nanoseconds_per_millisecond, 60'000));
    }
    epoll_event events[16];
    const int count = ::epoll_wait(epoll_.get(), events, static_cast<int>(std::size(events)), timeout);
    for (int i = 0; i < count; ++i) {
        const int descriptor = events[i].data.fd;
        if (descriptor == bell_.get()) {
            (void)take_event(bell_.get());
            continue;
        }
        const std::lock_guard guard{mutex_};
        note_event(descriptor, (events[i].events & EPOLLIN) != 0);
    }
}

void process_engine::note_event(int descriptor, bool readable) noexcept {
    for_each_lane([&](parent_lane& lane) {
        if (lane.process.get() == descriptor && !lane.ended) {
            lane.ended = true;
            lane.ended_at = monotonic_now();
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
        }
        // Its last writer is gone, which would be told for ever.
        if (lane.output.descriptor() == descriptor && !readable)
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
        if (lane.lifeline.get() == descriptor && !lane.severed) {
            lane.severed = true;
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
        }
    });
}

std::int64_t process_engine::check_timeouts(parent_lane& lane, std::int64_t now) noexcept {
    std::int64_t next = no_deadline;
    if ((lane.timed == 0 && !lane.stopping) || lane.ended) return next;
    lane.stopping = false;
    lane.for_each_index([&](std::uint64_t index) {
        process_task* task = lane.task_at(index);
        if (task->kill_at_ != 0) {
            lane.stopping = true;
            next = std::min(next, kill_if_due(lane, *task, now));
        }
        if (task->timeout == 0 || task->doom_ != process_task::doom::none) return;
        // A task that is queued starts later than now, so it is early enough to look again after its whole
        // time.
        std::int64_t due = now + task->timeout;
        if (lane.phase(index) == slot_phase::running) {
            if (const std::int64_t started = lane.started(index); started != 0) due = started + task->timeout;
            if (due <= now) {
                if (lane.at_once != 0) {
                    ask_to_stop(lane, *task, process_task::doom::timed_out, true);
                    next = std::min(next, task->kill_at_);
                } else if (lane.kill_holding(index)) {
                    task->doom_ = process_task::doom::timed_out;
                    lane.killed_because = "its task took longer than its .timeout";
                }
                return;
            }
        }
        next = std::min(next, due);
    });
    return next;
}

// A coroutine on a loop has neighbours: it is asked first, and only if it does not end its worker is killed.
void process_engine::ask_to_stop(parent_lane& lane, process_task& task, process_task::doom why,
                                 bool kill) noexcept {
    if (task.doom_ == process_task::doom::none) task.doom_ = why;
    lane.ask_to_stop(task.index_);
    if (!kill || task.kill_at_ != 0) return;
    task.kill_at_ = monotonic_now() + patience_with_stop;
    lane.stopping = true;
}

std::int64_t process_engine::kill_if_due(parent_lane& lane, const process_task& task,
                                         std::int64_t now) noexcept {
    if (now < task.kill_at_) return task.kill_at_;
    if (!lane.killed_by_us && lane.kill_holding(task.index_))
        lane.killed_because = "a task on its loop did not stop within 1 s of being asked to";
    return no_deadline;
}

} // namespace plait::detail
