// SPDX-License-Identifier: Apache-2.0
#include "process/lane.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace plait::detail {
namespace {

// One step of a copy: small enough that the other side works on it while the next one is copied.
constexpr std::size_t ring_chunk = std::size_t{1} << 20;

template <class Copy>
void for_each_part(std::uint64_t position, std::size_t count, Copy copy) noexcept {
    const std::size_t offset = static_cast<std::size_t>(position % ring_capacity);
    const std::size_t first = std::min(count, ring_capacity - offset);
    copy(offset, std::size_t{0}, first);
    if (first < count) copy(std::size_t{0}, first, count - first);
}

} // namespace

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

std::size_t ring_available(const ring_positions& positions) noexcept {
    // seq_cst: pairs with the producer's store in ring_put, before it looks whether we are parked. A consumer
    // that looks again after it has announced that it parks sees those bytes, or the producer sees it parked.
    // relaxed: ours.
    const std::uint64_t there =
        positions.produced.load(order::seq_cst) - positions.consumed.load(order::relaxed);
    return there > ring_capacity ? 0 : static_cast<std::size_t>(there);
}

std::size_t ring_room(const ring_positions& positions) noexcept {
    // seq_cst: pairs with the consumer's store in ring_get, in the same way. relaxed: ours.
    const std::uint64_t used =
        positions.produced.load(order::relaxed) - positions.consumed.load(order::seq_cst);
    return used > ring_capacity ? 0 : ring_capacity - static_cast<std::size_t>(used);
}

bool ring_makes_sense(const ring_positions& positions) noexcept {
    // relaxed: one of them is ours and stands still; whatever the other one is, it is within bounds or it is
    // not.
    return positions.produced.load(order::relaxed) - positions.consumed.load(order::relaxed) <= ring_capacity;
}

std::size_t ring_put(ring_positions& positions, std::byte* ring, const std::byte* from,
                     std::size_t count) noexcept {
    count = std::min({count, ring_room(positions), ring_chunk});
    if (count == 0) return 0;
    const std::uint64_t produced = positions.produced.load(order::relaxed);
    for_each_part(produced, count, [&](std::size_t at, std::size_t offset, std::size_t size) {
        std::memcpy(ring + at, from + offset, size);
    });
    positions.produced.store(produced + count, order::seq_cst);
    return count;
}

std::size_t ring_get(ring_positions& positions, const std::byte* ring, std::byte* to,
                     std::size_t count) noexcept {
    count = std::min({count, ring_available(positions), ring_chunk});
    if (count == 0) return 0;
    const std::uint64_t consumed = positions.consumed.load(order::relaxed);
    for_each_part(consumed, count, [&](std::size_t at, std::size_t offset, std::size_t size) {
        std::memcpy(to + offset, ring + at, size);
    });
    positions.consumed.store(consumed + count, order::seq_cst);
    return count;
}

} // namespace plait::detail
