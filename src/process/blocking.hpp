// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/blocking_region.hpp>
#include <plait/detail/parking_place.hpp>
#include <plait/detail/process_entry.hpp>

namespace plait::detail {

/// As refuse_to_block_a_loop, but not in a worker process: the loop there is its one task's own, and a
/// function may hold it up.
inline void refuse_to_block(const char* what, const char* instead) {
    if (!this_worker().is_worker) refuse_to_block_a_loop(what, instead);
}

} // namespace plait::detail
