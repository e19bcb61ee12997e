// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/detail/worker.hpp>

namespace plait::detail {

/// Where one thread waits until another one wakes it, once. A wake that comes first is not lost.
///
/// The word is the flag itself: the kernel compares it with what the sleeper expects, so there is no gap between the two
/// in which a wake could fall. A thread that belongs to no executor looks for a moment before it sleeps, if that has
/// paid lately (see short_spin); who wakes it then is spared the kernel, too. While a pool's thread sleeps, another one
/// works in its place.
class [[gnu::visibility("default")]] parking_place {
  public:
    /// True: woken, and what the waker did is visible. False: the deadline passed first; it may then be waited for
    /// again. `looked`: the thread has, at something else.
    bool sleep_until(time_point deadline, bool looked = false) noexcept;
    void sleep() noexcept { sleep_until(time_point::max()); }

    /// No system call where nobody sleeps. After the exchange inside, the owner may be gone, and this object with it.
    void wake() noexcept;
    bool is_woken() const noexcept { return word_.load(order::acquire) == woken; } // pairs with wake()
    /// By the owner, when it has been woken or nobody else knows it: for another sleep, or none.
    void reset(bool already = false) noexcept { word_.store(already ? woken : quiet, order::relaxed); }

  private:
    static constexpr std::uint32_t quiet = 0;
    static constexpr std::uint32_t woken = 1;  // by wake() alone
    static constexpr std::uint32_t asleep = 2; // by the owner alone: a wake has to go through the kernel
    atomic<std::uint32_t> word_{quiet};
};

[[gnu::visibility("default")]] void throw_if_on_a_loop(const char* what, const char* instead);

/// Throws logic_error on a loop's thread, which a blocking `what` would hold up; `instead` is what to await.
inline void refuse_to_block_a_loop(const char* what, const char* instead) {
    if (current().worker) throw_if_on_a_loop(what, instead); // no call more for threads: 4 ns an item
}

} // namespace plait::detail
