// SPDX-License-Identifier: Apache-2.0
// Arguments and results that are too large for a lane's blocks, on their way through its rings.
#include "process/parent_lane.hpp"
#include "sys/futex.hpp"

namespace plait::detail {
namespace {

constexpr std::uint64_t most_announced = std::uint64_t{1} << 32;

} // namespace

bool parent_lane::rings_make_sense() const noexcept {
    const lane_header& header = view().header();
    return ring_makes_sense(header.to_worker) && ring_makes_sense(header.to_parent);
}

parent_lane::streams parent_lane::streaming() noexcept {
    if (at_once == 0) {
        process_task* const task = is_streaming() ? running() : nullptr;
        pumping.store(task != nullptr, order::relaxed); // under the lock, as whoever looks
        return {task, task};
    }
    streams tasks;
    // Before the look at who sends: as long as bytes are there nobody else does, since the worker waits until
    // all of one result are taken. Bytes that come later are the next look's.
    tasks.has_bytes = ring_available(view().header().to_parent) != 0;
    // acquire would do: pairs with the worker's store before the first byte, which has_bytes has seen.
    const std::uint64_t sending = view().header().sending.load(order::seq_cst);
    for (const std::uint64_t index : live_) {
        if (phase(index) != slot_phase::running) continue;
        process_task* const task = task_at(index);
        if (index + 1 == sending) tasks.to_parent = task;
        // The worker reads all of one task's arguments before it claims the next one, so it is one only.
        if (task->fed_ < task->arguments.size() || !task->descriptors_sent_)
            tasks.to_worker = task;
        else if (is_sent(*task))
            drop_arguments(*task);
    }
    return tasks;
}

// False: the positions make no sense, or there is more than anything has.
bool parent_lane::take_result(process_task& task, std::size_t there) {
    ring_positions& positions = view().header().to_parent;
    const std::byte* const ring = view().at(lane_ring_to_parent);
    byte_buffer& incoming = task.incoming_;
    // A hint, since it is the worker's: if it is nonsense the memory for it is never touched.
    const std::uint64_t announced = view().slot(task.index_).size;
    if (incoming.empty() && !task.sink_ && announced >= large_result && announced <= most_announced &&
        there >= sink_head) {
        if (ring_get(positions, ring, incoming.extend(sink_head), sink_head) != sink_head) return false;
        incoming.commit(sink_head);
        there -= sink_head;
        task.sink_ = task.make_sink(incoming.data(), announced);
        if (task.sink_) incoming.clear();
    }
    if (task.sink_) {
        while (there != 0) {
            const auto [from, piece] = ring_piece(positions, ring);
            const std::size_t some = std::min(piece, there);
            if (some == 0 || task.sink_->size() + some > most_announced) return false;
            task.sink_->append(from, some);
            ring_release(positions, some);
            there -= some;
        }
        return true;
    }
    if (incoming.room() < there && announced > incoming.size() + there && announced <= most_announced)
        static_cast<void>(incoming.extend(static_cast<std::size_t>(announced) - incoming.size()));
    std::byte* to = incoming.extend(there);
    incoming.commit(ring_get(positions, ring, to, there));
    return true;
}

parent_lane::pumped parent_lane::pump(const streams& tasks) {
    if (!rings_make_sense()) return pumped::nonsense;
    lane_header& header = view().header();
    bool moved = false;
    if (tasks.to_worker != nullptr) {
        process_task& task = *tasks.to_worker;
        const std::uint64_t size = task.arguments.size();
        if (task.fed_ < size) {
            const std::size_t put =
                ring_put(header.to_worker, view().at(lane_ring_to_worker), task.arguments.data() + task.fed_,
                         static_cast<std::size_t>(size - task.fed_));
            task.fed_ += put;
            moved = put != 0;
        }
        if (!task.descriptors_sent_) moved = send_descriptors(task) || moved;
        if (is_post_stuck()) return pumped::stuck;
        if (is_sent(task)) drop_arguments(task);
    }
    if (const std::size_t there = tasks.has_bytes ? ring_available(header.to_parent) : 0; there != 0) {
        if (tasks.to_parent == nullptr) return pumped::nonsense;
        if (!take_result(*tasks.to_parent, there)) return pumped::nonsense;
        moved = true;
    }
    if (!moved) return pumped::nothing;
    wake();
    return pumped::some;
}

bool parent_lane::needs_attention() noexcept {
    if (output.is_open() && output_wanted() != output_taken && !killed_by_us) return true;
    if (at_once != 0) return loop_needs_attention();
    // seq_cst: the second look; pairs with the worker's store before it rings.
    if (oldest < unfinished && !has_room() && view().header().head.load(order::seq_cst) > oldest) return true;
    for (std::uint64_t index = unfinished; index < tail; ++index) {
        process_task* task = task_at(index);
        if (task == nullptr) continue;
        const slot_phase now = phase(index);
        if (now == slot_phase::done) return true;
        if (now != slot_phase::running) return false;
        return is_streaming();
    }
    return false;
}

// Of a worker without a loop.
bool parent_lane::is_streaming() noexcept {
    const process_task* const task = running();
    if (task == nullptr) return false;
    if (!rings_make_sense()) return !killed_by_us; // `pump` has it killed; then only its end is awaited
    const lane_header& header = view().header();
    if (ring_available(header.to_parent) != 0) return true;
    if (!task->descriptors_sent_ && monotonic_now() >= post_again) return true;
    if (is_sent(*task) && task->arguments.size() >= large_arguments) return true;
    return task->fed_ < task->arguments.size() && ring_room(header.to_worker) != 0;
}

bool parent_lane::loop_needs_attention() noexcept {
    if (!rings_make_sense()) return !killed_by_us; // as above
    lane_header& header = view().header();
    if (ring_available(header.to_parent) != 0) return !killed_by_us;
    for (const std::uint64_t index : live_) {
        const slot_phase now = phase(index);
        if (now == slot_phase::done) return true;
        if (now != slot_phase::running) continue;
        const process_task& task = *task_at(index);
        if (!task.descriptors_sent_ && monotonic_now() >= post_again) return true;
        if (task.fed_ < task.arguments.size()) {
            if (ring_room(header.to_worker) != 0) return true;
        } else if (is_sent(task) && task.arguments.size() >= large_arguments) {
            return true;
        }
    }
    return false;
}

} // namespace plait::detail
