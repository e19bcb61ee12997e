// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <plait/detail/chrono.hpp>
#include <string>

// Component testing_run: link plait::testing_run.

namespace plait::testing {

/// What a run came to.
class [[gnu::visibility("default")]] run_result {
  public:
    /// `fn` returned, and every thread that it started has ended.
    explicit operator bool() const noexcept { return failure_.empty(); }
    /// What went wrong; who waits for whom, if everybody waits. Empty if nothing did.
    const std::string& failure() const noexcept { return failure_; }
    std::uint64_t seed() const noexcept { return seed_; }
    /// A number for all that was decided and when: the same seed gives the same.
    std::uint64_t trace() const noexcept { return trace_; }
    /// On the virtual clock.
    detail::nanoseconds elapsed() const noexcept { return elapsed_; }
    /// How many times another thread went on.
    std::uint64_t switches() const noexcept { return switches_; }

  private:
    friend class simulation;
    std::string failure_;
    std::uint64_t seed_ = 0;
    std::uint64_t trace_ = 0;
    std::uint64_t switches_ = 0;
    detail::nanoseconds elapsed_{0};
};

/// Runs `fn`, and every thread that it starts, one at a time and on a virtual clock: plait's pools, loops, timers and
/// channels, and std::thread, std::mutex, std::condition_variable, sleeping. Who goes on, wherever a thread waits, wakes
/// another or begins, is decided by `seed`: the same seed, the same run. When everybody waits the clock jumps to the first
/// deadline, so that a day passes in no time; if there is none, everybody waits for ever, and the run has failed at once.
///
///     for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
///         plait::testing::run_result r = plait::testing::run(seed, [] {
///             plait::thread_pool pool{{.workers = 2}};
///             auto done = pool.submit([] { std::this_thread::sleep_for(std::chrono::hours{3}); });
///             if (!done.wait_for(std::chrono::hours{4})) throw std::runtime_error{"it takes too long"};
///         });
///         if (!r) std::cerr << r.failure() << '\n'; // and the seed, for a debugger
///     }
///
/// How:      the program's calls of pthread_*, futex, epoll, poll, nanosleep and clock_gettime come to this component
///           first, by their names; outside of a run they are passed on. Threads change places at those calls alone: what
///           depends on orders of single loads and stores is for explore().
/// Limits:   no sanitizer (they have those names themselves: logic_error), no process pools, nothing from the network; what
///           loops for ever without such a call is not ended.
/// Errors:   what `fn` throws is in failure(). If everybody waits for ever, the threads stay as they are until the program
///           ends, with all that they hold.
/// Threads:  one run at a time; a second one waits.
[[nodiscard, gnu::visibility("default")]] run_result run(std::uint64_t seed, const std::function<void()>& fn);

} // namespace plait::testing
