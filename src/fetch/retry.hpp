// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace plait::fetch {

/// How long to wait before asking again.
///
/// Full jitter: anything from nothing to the bound, so that what failed together does not come back together.
class back_off {
  public:
    using duration = std::chrono::nanoseconds;
    static constexpr duration base = std::chrono::milliseconds(500);
    static constexpr duration most = std::chrono::seconds(30);
    /// A server that asks for more than this is not waited for.
    static constexpr std::chrono::seconds longest_retry_after{300};

    explicit back_off(std::uint64_t seed) : random_(seed) {}

    /// The bound after the n-th failed attempt, n from 1.
    [[nodiscard]] static duration bound(unsigned failed) noexcept;
    [[nodiscard]] duration after(unsigned failed);
    /// What a server asked for, and up to 10 % more, so that not everybody comes at that moment.
    [[nodiscard]] duration spread(std::chrono::seconds asked);

  private:
    [[nodiscard]] duration up_to(duration bound);
    std::mt19937_64 random_;
};

} // namespace plait::fetch
