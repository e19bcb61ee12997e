// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/detail/worker.hpp>

namespace plait::detail {

/// Where one thread sleeps until another one wakes it, once: a `parker` for what stands in public headers.
/// While it sleeps on a pool's thread, another one works in its place.
class [[gnu::visibility("default")]] parking_place {
  public:
    /// True: woken. False: the deadline passed first; it may then be waited for again.
    bool sleep_until(time_point deadline) noexcept;
    void sleep() noexcept { sleep_until(time_point::max()); }

    /// After the store inside, the owner may be gone, and this object with it.
    void wake() noexcept;

  private:
    // 0: not woken; 1: woken, by wake() alone.
    atomic<std::uint32_t> word_{0};
};

[[gnu::visibility("default")]] void throw_if_on_a_loop(const char* what, const char* instead);

/// Throws logic_error on a loop's thread, which a blocking `what` would hold up; `instead` is what to await.
inline void refuse_to_block_a_loop(const char* what, const char* instead) {
    if (current().worker) throw_if_on_a_loop(what, instead); // no call more for threads: 4 ns an item
}

} // namespace plait::detail
