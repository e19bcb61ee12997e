// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <source_location>

namespace plait::detail {

enum class task_state : std::uint32_t { free, queued, running, waiting };

/// One live task as `dump_tasks()` and `plait ps` see it: a cache line in a slab that is never unmapped.
///
/// Written by whoever runs the task, without locks; a reader takes `id`, the rest, and `id` again.
///
/// Orders: `id` is released last, and acquired by readers; everything that is stored when a node is handed
/// out anew is released after the 0 that the last task left. `state` is released where it says waiting, with
/// `awaits`; relaxed where it says running, as `thread` is: an old one is shown at worst. The task itself, and who makes it or
/// its children, read its id relaxed.
struct alignas(64) task_node {
    atomic<std::uint64_t> id;     // 0: free
    atomic<std::uint64_t> parent; // id of the task that created it; 0: none
    atomic<const char*> name;     // never freed while the task lives
    atomic<const char*> awaits;   // what it waits for: a literal
    std::source_location created; // where it was submitted or spawned
    std::source_location at;      // the await that it last suspended in
    atomic<std::int64_t> since;   // steady nanoseconds at which it was created
    atomic<task_state> state;
    atomic<std::uint32_t> thread; // of an executor's, that runs it: the kernel's number; 0: another
};
static_assert(sizeof(task_node) == 64);

/// A node from this thread's free list; `parent` is the running task's id. Never null: without memory a
/// shared spare node, so that a missing entry is the worst that happens.
[[gnu::visibility("default")]] task_node& new_task_node(const char* name,
                                                        std::source_location created) noexcept;
/// The same, as a child of the task with that id; 0: of none.
[[gnu::visibility("default")]] task_node& new_task_node(const char* name, std::source_location created,
                                                        std::uint64_t parent) noexcept;
/// The same, made at that time: of many the clock is asked once.
[[gnu::visibility("default")]] task_node& new_task_node(const char* name, std::source_location created,
                                                        std::uint64_t parent, std::int64_t since) noexcept;
[[gnu::visibility("default")]] void free_task_node(task_node& node) noexcept;

/// For a thread that keeps its node and runs one function after the other on it: the entry ends, and a new
/// task's begins. Not for the spare node, which has no id.
[[gnu::visibility("default")]] void rest_task_node(task_node& node) noexcept;
[[gnu::visibility("default")]] void wake_task_node(task_node& node, std::source_location created,
                                                   std::uint64_t parent) noexcept;

} // namespace plait::detail
