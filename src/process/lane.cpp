// SPDX-License-Identifier: Apache-2.0
#include "process/lane.hpp"

#include <new>

namespace plait::detail {

void lane_view::construct(std::byte* memory, std::uint32_t worker_number, std::uint32_t at_once, bool spins) {
    auto* header = new (memory) lane_header{};
    header->number = worker_number;
    header->at_once = at_once;
    header->spins = spins ? 1 : 0;
    header->slots = at_once == 0 ? slots_per_lane : slots_per_loop_lane;
    // The rest is as the kernel gave it: zeros are a free slot of generation 0, and a record of no crash. Touching all
    // of it would cost a page fault every 4 KiB, of slots that a worker with one task at a time hardly ever uses.
    static_assert(slot_state::word(0, slot_phase::free) == 0);
}

} // namespace plait::detail
