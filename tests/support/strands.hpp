// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "conformance/reasons.hpp"
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/loop_pool.hpp>
#include <plait/serial.hpp>
#include <plait/shield.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace plait::test {

using namespace std::chrono_literals;

/// What a task throws in these tests.
struct failure {
    int number;
};

/// The failures that nobody awaited.
class unheard {
  public:
    unhandled_handler handler() {
        return [this](const unhandled_failure& f) {
            const std::lock_guard guard{mutex_};
            errors_.push_back(f.error);
        };
    }
    std::size_t count() const {
        const std::lock_guard guard{mutex_};
        return errors_.size();
    }
    /// The numbers of those that are a `failure`, sorted.
    std::vector<int> numbers() const {
        const std::lock_guard guard{mutex_};
        std::vector<int> result;
        for (const std::exception_ptr& e : errors_) {
            try {
                std::rethrow_exception(e);
            } catch (const failure& f) {
                result.push_back(f.number);
            } catch (...) {
                result.push_back(-1);
            }
        }
        std::sort(result.begin(), result.end());
        return result;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<std::exception_ptr> errors_;
};

template <class E>
E make_executor(unhandled_handler handler) {
    if constexpr (conformance::one_of<E, thread_pool, loop_pool>)
        return E{{.workers = 2, .on_unhandled = std::move(handler)}};
    else
        return E{{.on_unhandled = std::move(handler)}};
}

/// Tests that hold on every executor of this process.
template <class E>
class on_executor : public ::testing::Test {
  protected:
    /// Drives the coroutine that `fn` is to its end, on `ex`.
    template <class F>
    auto run(F fn) {
        auto result = ex.submit(std::move(fn));
        return result.get();
    }

    test::unheard unheard;
    E ex = make_executor<E>(unheard.handler());
};

using executors = ::testing::Types<event_loop, serial, thread_pool, loop_pool>;

/// How many of them live.
class counted {
  public:
    explicit counted(std::atomic<int>& live) noexcept : live_{&live} { ++*live_; }
    counted(const counted& other) noexcept : live_{other.live_} { ++*live_; }
    counted& operator=(const counted&) = delete;
    ~counted() { --*live_; }

  private:
    std::atomic<int>* live_;
};

inline task<> forever() { co_await sleep_for(1h); }

template <class T>
task<T> after_yields(int n, T value) {
    for (int i = 0; i < n; ++i) co_await yield();
    co_return value;
}

/// On a loop: until all that was spawned before waits.
inline task<> settle() { co_await after_yields(5, 0); }

/// Spins a little, a different time each round: the two sides meet at different points.
inline void stagger(int round) {
    for (int i = round % 64; i > 0; --i) detail::spin_pause();
}

inline task<> fail_after(int yields, int number) {
    for (int i = 0; i < yields; ++i) co_await yield();
    throw failure{number};
}

/// Fails once `n` has reached `wanted`.
inline task<> fail_when(const std::atomic<int>& n, int wanted, int number) {
    while (n < wanted) co_await yield();
    throw failure{number};
}

/// Yields until `flag` is set.
inline task<> until(const std::atomic<bool>& flag) {
    while (!flag) co_await shield(after_yields(1, 0));
}

/// Waits for ever; notes that it began to wait, and how it was woken.
struct witness {
    std::atomic<int> began{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> passed{0}; // went on as if nothing had happened
    std::atomic<int> ended{0};

    task<> wait() {
        const on_exit note{ended};
        ++began;
        try {
            co_await forever();
            ++passed;
        } catch (const plait::cancelled&) {
            ++cancelled;
            throw;
        }
    }
    /// The same, but then it has clean-up to do.
    task<> wait_and_resist(int yields) {
        const on_exit note{ended};
        ++began;
        try {
            co_await forever();
            ++passed;
        } catch (const plait::cancelled&) {
            ++cancelled;
        }
        co_await shield(after_yields(yields, 0));
        throw plait::cancelled{};
    }

  private:
    struct on_exit {
        std::atomic<int>& count;
        ~on_exit() { ++count; }
    };
};

template <class E>
bool throws_cancelled(E&& f) {
    try {
        f.get();
    } catch (const cancelled&) {
        return true;
    }
    return false;
}

/// Runs `fn` in a thread of 256 KiB of stack.
inline void on_small_stack(std::function<void()> fn) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_t thread{};
    const auto body = [](void* f) -> void* {
        (*static_cast<std::function<void()>*>(f))();
        return nullptr;
    };
    const int failed = pthread_create(&thread, &attributes, body, &fn);
    pthread_attr_destroy(&attributes);
    ASSERT_EQ(failed, 0);
    pthread_join(thread, nullptr);
}

/// Resident memory of this process.
inline std::size_t resident_bytes() {
    std::ifstream statm{"/proc/self/statm"};
    std::size_t total = 0;
    std::size_t resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace plait::test
