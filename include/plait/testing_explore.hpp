// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <plait/detail/model.hpp>
#include <string>
#include <string_view>
#include <utility>

/// Tests of concurrent code that do not hope: every schedule, or a great many, of a small test.
///
/// Write the code under test over a parameter for its atomics (or `using` the types below in the test), and hand
/// explore() a function that starts threads and checks what they did:
///
///     plait::testing::exploration r = plait::testing::explore([] {
///         plait::testing::atomic<int> ready{0};
///         plait::testing::plain<int> data{0};
///         plait::testing::thread writer{[&] {
///             data = 42;
///             ready.store(1, std::memory_order_relaxed); // a bug: release is needed
///         }};
///         if (ready.load(std::memory_order_acquire) == 1) plait::testing::check(data == 42);
///         writer.join();
///     });
///     std::cout << r.story();
///
/// It is run again and again, each time with another order of the threads' steps and other values that a load may find,
/// until there is none left or one fails. docs/testing.md shows how to read what is printed, and what the model of
/// memory cannot find.
///
/// Threads:  an exploration is one OS thread's; several may run at once. The types below are for its model threads, and
///           behave like ordinary ones of a single thread outside of it.
/// Rules:    the test must do the same whenever it makes the same choices: no clock, no addresses as values, no state
///           kept from run to run. Memory that threads share and that is no atomic goes into plain<T>.
namespace plait::testing {

using model::site;

/// How much is tried.
struct exploration_options {
    /// What the report calls it.
    std::string_view name = "exploration";
    /// At most so many times a thread that could go on is interrupted, in one schedule; most bugs need two at most.
    /// `every_schedule`: as often as there is a place for it, and then `complete()` is a proof within the model.
    int preemptions = every_schedule;
    /// Stop after so many.
    std::uint64_t most_schedules = 10'000'000;
    /// Instead of all: so many random ones, by threads' random priorities that change at `depth - 1` random places
    /// (PCT: Burckhardt et al., ASPLOS 2010). For what is too large to be walked through.
    std::uint64_t random_schedules = 0;
    unsigned depth = 3;
    std::uint64_t seed = 1;
    /// A schedule with more steps is a failure: somebody polls for ever.
    std::uint32_t most_steps = 10'000;
    /// A schedule from a report: only this one.
    std::string_view replay = {};

    static constexpr int every_schedule = -1;
};

/// What an exploration has found.
class [[gnu::visibility("default")]] exploration {
  public:
    /// No schedule failed.
    explicit operator bool() const noexcept { return failure_.empty(); }
    /// There are no further schedules within the bound.
    bool complete() const noexcept { return complete_; }
    /// How many, all different.
    std::uint64_t schedules() const noexcept { return schedules_; }
    std::uint64_t steps() const noexcept { return steps_; }

    /// What went wrong, in one line; empty if nothing did.
    const std::string& failure() const noexcept { return failure_; }
    /// For exploration_options::replay: the schedule that failed.
    const std::string& schedule() const noexcept { return schedule_; }
    /// The schedule that failed, step by step, a column for each thread; else summary().
    const std::string& story() const noexcept { return story_; }
    /// "deque: 1,234 schedules, complete".
    std::string summary() const;

