// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/futex.hpp"

#include <plait/detail/atomic.hpp>

#include <algorithm>
#include <cstdint>
#include <thread>

namespace plait::detail {

/// Looking for a while before sleeping, where that has paid lately: a wake-up costs both sides more than the news is
/// away, if the other side runs on a processor of its own.
///
/// For one thread, and only where there are processors enough for all. After the first looks it gives its processor away
/// once: kernels like to wake a thread on the processor of who wakes it, and then the news does not come before that.
/// A look in vain is followed by sleeps without one, twice as many each time; so is one during which somebody else had
/// our processor for long, who then needs it. It ends where the clock stands still, too (a simulated run).
class short_spin {
  public:
    /// How often it looks before it gives its processor away, and between two looks at the clock.
    static constexpr int a_round = 16;

    /// True: `ready()`. False: sleep.
    template <class Ready>
    bool until(Ready ready, std::int64_t deadline = no_deadline, int first_looks = a_round) noexcept {
        if (skipped_ != 0) {
            --skipped_;
            return false;
        }
        if (look(ready, first_looks)) return true;
        const std::int64_t begun = monotonic_now();
        std::this_thread::yield();
        std::int64_t last = monotonic_now();
        for (int round = 0; round < most_rounds && last - begun <= patience; ++round) {
            if (look(ready, a_round)) return true;
            const std::int64_t now = monotonic_now();
            if (now - last > interrupted || now > deadline) break;
            last = now;
        }
        penalty_ = std::min(2 * penalty_ + 1, most_skipped);
        skipped_ = penalty_;
        return false;
    }

  private:
    template <class Ready>
    bool look(Ready& ready, int times) noexcept {
        for (int i = 0; i < times; ++i) {
            if (ready()) {
                penalty_ /= 2;
                return true;
            }
            spin_pause();
        }
        return false;
    }

    static constexpr int most_rounds = 400;
    static constexpr std::int64_t patience = 40'000;    // nanoseconds: what two sleeps and wake-ups cost
    static constexpr std::int64_t interrupted = 10'000; // between two clocks
    static constexpr unsigned most_skipped = 255;

    unsigned penalty_ = 0;
    unsigned skipped_ = 0;
};

} // namespace plait::detail
