// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/futex.hpp"

#include <plait/detail/atomic.hpp>

#include <algorithm>
#include <cstdint>

namespace plait::detail {

/// Looking for a while before sleeping, where that has paid lately: a wake-up costs both sides more than the news is
/// away, if the other side runs on a processor of its own.
///
/// For one thread, and only where there are processors enough for all. A look in vain is followed by sleeps without one,
/// twice as many each time; so is one during which somebody else had our processor, who then needs it.
class short_spin {
  public:
    /// True: `ready()`. False: sleep.
    template <class Ready>
    bool until(Ready ready) noexcept {
        if (skipped_ != 0) {
            --skipped_;
            return false;
        }
        const std::int64_t begun = monotonic_now();
        for (std::int64_t last = begun;;) {
            for (int i = 0; i < looks_between_clocks; ++i) {
                if (ready()) {
                    penalty_ /= 2;
                    return true;
                }
                spin_pause();
            }
            const std::int64_t now = monotonic_now();
            if (now - begun > patience || now - last > interrupted) break;
            last = now;
        }
        penalty_ = std::min(2 * penalty_ + 1, most_skipped);
        skipped_ = penalty_;
        return false;
    }

  private:
    static constexpr int looks_between_clocks = 16;
    static constexpr std::int64_t patience = 20'000;    // nanoseconds: what two sleeps and wake-ups cost
    static constexpr std::int64_t interrupted = 10'000; // between two clocks
    static constexpr unsigned most_skipped = 255;

    unsigned penalty_ = 0;
    unsigned skipped_ = 0;
};

} // namespace plait::detail
