// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/futex.hpp"

#include <algorithm>
#include <cstdint>

namespace plait::detail {

/// When tasks that run one after the other begin, and how long they take. Reading the clock costs a quarter of a tiny task,
/// so of those only every few are looked at, together: so many as take about 2 us. In between the time stands still.
class task_clock {
  public:
    /// `look`: they have not run without a gap, or it must be exact.
    std::int64_t begin(bool look) noexcept {
        if (look) {
            last_ = monotonic_now();
            since_ = together_ = 0;
        }
        return last_;
    }
    /// At the end of a task: nanoseconds, at most what fits.
    std::uint32_t end() noexcept {
        if (++since_ < together_) return each_;
        const std::int64_t now = monotonic_now();
        const std::int64_t each = (now - last_) / since_;
        last_ = now;
        since_ = 0;
        together_ = std::min<std::int64_t>(together / (each + 1), most_together);
        return each_ = static_cast<std::uint32_t>(std::min<std::int64_t>(each, ~0U));
    }

  private:
    static constexpr std::int64_t together = 2'000;
    static constexpr std::int64_t most_together = 16;

    std::int64_t last_ = 0;
    std::int64_t since_ = 0;    // tasks since then
    std::int64_t together_ = 0; // so many of them are looked at together
    std::uint32_t each_ = 0;
};

} // namespace plait::detail
