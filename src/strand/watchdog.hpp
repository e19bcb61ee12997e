// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>
#include <pthread.h>

namespace plait::detail {

class loop_engine;

/// Decides from what a loop does anyway whether one task holds it: nothing of the loop's own is measured.
///
/// Looked at every period. The loop is held if it was awake and has resumed nobody since some earlier look,
/// and enough time lies between. Time in which the observer itself did not get to look is no evidence: the
/// process was stopped, or the machine has no time for anybody.
class hold_detector {
  public:
    struct look {
        time_point now;
        std::uint64_t resumes; // so far
        bool asleep;
        nanoseconds cpu; // that the thread has used so far
    };
    struct hold {
        bool held = false;
        nanoseconds lasted{0};
        nanoseconds ran{0}; // of that, on a processor
    };

    /// `nap`: how long ago the observer looked last, by its own plan at most `period`. Each hold is told
    /// once.
    hold observe(const look& l, nanoseconds nap, nanoseconds period, nanoseconds threshold) noexcept {
        if (!begun_ || l.asleep || l.resumes != at_.resumes || nap > 2 * period) {
            begun_ = true;
            told_ = false;
            at_ = l;
            return {};
        }
        if (told_ || l.now - at_.now < threshold) return {};
        told_ = true;
        return {true, l.now - at_.now, l.cpu - at_.cpu};
    }

  private:
    bool begun_ = false;
    bool told_ = false;
    look at_{};
};

/// One loop, while a thread drives it, under the watchdog's eyes: made and destroyed by that thread.
///
/// There is one watchdog thread in the process. It looks every 25 ms, or four times within the least
/// threshold; while all loops sleep it is parked. Once per place it writes a line to stderr with the task's
/// name, where it was created and where it last awaited, the share of the processor that it had, and the
/// thread's stack. The stack is taken by a real-time signal to that thread, which ends a `nanosleep` or
/// `poll` in user code early.
class watched_loop {
  public:
    /// A threshold of 0 watches nothing.
    watched_loop(loop_engine& loop, const char* name, nanoseconds threshold) noexcept;
    ~watched_loop();
    watched_loop(const watched_loop&) = delete;
    watched_loop& operator=(const watched_loop&) = delete;

  private:
    friend class watchdog;
    loop_engine& loop_;
    const char* name_;
    nanoseconds threshold_;
    ::pthread_t thread_;
    std::uint64_t resumes_ = 0; // at the last look
    hold_detector detector_;
    watched_loop* next_ = nullptr;
};

/// For loops that wake up: 1 while the watchdog is parked.
extern atomic<std::uint32_t> watchdog_parked;
void unpark_watchdog() noexcept;

/// For a loop that has just woken up: does it have to call unpark_watchdog()?
inline bool watchdog_wants_to_know() noexcept {
    // seq_cst: pairs with the watchdog's store before its last look at who sleeps. Either it sees us awake,
    // or we see it parked; otherwise a task could hold the loop for ever unseen.
    return watchdog_parked.load(order::seq_cst) != 0;
}

/// How often it has looked, for tests.
std::uint64_t watchdog_looks() noexcept;

} // namespace plait::detail