  private:
    friend class explorer;
    std::string name_, failure_, schedule_, story_;
    std::uint64_t schedules_ = 0;
    std::uint64_t steps_ = 0;
    int preemptions_ = exploration_options::every_schedule;
    bool complete_ = false;
    bool random_ = false;
};

/// Runs `test` under every schedule, or those that the options ask for; stops at the first that fails.
///
/// Errors:  invalid_argument for options that mean nothing; bad_alloc. What the test throws is a failure of the test.
/// Cost:    each schedule is a run from the beginning; a test of two threads and twenty steps takes some 5 us.
[[nodiscard, gnu::visibility("default")]] exploration explore(const exploration_options& options,
                                                              const std::function<void()>& test);
[[nodiscard]] inline exploration explore(const std::function<void()>& test) { return explore({}, test); }

/// In a test: this has to hold, or the schedule is a failure. Nothing after it is run then.
inline void check(bool holds, const char* what = "a check failed", const site& where = site::current()) {
    if (!holds) model::fail(what, where);
}

/// One of 0 .. n - 1: each of them is tried, at most 255. For what a test does not decide: whether a call fails, who dies.
inline unsigned choose(unsigned n, const site& where = site::current()) noexcept {
    return model::choose(n, where);
}

/// In a loop that waits for another thread by looking: goes on when another one has changed something.
inline void yield(const site& where = site::current()) noexcept { model::pause(where); }

/// For the story: what lies in `object` is called `name`.
template <class T>
void label(const T& object, const char* name) {
    model::label(std::addressof(object), sizeof(T), name);
}

/// A thread of the test. Must be joined before it is destroyed; the destructor does it.
class thread {
  public:
    template <class F>
        requires std::invocable<F&>
    explicit thread(F fn) : thread{nullptr, std::move(fn)} {}
    /// `name` is the column's in the story.
    template <class F>
        requires std::invocable<F&>
    thread(const char* name, F fn) {
        auto body = std::make_unique<F>(std::move(fn));
        id_ = model::start(name, {[](void* f) { (*static_cast<F*>(f))(); },
                                  [](void* f) noexcept { delete static_cast<F*>(f); }, body.get()});
        static_cast<void>(body.release()); // the thread's; it may have ended
    }
    thread(thread&& other) noexcept : id_{std::exchange(other.id_, -1)} {}
    thread& operator=(thread&& other) noexcept {
        if (joinable()) join();
        id_ = std::exchange(other.id_, -1);
        return *this;
    }
    ~thread() {
        if (joinable()) join();
    }
    bool joinable() const noexcept { return id_ >= 0; }
    void join(const site& where = site::current()) { model::join(std::exchange(id_, -1), where); }
    /// The schedule ends when it has ended too.
    void detach() { model::detach(std::exchange(id_, -1)); }

  private:
    int id_ = -1;
};

/// std::atomic in a test. What a load finds is any value that C++20 lets it find, as far as the model goes.
/// compare_exchange_weak does not fail without a reason.
template <model::word_sized T>
class atomic {
  public:
    using value_type = T;
    static constexpr bool is_always_lock_free = true;

