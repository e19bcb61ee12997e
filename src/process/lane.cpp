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
    for (std::size_t i = 0; i < header->slots; ++i)
        new (memory + lane_slots_offset + i * sizeof(lane_slot)) lane_slot{};
    new (memory + lane_crash_offset) crash_record{};
}

} // namespace plait::detail
