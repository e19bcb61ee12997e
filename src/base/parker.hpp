// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/futex.hpp"

#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>

namespace plait::detail {

/// One thread sleeps here until another one wakes it, once. A wake that comes first is not lost.
///
/// The word is the flag itself: waiting tests it in the kernel against the same word that the waker writes,
/// so there is no gap between the two in which a wake could fall.
class parker {
  public:
    /// True: woken. False: the deadline passed first; it may then be waited for again.
    bool park_until(time_point deadline) noexcept {
        // acquire pairs with the release in unpark: what the waker did is visible.
        while (word_.load(order::acquire) == 0) {
            const std::int64_t at = deadline.time_since_epoch().count();
            if (futex_wait(word_.address(), 0, at) == futex_result::timed_out &&
                word_.load(order::acquire) == 0)
                return false;
        }
        return true;
    }
    bool unparked() const noexcept { return word_.load(order::acquire) != 0; }
    void park() noexcept { park_until(time_point::max()); }

    /// After the store the owner may be gone, and this object with it: the wake touches only its address.
    void unpark() noexcept {
        const std::uint32_t* const address = word_.address();
        word_.store(1, order::release);
        futex_wake(address, 1);
    }

    /// By the owner, between two sleeps.
    void reset() noexcept { word_.store(0, order::relaxed); }

  private:
    atomic<std::uint32_t> word_{0};
};

} // namespace plait::detail
