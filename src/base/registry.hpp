// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/registry.hpp>

namespace plait::detail {

/// Most nodes that can be live at once: 16 Mi.
inline constexpr std::size_t max_registry_chunks = 4096;

/// The slab's chunks, for readers; null from the first one that does not exist.
task_node* registry_chunk(std::size_t index) noexcept;
std::size_t registry_chunk_nodes() noexcept;

} // namespace plait::detail
