// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/short_spin.hpp"

#include <plait/detail/chrono.hpp>

namespace plait::detail {

/// The calling thread's looks before it sleeps; null: it does not look. A thread that belongs to no executor holds up
/// nobody while it does, if the other side has a processor of its own.
short_spin* looks_of_this_thread() noexcept;

/// What a thread does before it sleeps until `ready()`, if that has paid lately (see short_spin). False: sleep.
template <class Ready>
bool look_until(Ready ready, time_point deadline, int first_looks = short_spin::a_round) noexcept {
    short_spin* const looks = looks_of_this_thread();
    return looks && looks->until(ready, deadline.time_since_epoch().count(), first_looks);
}

} // namespace plait::detail
