// SPDX-License-Identifier: Apache-2.0
#include "process/parent_lane.hpp"

#include "sys/futex.hpp"
#include "sys/pidfd.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace plait::detail {
namespace {

// Of tasks for a worker that sleeps: together they take about as long as the wake-up.
constexpr std::uint32_t enough_to_wake = 64;
constexpr std::uint64_t results_ahead = 3;
constexpr std::uint64_t placed_ahead = 4;

void fetch_soon(const lane_slot& slot) noexcept {
    __builtin_prefetch(&slot);
    __builtin_prefetch(slot.payload);
}

} // namespace

parent_lane::parent_lane(std::uint32_t worker_number, std::uint64_t incarnation, std::uint32_t tasks_at_once,
                         bool spins)
    : worker{worker_number},
      number{incarnation},
      at_once{tasks_at_once},
      memory{make_sealed_memory("plait-lane", lane_size)},
      mapping_{memory, lane_size},
      slots_{tasks_at_once == 0 ? slots_per_lane : slots_per_loop_lane},
      entries_(slots_) {
    lane_view::construct(mapping_.data(), worker_number, at_once, spins);
    if (at_once != 0) {
        live_.reserve(slots_); // nothing below may fail
        for (std::uint32_t i = slots_; i-- > 0;) free_slots_.push_back(i);
    }
    for (std::size_t kind = 0; kind < std::size(block_classes); ++kind)
        for (std::size_t i = block_classes[kind].count; i-- > 0;)
            free_blocks_[kind].push_back(static_cast<std::uint32_t>(i));
}

parent_lane::~parent_lane() {
    // Only its setup can be left, where the pool could not be made or is ended while the worker starts.
    for (entry& e : entries_)
        if (e.task != nullptr && e.task->setup) e.task->drop_reference();
}

block_reference parent_lane::allocate(std::size_t size, std::uint64_t index) noexcept {
    const block_reference own{view().payload_offset(index), static_cast<std::uint32_t>(inline_payload),
                              block_reference::own, 0};
    if (size <= inline_payload) return own;
    std::size_t offset = lane_arena_offset;
    for (std::uint32_t kind = 0; kind < std::size(block_classes); ++kind) {
        const block_class& blocks = block_classes[kind];
        if (size <= blocks.size && !free_blocks_[kind].empty()) {
            const std::uint32_t block = free_blocks_[kind].back();
            free_blocks_[kind].pop_back();
            return {offset + block * blocks.size, static_cast<std::uint32_t>(blocks.size), kind, block};
        }
        offset += blocks.size * blocks.count;
    }
    return own; // too large, or all in use: through the ring
}

void parent_lane::release(const block_reference& block) noexcept {
    // Never reallocates: room for all of them was made when they were first listed.
    if (block.kind != block_reference::own) free_blocks_[block.kind].push_back(block.number);
}

bool parent_lane::has_room() const noexcept {
    if (at_once == 0) return tail - oldest < slots_;
    // seq_cst: pairs with the worker's store of what it has taken from the queue.
    return !free_slots_.empty() && pushed_ - view().header().head.load(order::seq_cst) < slots_;
}

std::uint64_t parent_lane::next_index() noexcept {
    if (at_once == 0) return tail++;
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    const std::uint64_t index = std::uint64_t{entries_[slot].generation} * slots_ + slot;
    live_.push_back(index);
    return index;
}

