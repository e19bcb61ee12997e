// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>

namespace plait::detail {

/// For critical sections of a few instructions: a word is all it takes, and nobody sleeps in it.
template <class Policy = system_policy>
class [[nodiscard]] basic_spin_guard {
  public:
    using word = typename Policy::template atomic<std::uint32_t>;

    explicit basic_spin_guard(word& w) noexcept : word_{w} {
        // acquire pairs with the release of whoever held it before.
        for (unsigned round = 0; word_.exchange(1, order::acquire) != 0; ++round) Policy::pause(round);
    }
    ~basic_spin_guard() { word_.store(0, order::release); }
    basic_spin_guard(const basic_spin_guard&) = delete;
    basic_spin_guard& operator=(const basic_spin_guard&) = delete;

  private:
    word& word_;
};

using spin_guard = basic_spin_guard<>;

} // namespace plait::detail
