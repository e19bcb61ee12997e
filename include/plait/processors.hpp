// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace plait {

/// The processors that this process may use: its affinity mask, bounded by the tightest CPU quota of its
/// cgroups; at least 1. What pools take for `.workers` when nothing is said.
[[nodiscard, gnu::visibility("default")]] std::size_t available_processors() noexcept;

/// Where a pool's threads run: a hint. Processors are taken from those that the thread which makes the pool
/// may use, one after the other, and from the first one again when there are more workers. Where the
/// machine's layout cannot be read, all processors count as cores of one node; where a thread cannot be
/// bound, it runs anywhere. Nothing is reported.
///
/// Measure before you use it: bound threads cannot move away from a processor that others keep busy.
enum class placement : unsigned char {
    anywhere, // the kernel decides
    spread,   // each bound to a processor: node by turns, then core by core, second threads of cores last
    compact,  // each bound to a processor: neighbours on one core, then in one node
    one_node, // each on any processor of the memory node on which the pool is made
};

} // namespace plait