bool parent_lane::place(process_task& task, std::uint32_t attempt, std::size_t result_hint,
                        bool urgent) noexcept {
    const std::uint64_t index = next_index();
    entry& e = entries_[view().number(index)];
    lane_slot& slot = view().slot(index);
    const std::size_t size = task.arguments.size();
    e.task = &task;
    e.block = allocate(std::max(size, result_hint), index);
    if (e.block.capacity < size && result_hint > size) e.block = allocate(size, index);

    own_soon(view().slot(index + placed_ahead));

    slot.flags = task.setup ? std::uint32_t{setup_task} : 0U;
    if (task.described) slot.flags |= described_task;
    if (!task.descriptors.all.empty()) slot.flags |= arguments_hold_handles;
    slot.function = task.function;
    slot.task = task.number_;
    slot.size = size;
    slot.block = e.block.offset;
    slot.capacity = e.block.capacity;
    slot.attempt = attempt;
    slot.kind = result_kind::none;
    slot.elapsed = 0;
    slot.started.store(0, order::relaxed); // the slot is ours until it is published
    const bool streamed = size > e.block.capacity;
    if (streamed)
        slot.flags |= arguments_streamed;
    else if (size != 0)
        std::memcpy(view().at(e.block.offset), task.arguments.data(), size);

    task.lane_ = this;
    task.index_ = index;
    task.fed_ = streamed ? 0 : size; // what is in the block must not go through the ring as well
    task.descriptors_sent_ = task.descriptors.all.empty();
    task.kill_at_ = 0;
    if (attempt != 1) { // else nothing has come of it yet
        task.incoming_.clear();
        task.sink_ = {};
        if (task.notes_ != nullptr) task.notes_->output.clear();
    }
    least_urgent = outstanding_ == 0 ? task.priority : std::max(least_urgent, task.priority);
    ++placed;
    ++outstanding_;
    if (task.timeout != 0) ++timed;
    slot.state.publish(view().generation(index));
    if (at_once != 0) {
        view().queued(pushed_) = index;
        // seq_cst: pairs with the worker's look at the queue after it has announced that it parks.
        view().header().pushed.store(++pushed_, order::seq_cst);
    }
    if (urgent || supervisor_ == supervisor::sleeps || outstanding_ <= many ||
        (view().header().worker.is_parked() && ++held_back_ >= enough_to_wake)) {
        held_back_ = 0;
        wake();
    }
    return held_back_ != 0;
}

process_task* parent_lane::forget(std::uint64_t index) noexcept {
    entry& e = entries_[view().number(index)];
    process_task* task = std::exchange(e.task, nullptr);
    release(std::exchange(e.block, {}));
    if (at_once != 0) {
        // Free at once: an entry of the queue that still names it names another generation.
        view().slot(index).state.recycle(e.generation++);
        std::erase(live_, index);
        free_slots_.push_back(static_cast<std::uint32_t>(view().number(index)));
    }
    if (attendant_ != nullptr && attendant_->index == index) dismiss_attendant();
    if (task != nullptr) {
        --outstanding_;
        if (task->timeout != 0) --timed;
        task->lane_ = nullptr;
    }
    return task;
}

bool parent_lane::withdraw(std::uint64_t index) noexcept {
    if (!view().slot(index).state.withdraw(view().generation(index))) return false;
    forget(index);
    --placed;
    // It may be the first one: an idle worker has to get past it, or the slot is never free again.
    wake();
    return true;
}

process_task* parent_lane::withdraw_last() noexcept {
    if (at_once != 0) {
        if (live_.empty()) return nullptr;
        const std::uint64_t last = live_.back();
        process_task* task = task_at(last);
        return !task->setup && withdraw(last) ? task : nullptr;
    }
    for (std::uint64_t index = tail; index-- > unfinished;) {
        process_task* task = task_at(index);
        if (task == nullptr) continue;
        if (task->setup) return nullptr; // without it the worker would never be ready
        return withdraw(index) ? task : nullptr;
    }
    return nullptr;
}

process_task* parent_lane::harvest(process_result& result, bool& streamed, std::uint32_t& elapsed) {
    if (at_once != 0) {
        for (const std::uint64_t index : live_)
            if (read_result(index, result, streamed, elapsed)) return forget(index);
        return nullptr;
    }
    while (unfinished < tail) {
        const std::uint64_t index = unfinished;
        if (task_at(index) == nullptr) { // withdrawn
            ++unfinished;
            continue;
        }
        if (!read_result(index, result, streamed, elapsed)) return nullptr;
        ++unfinished;
        // The worker has written to it, so it has to come from the other processor's cache.
        fetch_soon(view().slot(index + results_ahead));
        return forget(index);
    }
    return nullptr;
}

