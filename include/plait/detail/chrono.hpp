// SPDX-License-Identifier: Apache-2.0
#pragma once

// libstdc++'s <chrono> brings formatting and calendars along (three times the cost of <vector>); the clock
// types alone live in bits/chrono.h from version 12 on.
#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif

namespace plait::detail {

using nanoseconds = std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

/// Nanoseconds of any duration; what does not fit becomes the largest one, so that `duration::max()` is
/// "never".
template <class Rep, class Period>
constexpr nanoseconds saturated(std::chrono::duration<Rep, Period> d) noexcept {
    using wide = std::chrono::duration<long double, std::nano>;
    const auto exact = std::chrono::duration_cast<wide>(d);
    if (exact >= wide{nanoseconds::max()}) return nanoseconds::max();
    if (exact <= wide{nanoseconds::min()}) return nanoseconds::min();
    return std::chrono::duration_cast<nanoseconds>(d);
}

/// `now + d` without overflow.
constexpr time_point later(time_point now, nanoseconds d) noexcept {
    return d > time_point::max() - now ? time_point::max() : now + d;
}

/// `d` from now, without overflow.
template <class Rep, class Period>
time_point deadline_in(std::chrono::duration<Rep, Period> d) noexcept {
    return later(std::chrono::steady_clock::now(), saturated(d));
}

} // namespace plait::detail
