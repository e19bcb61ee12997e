// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "testing/execution.hpp"

#include <string>

namespace plait::testing::model {

/// A recorded run that failed, for people: a column for each thread, a line for each step.
std::string story(const std::string& name, const execution& run, std::uint64_t schedules_before,
                  const std::string& schedule, const std::string& failure);

} // namespace plait::testing::model
