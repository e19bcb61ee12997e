// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/atomic.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace plait::detail {

/// A ring of bytes between two processes: one producer, one consumer, both copying at once. What it holds lies beside
/// it, in memory of ring_capacity bytes.
///
/// Invariant: `consumed` <= `produced` <= `consumed` + capacity. The bytes between the two are the consumer's, all
/// others the producer's; each side moves its own position only after its last access to what it hands over.
struct ring_positions {
    alignas(64) atomic<std::uint64_t> produced;
    alignas(64) atomic<std::uint64_t> consumed;
};

inline constexpr std::size_t ring_capacity = std::size_t{8} << 20;
/// One step of a copy: small enough that the other side works on it while the next one is copied.
inline constexpr std::size_t ring_step = std::size_t{1} << 20;

/// How much the consumer could take now. By the consumer. A `produced` that cannot be (a damaged lane) gives nothing.
inline std::size_t ring_available(const ring_positions& positions) noexcept {
    // seq_cst: pairs with the producer's store in ring_put, before it looks whether we are parked. A consumer
    // that looks again after it has announced that it parks sees those bytes, or the producer sees it parked.
    // relaxed: ours.
    const std::uint64_t there =
        positions.produced.load(order::seq_cst) - positions.consumed.load(order::relaxed);
    return there > ring_capacity ? 0 : static_cast<std::size_t>(there);
}

/// How much the producer could put now. By the producer.
inline std::size_t ring_room(const ring_positions& positions) noexcept {
    // seq_cst: pairs with the consumer's store in ring_get, in the same way. relaxed: ours.
    const std::uint64_t used =
        positions.produced.load(order::relaxed) - positions.consumed.load(order::seq_cst);
    return used > ring_capacity ? 0 : ring_capacity - static_cast<std::size_t>(used);
}

/// False: positions that neither side can have brought about; the lane is damaged. By either side.
inline bool ring_makes_sense(const ring_positions& positions) noexcept {
    // relaxed: one of them is ours and stands still; whatever the other one is, it is within bounds or it is
    // not.
    return positions.produced.load(order::relaxed) - positions.consumed.load(order::relaxed) <= ring_capacity;
}

/// Copies into a ring as much as there is room for; returns how much. By its producer only.
template <class Byte>
std::size_t ring_put(ring_positions& positions, Byte* ring, const Byte* from, std::size_t count) noexcept {
    count = std::min({count, ring_room(positions), ring_step});
    if (count == 0) return 0;
    const std::uint64_t produced = positions.produced.load(order::relaxed); // ours
    const auto at = static_cast<std::size_t>(produced % ring_capacity);
    const std::size_t first = std::min(count, ring_capacity - at); // up to the end; the rest at the begin
    // The position comes last. seq_cst: before the look whether the consumer is parked, too; see ring_available().
    std::copy_n(from, first, ring + at);
    std::copy_n(from + first, count - first, ring);
    positions.produced.store(produced + count, order::seq_cst);
    return count;
}

/// What is there, as it lies there, up to the ring's end, or a step. It stays until it is released. By the consumer only.
template <class Byte>
std::pair<const Byte*, std::size_t> ring_piece(const ring_positions& positions, const Byte* ring) noexcept {
    // relaxed: ours.
    const auto at = static_cast<std::size_t>(positions.consumed.load(order::relaxed) % ring_capacity);
    return {ring + at, std::min({ring_available(positions), ring_capacity - at, ring_step})};
}
/// The first so many bytes of it have been used.
inline void ring_release(ring_positions& positions, std::size_t count) noexcept {
    // seq_cst: as in ring_room(). relaxed: ours.
    positions.consumed.store(positions.consumed.load(order::relaxed) + count, order::seq_cst);
}

/// Copies out of a ring as much as is there; returns how much. By its consumer only.
template <class Byte>
std::size_t ring_get(ring_positions& positions, const Byte* ring, Byte* to, std::size_t count) noexcept {
    std::size_t done = 0;
    for (int pieces = 0; pieces < 2 && done < count; ++pieces) { // up to the end; the rest at the begin
        const auto [from, there] = ring_piece(positions, ring);
        const std::size_t some = std::min(there, count - done);
        if (some == 0) break;
        std::copy_n(from, some, to + done);
        ring_release(positions, some);
        done += some;
    }
    return done;
}

} // namespace plait::detail
