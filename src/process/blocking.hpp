// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/blocking_region.hpp>
#include <plait/detail/identity.hpp>
#include <plait/detail/parking_place.hpp>

namespace plait::detail {

/// As refuse_to_block_a_loop, but not in a worker process that runs one task at a time: the loop there is
/// that task's own, and a function may hold it up.
inline void refuse_to_block(const char* what, const char* instead) {
    const worker_identity& here = this_worker();
    if (!here.is_worker || here.drives_loop) refuse_to_block_a_loop(what, instead);
}

} // namespace plait::detail
