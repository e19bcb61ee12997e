// SPDX-License-Identifier: Apache-2.0
#include "process/serial_worker.hpp"

#include "process/helper_protocol.hpp"
#include "process/task_clock.hpp"

namespace plait::detail {

void serial_worker::run() noexcept {
    task_clock clock; // as the end of one task is the begin of the next, if nobody has waited in between
    bool looks = true;
    for (std::uint64_t index = 0;; ++index) {
        if (!await_task(index, looks)) return;
        lane_slot& slot = lane_.slot(index);
        // The parent has written to the next ones: they have to come from another processor's cache.
        own_soon(lane_.slot(index + 2));
        // A time limit is counted from it, and we may have been stopped since.
        looks = looks || (slot.flags & described_task) != 0;
        if (claim(index, clock.begin(looks))) {
            perform(slot);
            if (captured_) hand_over_output(index);
            finish(slot, lane_.generation(index), clock.end());
            looks = false;
        }
        // seq_cst: before the bell, so that the parent finds the slot free to be filled again.
        lane_.header().head.store(index + 1, order::seq_cst);
        respect_hold();
        port_.ring_for(index);
    }
}

// False: told to leave, and nothing is queued.
bool serial_worker::await_task(std::uint64_t index, bool& waited) noexcept {
    const lane_slot& slot = lane_.slot(index);
    const std::uint32_t generation = lane_.generation(index);
    if (slot.state.phase(generation) == slot_phase::queued) return true;
    waited = true;
    slot_phase phase = slot_phase::free;
    port_.wait_for_task([&] {
        // seq_cst, both: the second look, after we have announced that we park. Before the slot: what was queued first is
        // run.
        const bool stop = lane_.header().stop.load(order::seq_cst) != 0;
        phase = slot.state.phase_seq_cst(generation);
        return stop || phase == slot_phase::queued || phase == slot_phase::withdrawn;
    });
    return phase == slot_phase::queued || phase == slot_phase::withdrawn;
}

// Before the task is done: see output.cpp.
void serial_worker::hand_over_output(std::uint64_t index) noexcept {
    flush_standard_streams();
    lane_header& header = lane_.header();
    // seq_cst: before the bell, which looks whether the parent sleeps; and the second look of who parks.
    header.output_wanted.store(index + 1, order::seq_cst);
    port_.wait([&] { return header.output_taken.load(order::seq_cst) == index + 1; });
}

} // namespace plait::detail
