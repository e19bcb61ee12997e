// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"

#include <utility>

namespace plait::detail {

// Whose bytes are in the pipe? A worker asks for its output to be taken when its task has ended, and says
// that it is done only when we have: so until we answer all that we read is that task's, and after that the
// next one's. What is left in the pipe of a dead worker is the task's that it held.
bool process_engine::pump_output() noexcept {
    bool moved = false;
    for_each_lane([&](parent_lane& lane) {
        if (!lane.output.is_open() || lane.ended) return;
        // Before the reading: what it has printed before it asked is then in the pipe.
        const std::uint64_t wanted = lane.output_wanted();
        try {
            moved = lane.output.read() || moved;
        } catch (...) { // memory is short: it is only what was printed
        }
        if (wanted == lane.output_taken) return;
        const std::lock_guard guard{mutex_};
        if (lane.hand_over_output(wanted)) {
            moved = true;
        } else if (!lane.killed_by_us) {
            lane.damaged = true;
            lane.killed_because = lane_damaged;
            lane.kill();
        }
    });
    return moved;
}

} // namespace plait::detail
