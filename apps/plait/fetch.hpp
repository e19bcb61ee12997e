// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

namespace plait::app {

/// Runs `plait fetch` and returns its exit status.
[[nodiscard]] int run_fetch(fetch_command command);

} // namespace plait::app
