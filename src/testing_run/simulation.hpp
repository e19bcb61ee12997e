// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/testing_run.hpp>

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace plait::testing {

/// A thread of a run.
struct simulated_thread {
    enum class state : unsigned char { ready, waits, ended };

    pthread_t handle{};
    unsigned number = 0;
    state now = state::ready;
    const char* how = "";        // it waits: what for, in words
    const void* on = nullptr;    // and where: whoever wakes it names the same
    std::int64_t deadline = 0;   // nanoseconds of the virtual clock; simulation::never: none
    bool timed_out = false;      // the deadline came first
    std::uint64_t looked_at = 0; // it polls descriptors: how much had happened when it last did
    bool polls = false;
    std::atomic<std::uint32_t> turn{0}; // the word that it sleeps on until it is its turn
};

/// One run: the threads, of which one runs, and the clock.
///
/// Only the thread whose turn it is touches anything here, and hands the turn over by a release and an acquire of
/// `simulated_thread::turn`; so there is no lock.
class simulation {
  public:
    static constexpr std::int64_t never = INT64_MAX;
    static constexpr std::int64_t beginning = 1'000'000'000'000'000; // what the clock says then

    simulation(std::uint64_t seed, const std::function<void()>& fn) noexcept
        : random_{seed}, seed_{seed}, fn_{fn} {}

    /// The run, as the calling thread sees it: not one of its threads.
    run_result run();

    /// The calling thread's run, if it is in one, and its turn.
    static simulation* here() noexcept;

    // By the thread whose turn it is.

    std::int64_t now() const noexcept { return now_; }
    /// Waits on `on`, whatever that is, at most until `deadline`. False: that came first.
    bool wait(const void* on, const char* how, std::int64_t deadline = never) noexcept;
    /// At most so many of those who wait on `on`, in the order in which they came, may go on.
    unsigned wake(const void* on, unsigned most) noexcept;
    /// Another thread may go on here.
    void give_way() noexcept;
    /// The thread is about to look at descriptors, after it has done something else.
    void begins_to_poll() noexcept { ++activity_; }
    /// Waits until something has happened that they may show. False: the deadline came first.
    bool wait_for_activity(const void* on, const char* how, std::int64_t deadline) noexcept;
    /// Who holds the mutex, for the report.
    void holds(const void* mutex, bool yes) noexcept;

    int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*),
               void* argument) noexcept;
    /// Waits until the thread has ended, if it is one of the run's.
    void await_end(pthread_t handle) noexcept;

  private:
    struct start;
    static void* thread_main(void* start);
    static void thread_ends(void* thread) noexcept;
    simulated_thread& add();
    void end_of(simulated_thread& t) noexcept;
    simulated_thread* next() noexcept;
    void hand_over(simulated_thread& from, bool ended) noexcept;
    void everybody_waits() noexcept;
    void finish() noexcept;
    std::uint64_t random() noexcept;
    void note(std::uint64_t what) noexcept { trace_ = (trace_ ^ what) * 1099511628211ULL; }

    std::vector<std::unique_ptr<simulated_thread>> threads_;
    std::vector<simulated_thread*> waiting_; // in the order in which they came
    struct held {
        const void* mutex;
        const simulated_thread* by;
    };
    std::vector<held> held_;
    std::int64_t now_ = beginning;
    std::uint64_t activity_ = 0; // grows with what threads do, looking at descriptors excepted
    std::uint64_t random_;
    std::uint64_t seed_;
    std::uint64_t trace_ = 14695981039346656037ULL;
    std::uint64_t switches_ = 0;
    const std::function<void()>& fn_;
    std::string failure_;
    std::atomic<std::uint32_t> over_{0}; // the caller sleeps on it
};

/// Of the run-time, whatever stands in its place.
namespace real {
int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*),
           void* argument) noexcept;
void sleep_on(std::atomic<std::uint32_t>& word) noexcept; // until it is not 0
void wake(std::atomic<std::uint32_t>& word) noexcept;
/// For the linker: whoever names it gets the functions that stand in the place of the C library's.
void take_their_places() noexcept;
} // namespace real

} // namespace plait::testing
