// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/timer_heap.hpp"

#include <array>
#include <cstdint>

namespace plait::detail {

/// A loop's timers: a wheel of 8 levels of 64 slots for what is far, a heap for what is near.
///
/// Far is what lies beyond the current tick (about a millisecond). When a tick comes, its slot moves into the
/// heap, where deadlines are exact to the nanosecond and equal ones fire in order of creation. Adding and
/// removing is constant in time for the wheel (where time-outs live and die), logarithmic in the few near
/// ones for the heap. Nothing is allocated, so nothing can be refused. One thread only. Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
/// 1987.
class timers {
  public:
    explicit timers(time_point now) noexcept : tick_{tick_of(now)} {}

    void add(timer& t) noexcept;
    void remove(timer& t) noexcept;

    /// Fires what is due at `now`, in order. Returns whether anything was. What a firing adds can fire in the
    /// same call only if it is due as well.
    bool fire_due(time_point now) noexcept;

    /// When to look again: never later than the earliest deadline, `max()` if there is none.
    time_point next() const noexcept;

    bool empty() const noexcept { return count_ == 0; }
    std::size_t size() const noexcept { return count_; }

  private:
    static constexpr unsigned tick_bits = 20; // 2^20 ns, 1.05 ms
    static constexpr unsigned slot_bits = 6;
    static constexpr unsigned slots = 64;
    static constexpr unsigned levels = 8; // 2^(20 + 48) ns: beyond any steady_clock
    static constexpr std::uint32_t in_heap = levels * slots;

    static std::uint64_t tick_of(time_point t) noexcept;

    void place(timer& t) noexcept;
    void advance(std::uint64_t tick) noexcept;
    bool next_slot(unsigned& level, unsigned& slot, std::uint64_t& tick) const noexcept;

    std::uint64_t tick_; // the wheel's time: all that is in it lies behind this tick
    std::uint64_t sequence_ = 0;
    std::size_t count_ = 0;
    std::array<std::uint64_t, levels> occupied_{}; // a bit for each slot that holds something
    std::array<timer*, levels * slots> wheel_{};
    timer_heap near_;
};

} // namespace plait::detail
