// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/byte_ring.hpp"
#include "process/crash_record.hpp"
#include "process/slot_state.hpp"
#include "sys/memory.hpp"

#include <plait/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>

namespace plait::detail {

/// What a worker says about a finished task. Checked by the parent: a damaged lane may hold anything.
enum class result_kind : std::uint32_t { none, value, exception, cancelled };

/// How a task's arguments and result travel.
enum slot_flag : std::uint32_t {
    arguments_streamed = 1,      ///< through the ring to the worker, after the claim
    result_streamed = 2,         ///< set by the worker: through the ring to the parent, before `done`
    setup_task = 4,              ///< the first task of a lane: registrations and the initialiser
    described_task = 8,          ///< its timeout and name stand before the arguments
    arguments_hold_handles = 16, ///< a message with their descriptors comes after the claim
    result_holds_handles = 32,   ///< set by the worker: it has sent such a message, before `done`
};

/// Of so many bytes of arguments the parent keeps no copy longer than it must: it is told when the worker has
/// them.
inline constexpr std::size_t large_arguments = std::size_t{64} << 10;

inline constexpr std::uint32_t slots_per_lane = 256;
/// Of a worker that drives many tasks at once.
inline constexpr std::uint32_t slots_per_loop_lane = 1024;
inline constexpr std::size_t inline_payload = 192;

/// One task on its way: 64 bytes of header and 192 of payload. `state` says which side owns the rest.
struct lane_slot {
    slot_state state;
    std::uint32_t flags = 0;
    std::uint64_t function = 0; ///< identity of the entry, see identity.hpp
    std::uint64_t task = 0;     ///< its number, for messages
    std::uint64_t size = 0;     ///< of the arguments; from `done` on of the result
    std::uint64_t block =
        0; ///< where they are, from the begin of the lane; the result overwrites them if it fits
    std::uint32_t capacity = 0;
    std::uint32_t attempt = 0;
    atomic<std::int64_t> started; ///< by the worker, monotonic nanoseconds; 0: not yet
    std::uint32_t elapsed = 0;    ///< by the worker, with `done`: nanoseconds, at most what fits
    result_kind kind = result_kind::none;
    std::byte payload[inline_payload]{};
};
static_assert(sizeof(lane_slot) == 64 + inline_payload);

/// Has the slot's first lines brought here to be written: the other side has them in its cache, and a change of `state`
/// waits for all stores before it.
inline void own_soon(lane_slot& slot) noexcept {
#if defined(__x86_64__)
    // As __builtin_prefetch(.., 1) does only where the compiler may take the instruction for granted; elsewhere it is a no-op.
    asm volatile("prefetchw %0" : : "m"(slot));
    asm volatile("prefetchw %0" : : "m"(slot.payload));
#else
    __builtin_prefetch(&slot, 1);
    __builtin_prefetch(slot.payload, 1);
#endif
}

inline constexpr std::uint32_t lane_version = 1;

struct lane_header {
    std::uint32_t version = lane_version;
    std::uint32_t number = 0;  ///< of the worker: 0 .. workers - 1
    std::uint32_t slots = 0;   ///< a power of two
    std::uint32_t at_once = 0; ///< tasks that it drives at once, on a loop; 0: it runs one after the other
    std::uint32_t spins = 0;   ///< 1: there are processors enough to look for a while before it sleeps

    /// The worker sleeps on it: for a task, for bytes of its arguments, for room for bytes of its result.
    alignas(64) park_word worker;
    /// Who of the parent's threads is to be told of results: the supervisor, by the bell, or one that waits for a task.
    alignas(64) listener_word parent;
    /// Slots that the worker is past. Written by it alone, after `done`. On a loop: entries of the queue.
    alignas(64) atomic<std::uint64_t> head;
    /// 1: do not claim. The parent sets it, then kills if the task that it means is still running; else it
    /// clears it. Both sides seq_cst: if the parent saw `running`, the worker sees the hold after its `done`,
    /// and waits for its end there instead of claiming another task, which would die in its place.
    alignas(64) atomic<std::uint32_t> hold;
    /// 1: leave once nothing is queued.
    atomic<std::uint32_t> stop;

