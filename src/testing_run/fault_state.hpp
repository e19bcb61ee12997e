// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/testing_faults.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace plait::testing::faults {

/// The injection that is going on.
struct injection {
    std::atomic<int> point{-1};
    std::atomic<std::uint64_t> first{0};
    std::atomic<bool> from_then_on{false};
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> failed{0};
};
inline constinit injection now;

/// At each call: does it fail?
inline bool hit(fault_point p) noexcept {
    if (now.point.load(std::memory_order_relaxed) != static_cast<int>(p)) return false;
    const std::uint64_t n = now.calls.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::uint64_t first = now.first.load(std::memory_order_relaxed);
    if (n != first && !(n > first && now.from_then_on.load(std::memory_order_relaxed))) return false;
    now.failed.fetch_add(1, std::memory_order_relaxed);
    return true;
}

/// At each call that a signal may interrupt: is it? Leaves errno so.
inline bool interrupted() noexcept {
    if (!hit(fault_point::interruption)) return false;
    errno = EINTR;
    return true;
}

/// Blocks that operator new has given and operator delete not taken back.
inline constinit std::atomic<std::int64_t> live_blocks{0};

/// For the linker: whoever names it gets the functions that stand in the place of the C library's.
void take_their_places() noexcept;

} // namespace plait::testing::faults
