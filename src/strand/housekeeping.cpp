// SPDX-License-Identifier: Apache-2.0
#include "strand/housekeeping.hpp"

#include <plait/detail/atomic.hpp>

namespace plait::detail {
namespace {

constinit atomic<std::uint32_t> engines{0};

} // namespace

bool any_engine() noexcept { return engines.load(order::acquire) != 0; }

void engine_begins() noexcept { engines.fetch_add(1, order::relaxed); }

void engine_ended() noexcept {
    // acq_rel: the last one sees what the tasks of the others have started.
    if (engines.fetch_sub(1, order::acq_rel) != 1) return;
    end_offload_threads();
    end_watchdog();
}

} // namespace plait::detail
