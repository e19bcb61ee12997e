// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/chrono.hpp>

namespace plait::detail {

/// A deadline in a loop's timers. Intrusive: arming and dropping one allocates nothing.
class timer {
  public:
    using function = void(timer&) noexcept;

    explicit timer(function* fire) noexcept : fire_{fire} {}
    timer(const timer&) = delete;
    timer& operator=(const timer&) = delete;

    bool armed() const noexcept { return place_ != nowhere; }

    time_point deadline_{};

  private:
    friend class timers;
    friend class timer_heap;
    static constexpr std::uint32_t nowhere = ~std::uint32_t{0};

    function* fire_;
    std::uint64_t sequence_ = 0; // of creation: equal deadlines fire in this order
    timer* previous_ = nullptr;
    timer* next_ = nullptr;
    timer* child_ = nullptr;        // in the heap
    std::uint32_t place_ = nowhere; // a slot of the wheel, or `in_heap`
};

} // namespace plait::detail