// False: it is not done.
bool parent_lane::read_result(std::uint64_t index, process_result& result, bool& streamed,
                              std::uint32_t& elapsed) {
    const entry& e = entries_[view().number(index)];
    const lane_slot& slot = view().slot(index);
    // seq_cst: who has just said that it listens looks once more by this.
    if (slot.state.phase_seq_cst(view().generation(index)) != slot_phase::done) return false;

    // Each word is read once: the worker may be writing nonsense this very moment.
    const std::uint64_t size = slot.size;
    const result_kind kind = slot.kind;
    const std::uint32_t flags = slot.flags;
    elapsed = slot.elapsed;
    process_task& task = *e.task;
    streamed = (flags & result_streamed) != 0;
    result.what = process_result::kind::failed; // unless it makes sense
    result.pid = pid;
    result.worker = worker;
    try {
        if (streamed && task.sink_ && !(kind == result_kind::value && size == task.sink_->size())) {
            task.sink_->undo(task.incoming_);
            task.sink_ = {};
        }
        if (streamed && task.sink_) {
            result.large = std::move(task.sink_);
        } else if (streamed && size <= task.incoming_.size()) {
            task.incoming_.drop_front(task.incoming_.size() - static_cast<std::size_t>(size));
            result.bytes = std::move(task.incoming_);
        } else if (!streamed && size <= e.block.capacity) {
            // A small one into the task itself, which has ended and needs its arguments no more.
            if (size <= process_task::near_size)
                result.bytes = byte_buffer{task.near, process_task::near_size};
            result.bytes.append(view().at(e.block.offset), static_cast<std::size_t>(size));
        } else {
            damaged = true;
        }
        if (!damaged && (flags & result_holds_handles) != 0 &&
            !take_handles(task.number_, result.descriptors))
            damaged = true;
    } catch (...) { // memory is short: it ends all the same
        result.error = std::current_exception();
        return true;
    }
    switch (damaged ? result_kind::none : kind) {
    case result_kind::value:
        result.what = process_result::kind::value;
        break;
    case result_kind::exception:
        result.what = process_result::kind::exception;
        break;
    case result_kind::cancelled:
        result.what = process_result::kind::cancelled;
        break;
    case result_kind::none:
        damaged = true;
        break;
    }
    return true;
}

void parent_lane::recycle() noexcept {
    if (at_once != 0) return; // done when it is forgotten
    // acquire: the worker is past the slot, and will look at it again only in its next generation.
    const std::uint64_t head = view().header().head.load(order::acquire);
    while (oldest < unfinished && oldest < head) {
        view().slot(oldest).state.recycle(view().generation(oldest));
        ++oldest;
    }
}

process_task* parent_lane::running() noexcept {
    if (at_once != 0) {
        for (const std::uint64_t index : live_)
            if (phase(index) == slot_phase::running) return task_at(index);
        return nullptr;
    }
    const std::uint64_t index = first_index();
    return index != none && phase(index) == slot_phase::running ? task_at(index) : nullptr;
}

std::uint64_t parent_lane::first_index() const noexcept {
    if (at_once != 0) return live_.empty() ? none : live_.front();
    std::uint64_t index = unfinished;
    while (index < tail && task_at(index) == nullptr) ++index;
    return index < tail ? index : none;
}

void parent_lane::ask_to_stop(std::uint64_t index) noexcept {
    const std::uint64_t slot = view().number(index);
    // seq_cst: pairs with the worker's look after it has announced that it parks.
    view().header().asked[slot / 64].fetch_or(std::uint64_t{1} << (slot % 64), order::seq_cst);
    wake();
}

void parent_lane::wake_if_held_back() noexcept {
    if (std::exchange(held_back_, 0) != 0) wake();
}

void parent_lane::wake() noexcept {
    park_word& parked = view().header().worker;
    if (parked.take()) futex_wake(parked.address(), 1, futex_scope::shared);
}

bool parent_lane::hand_over_output(std::uint64_t wanted) noexcept {
    if (wanted <= unfinished || wanted > tail) return false;
    process_task* task = task_at(wanted - 1);
    if (task == nullptr || phase(wanted - 1) != slot_phase::running) return false;
    try {
        task->make_notes().output = output.take();
    } catch (...) { // memory is short: it is only what was printed
    }
    output_taken = wanted;
    // seq_cst: pairs with the worker's look after it has announced that it parks.
    view().header().output_taken.store(wanted, order::seq_cst);
    wake();
    return true;
}

void parent_lane::tell_to_stop() noexcept {
    // seq_cst: pairs with the worker's look after it has announced that it parks.
    view().header().stop.store(1, order::seq_cst);
    wake();
}

bool parent_lane::kill_holding(std::uint64_t index) noexcept {
    lane_header& header = view().header();
    // seq_cst, as the look at the phase: see lane_header::hold.
    header.hold.store(1, order::seq_cst);
    if (phase(index) == slot_phase::running) {
        kill();
        return true;
    }
    header.hold.store(0, order::seq_cst);
    futex_wake_all(header.hold.address(), futex_scope::shared);
    return false;
}

void parent_lane::kill() noexcept {
    killed_by_us = true;
    if (process) signal_process(process, SIGKILL);
}

} // namespace plait::detail