    /// Where output is captured: slots whose output the worker wants taken, and whose it has been. See
    /// output.cpp.
    alignas(64) atomic<std::uint64_t> output_wanted;
    alignas(64) atomic<std::uint64_t> output_taken;

    /// On a loop tasks end in any order, so slots are filled in any order too: a queue of their indexes says
    /// which one is next. Entries that the parent has put there:
    alignas(64) atomic<std::uint64_t> pushed;
    /// The worker's: the index, plus 1, of the task whose result it writes.
    alignas(64) atomic<std::uint64_t> sending;
    /// Tasks that are to stop, a bit for each slot: set by the parent while the task runs, taken by the
    /// worker.
    alignas(64) atomic<std::uint64_t> asked[slots_per_loop_lane / 64];

    ring_positions to_worker;
    ring_positions to_parent;
};

/// Blocks for values that do not fit a slot. Only the parent gives them out, in its private books, so that
/// the death of a worker leaves nothing half-linked.
struct block_class {
    std::size_t size;
    std::size_t count;
};
inline constexpr block_class block_classes[] = {
    {4096, 64}, {std::size_t{64} << 10, 16}, {std::size_t{1} << 20, 2}};

/// Where a dying worker leaves its report.
inline constexpr std::size_t lane_crash_offset = 4096;
static_assert(sizeof(lane_header) <= lane_crash_offset);
inline constexpr std::size_t lane_queue_offset = std::size_t{16} << 10;
static_assert(lane_crash_offset + sizeof(crash_record) <= lane_queue_offset);
inline constexpr std::size_t lane_slots_offset =
    lane_queue_offset + sizeof(std::uint64_t) * slots_per_loop_lane;
inline constexpr std::size_t lane_arena_offset = std::size_t{320} << 10;
static_assert(lane_slots_offset + sizeof(lane_slot) * slots_per_loop_lane <= lane_arena_offset);

constexpr std::size_t lane_arena_size() noexcept {
    std::size_t size = 0;
    for (const block_class& c : block_classes) size += c.size * c.count;
    return size;
}
inline constexpr std::size_t lane_ring_to_worker = lane_arena_offset + lane_arena_size();
inline constexpr std::size_t lane_ring_to_parent = lane_ring_to_worker + ring_capacity;
inline constexpr std::size_t lane_size = lane_ring_to_parent + ring_capacity;

/// The lane as both sides see it: a worker incarnation's memory, shared by the parent and that worker only.
class lane_view {
  public:
    lane_view() noexcept = default;
    explicit lane_view(std::byte* memory, std::uint32_t slots = slots_per_lane) noexcept
        : memory_{memory}, shift_{static_cast<std::uint32_t>(__builtin_ctz(slots))} {}

    /// By the parent, in fresh (zeroed) memory.
    static void construct(std::byte* memory, std::uint32_t worker_number, std::uint32_t at_once, bool spins);

    lane_header& header() const noexcept { return *reinterpret_cast<lane_header*>(memory_); }
    lane_slot& slot(std::uint64_t index) const noexcept {
        return reinterpret_cast<lane_slot*>(memory_ + lane_slots_offset)[number(index)];
    }
    crash_record& crash() const noexcept {
        return *reinterpret_cast<crash_record*>(memory_ + lane_crash_offset);
    }
    /// A task's index is its slot's generation and number.
    std::uint64_t number(std::uint64_t index) const noexcept { return index & (slots() - 1); }
    std::uint32_t generation(std::uint64_t index) const noexcept {
        return static_cast<std::uint32_t>(index >> shift_);
    }
    std::uint64_t slots() const noexcept { return std::uint64_t{1} << shift_; }
    /// On a loop: the index at a place of the queue. The entry is complete before `pushed` counts it.
    std::uint64_t& queued(std::uint64_t place) const noexcept {
        return reinterpret_cast<std::uint64_t*>(memory_ + lane_queue_offset)[place % slots_per_loop_lane];
    }
    std::byte* at(std::uint64_t offset) const noexcept { return memory_ + offset; }
    std::uint64_t payload_offset(std::uint64_t index) const noexcept {
        return static_cast<std::uint64_t>(slot(index).payload - memory_);
    }

  private:
    std::byte* memory_ = nullptr;
    std::uint32_t shift_ = 0;
};

} // namespace plait::detail
