// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <concepts>
#include <cstdio>
#include <string>

namespace plait {
class any_executor;
class event_loop;
class loop_pool;
class process_pool;
class serial;
class thread_pool;
} // namespace plait

/// What the conformance suite leaves out for which executor, and why. `house.skips` prints the whole list; it
/// reads the concepts and reasons here and the tests, so a skip has the form
///
///     if constexpr (CONCEPT<TypeParam>) {
///         skip_for<TypeParam>(because::REASON);
///     } else {
///
/// in the test, or with E for TypeParam in its fixture's SetUp. Where only a part of a test is left out:
///
///     if constexpr (CONCEPT<TypeParam>) { // else: REASON
///
/// and `// in another way` where nothing is.
namespace conformance {

/// Stands for an any_executor that holds threads; the type itself stands for one that holds processes.
struct any_threads {};

template <class E>
inline constexpr const char* name_of = "?";
template <>
inline constexpr const char* name_of<plait::serial> = "serial";
template <>
inline constexpr const char* name_of<plait::thread_pool> = "thread_pool";
template <>
inline constexpr const char* name_of<plait::event_loop> = "event_loop";
template <>
inline constexpr const char* name_of<plait::loop_pool> = "loop_pool";
template <>
inline constexpr const char* name_of<plait::process_pool> = "process_pool";
template <>
inline constexpr const char* name_of<plait::any_executor> = "any_executor";
template <>
inline constexpr const char* name_of<any_threads> = "any_threads";

struct names {
    template <class E>
    static std::string GetName(int) {
        return name_of<E>;
    }
};

template <class E, class... Any>
concept one_of = (std::same_as<E, Any> || ...);

/// Runs its tasks inside `submit`.
template <class E>
concept immediate = one_of<E, plait::serial>;
/// Closures and references can be submitted; elsewhere all must be sendable.
template <class E>
concept in_process = !one_of<E, plait::process_pool, plait::any_executor, any_threads>;
/// Its tasks run in processes of their own.
template <class E>
concept separate = one_of<E, plait::process_pool, plait::any_executor>;
/// Its number of workers, and an initializer, can be chosen.
template <class E>
concept sized = one_of<E, plait::thread_pool, plait::loop_pool, plait::process_pool>;
/// One thread runs its tasks, one at a time.
template <class E>
concept one_worker = one_of<E, plait::serial, plait::event_loop>;
/// Its tasks run on loops, which they must not hold up.
template <class E>
concept looping = one_of<E, plait::event_loop, plait::loop_pool>;

/// A task may go on in another thread after an await.
template <class E>
concept roaming = one_of<E, plait::thread_pool, any_threads>;

/// The table of reasons: why a behaviour cannot apply.
namespace because {
inline constexpr const char* runs_in_submit =
    "a task has ended when submit returns: it is never queued, nor seen running";
inline constexpr const char* one_at_a_time = "no two tasks at a time";
inline constexpr const char* no_workers_option = "its one worker is not chosen";
inline constexpr const char* no_post =
    "post is not offered: a task that nobody awaits would need a channel back";
inline constexpr const char* own_memory =
    "tasks must be sendable, as if they had their own memory: no closures, references or shared objects";
inline constexpr const char* cannot_stop =
    "a stop request does not cross to a process; cancel_mode::kill does (P13)";
inline constexpr const char* not_inside = "a task has no access to the pool that runs it";
inline constexpr const char* copies_errors =
    "an exception crosses as a copy: its type and text, not the object (P8)";
inline constexpr const char* blocks_loop =
    "blocking on a task of the same loop throws logic_error instead (E18)";
inline constexpr const char* not_a_loop = "about blocking a loop's only thread";
inline constexpr const char* no_initializer = "it has no initializer";
inline constexpr const char* no_processes = "about worker processes";
inline constexpr const char* suspends_elsewhere =
    "the suspended coroutine is in another process, which cannot be reached";
inline constexpr const char* closed_by_use = "no thread but the consumer's own runs it";
inline constexpr const char* who_tells_first =
    "whoever wakes first on one of two threads need not be the first to tell";
inline constexpr const char* changes_threads =
    "after an await the task may be on another thread, with another worker's value";
inline constexpr const char* only_serial = "what only serial promises";
} // namespace because

/// Skips the running test for `E`, and says so: `ctest -R house.skips -V` prints all.
template <class E>
void skip_for(const char* reason) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::printf("skipped: %s for %s: %s\n", test->name(), name_of<E>, reason);
    GTEST_SKIP() << "not for " << name_of<E> << ": " << reason;
}

} // namespace conformance
