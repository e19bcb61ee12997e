// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/crash_record.hpp"

#include <plait/remote_error.hpp>

#include <exception>
#include <memory>

namespace plait::detail {

/// A worker's death as the supervisor sees it under its lock: what is cheap. Its words, for which files are
/// read, are found when the task is told.
struct death_report {
    worker_lost::details details;
    std::unique_ptr<crash_record> crash; ///< null: the worker left none
};

/// The worker_lost that it becomes. Whatever the record holds: what makes no sense in it is left out.
std::exception_ptr error_of(death_report report) noexcept;

} // namespace plait::detail
