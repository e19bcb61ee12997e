// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>

namespace plait::detail {

/// For critical sections of a few instructions that call nothing: a word is all it takes, and nobody sleeps
/// in it.
class [[nodiscard]] spin_guard {
  public:
    explicit spin_guard(atomic<std::uint32_t>& word) noexcept : word_{word} {
        // acquire pairs with the release of whoever held it before.
        for (unsigned round = 0; word_.exchange(1, order::acquire) != 0; ++round) system_policy::pause(round);
    }
    ~spin_guard() { word_.store(0, order::release); }
    spin_guard(const spin_guard&) = delete;
    spin_guard& operator=(const spin_guard&) = delete;

  private:
    atomic<std::uint32_t>& word_;
};

} // namespace plait::detail
