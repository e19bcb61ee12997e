// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <plait/detail/atomic.hpp>

// The registry only tells people what there is; nothing depends on it. Its words are no steps, or every model would be
// full of them.

namespace plait::detail {

template <class T>
class unseen_atomic {
  public:
    T load(order o = order::seq_cst) const noexcept { return value_.load(static_cast<std::memory_order>(o)); }
    void store(T value, order o = order::seq_cst) noexcept {
        value_.store(value, static_cast<std::memory_order>(o));
    }

  private:
    std::atomic<T> value_{};
};

} // namespace plait::detail

#pragma GCC system_header // include_next
#define atomic unseen_atomic
#include_next <plait/detail/registry.hpp> // NOLINT
#undef atomic
