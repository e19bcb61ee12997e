// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/process_map.hpp>
#include <plait/process_pool.hpp>

#include <algorithm>

namespace plait::detail {

bool map_record::wait_long(process_engine& engine, time_point deadline) {
    hurry_in(engine);
    if (is_there()) return true;
    if (deadline == time_point::max()) attend_in(engine, *this);
    return there_.sleep_until(deadline);
}

engine_of_map::engine_of_map(process_pool& pool) noexcept
    : engine_{pool.engine_},
      retries_{pool.retries_},
      timeout_{pool.task_timeout_ == nanoseconds::max()
                   ? 0
                   : std::max<std::int64_t>(pool.task_timeout_.count(), 1)} {
    retain(*engine_);
}

} // namespace plait::detail
