// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace plait {

/// The processors that this process may use: its affinity mask, bounded by the tightest CPU quota of its
/// cgroups; at least 1. What pools take for `.workers` when nothing is said.
[[nodiscard, gnu::visibility("default")]] std::size_t available_processors() noexcept;

} // namespace plait
