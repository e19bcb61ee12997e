// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// For a static_assert that fails when, and only when, its template is used.
template <class>
inline constexpr bool never = false;

} // namespace plait::detail
