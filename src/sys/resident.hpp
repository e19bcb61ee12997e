// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace plait::detail {

/// What a process has resident of its own, in bytes: anonymous memory and shared memory, but not the files
/// that it maps. 0: it is gone, or /proc does not say.
std::uint64_t resident_memory(int pid) noexcept;

} // namespace plait::detail