    constexpr atomic() noexcept : atomic{T{}} {}
    constexpr atomic(T value) noexcept : word_{model::to_bits(value), sizeof(T)} {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(std::memory_order o = std::memory_order_seq_cst,
           const site& where = site::current()) const noexcept {
        return model::from_bits<T>(word_.load(static_cast<int>(o), where));
    }
    void store(T value, std::memory_order o = std::memory_order_seq_cst,
               const site& where = site::current()) noexcept {
        word_.store(model::to_bits(value), static_cast<int>(o), where);
    }
    T exchange(T value, std::memory_order o = std::memory_order_seq_cst,
               const site& where = site::current()) noexcept {
        return change(model::change::exchange, value, o, where);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure,
                                 const site& where = site::current()) noexcept {
        model::bits wanted = model::to_bits(expected);
        const bool done = word_.compare_exchange(wanted, model::to_bits(desired), static_cast<int>(success),
                                                 static_cast<int>(failure), where);
        expected = model::from_bits<T>(wanted);
        return done;
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order o = std::memory_order_seq_cst,
                                 const site& where = site::current()) noexcept {
        return compare_exchange_strong(expected, desired, o, on_failure(o), where);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure,
                               const site& where = site::current()) noexcept {
        return compare_exchange_strong(expected, desired, success, failure, where);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order o = std::memory_order_seq_cst,
                               const site& where = site::current()) noexcept {
        return compare_exchange_strong(expected, desired, o, on_failure(o), where);
    }
    T fetch_add(T value, std::memory_order o = std::memory_order_seq_cst,
                const site& where = site::current()) noexcept
        requires std::integral<T>
    {
        return change(model::change::add, value, o, where);
    }
    T fetch_sub(T value, std::memory_order o = std::memory_order_seq_cst,
                const site& where = site::current()) noexcept
        requires std::integral<T>
    {
        return change(model::change::subtract, value, o, where);
    }
    T fetch_or(T value, std::memory_order o = std::memory_order_seq_cst,
               const site& where = site::current()) noexcept
        requires std::integral<T>
    {
        return change(model::change::bit_or, value, o, where);
    }
    T fetch_and(T value, std::memory_order o = std::memory_order_seq_cst,
                const site& where = site::current()) noexcept
        requires std::integral<T>
    {
        return change(model::change::bit_and, value, o, where);
    }
    T fetch_xor(T value, std::memory_order o = std::memory_order_seq_cst,
                const site& where = site::current()) noexcept
        requires std::integral<T>
    {
        return change(model::change::bit_xor, value, o, where);
    }
    operator T() const noexcept { return load(); }
    T operator=(T value) noexcept {
        store(value);
        return value;
    }
    T operator++() noexcept
        requires std::integral<T>
    {
        return static_cast<T>(fetch_add(1) + 1);
    }
    T operator--() noexcept
        requires std::integral<T>
    {
        return static_cast<T>(fetch_sub(1) - 1);
    }

  private:
    static constexpr std::memory_order on_failure(std::memory_order o) noexcept {
        if (o == std::memory_order_acq_rel) return std::memory_order_acquire;
        return o == std::memory_order_release ? std::memory_order_relaxed : o;
    }
    T change(model::change what, T value, std::memory_order o, const site& where) noexcept {
        return model::from_bits<T>(word_.modify(what, model::to_bits(value), static_cast<int>(o), where));
    }
    model::word word_;
};

/// std::atomic_thread_fence in a test.
inline void atomic_thread_fence(std::memory_order o, const site& where = site::current()) noexcept {
    model::fence(static_cast<int>(o), where);
}

/// A value that is no atomic, but that threads share: two of them must not meet there, unless both only read.
template <class T>
class plain {
  public:
    plain() = default;
    plain(T value) : value_{std::move(value)} {}

    const T& get(const site& where = site::current()) const noexcept {
        memory_.read(where);
        return value_;
    }
    void set(T value, const site& where = site::current()) {
        memory_.write(where);
        value_ = std::move(value);
    }
    operator const T&() const noexcept { return get({}); }
    plain& operator=(T value) {
        set(std::move(value), {});
        return *this;
    }

  private:
    model::plain_memory memory_; // first, so that it is found by a label's name
    T value_{};
};

/// std::mutex in a test.
class mutex {
  public:
    void lock(const site& where = site::current()) { word_.lock(where); }
    bool try_lock(const site& where = site::current()) { return word_.try_lock(where); }
    void unlock(const site& where = site::current()) { word_.unlock(where); }

  private:
    friend class condition_variable;
    model::lock_word word_;
};

/// std::condition_variable in a test. wait_for may be over at any moment, however long it was to take; nobody is woken
/// without a reason.
class condition_variable {
  public:
    void wait(std::unique_lock<mutex>& lock, const site& where = site::current()) {
        word_.wait(lock.mutex()->word_, false, where);
    }
    template <class Condition>
    void wait(std::unique_lock<mutex>& lock, Condition holds, const site& where = site::current()) {
        while (!holds()) wait(lock, where);
    }
    template <class Duration>
    std::cv_status wait_for(std::unique_lock<mutex>& lock, const Duration&,
                            const site& where = site::current()) {
        return word_.wait(lock.mutex()->word_, true, where) ? std::cv_status::no_timeout
                                                            : std::cv_status::timeout;
    }
    template <class Duration, class Condition>
        requires std::predicate<Condition&>
    bool wait_for(std::unique_lock<mutex>& lock, const Duration& d, Condition holds,
                  const site& where = site::current()) {
        while (!holds())
            if (wait_for(lock, d, where) == std::cv_status::timeout) return holds();
        return true;
    }
    void notify_one(const site& where = site::current()) noexcept { word_.notify(1, where); }
    void notify_all(const site& where = site::current()) noexcept { word_.notify(~0U, where); }

  private:
    model::condition_word word_;
};

} // namespace plait::testing
