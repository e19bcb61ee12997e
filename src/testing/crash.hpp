// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "testing/choices.hpp"

#include <cstdint>
#include <string_view>

namespace plait::testing::model {

/// What this thread explores, for the signal handlers: a test that crashes says in which schedule.
class crash_report {
  public:
    crash_report(std::string_view name, const choices& path, std::uint64_t schedules_before) noexcept;
    crash_report(const crash_report&) = delete;
    crash_report& operator=(const crash_report&) = delete;
    ~crash_report();

    /// In a signal handler: to stderr.
    static void write(int signal) noexcept;

  private:
    std::string_view name_;
    const choices& path_;
    std::uint64_t before_;
    const crash_report* outer_;
};

/// Handlers for signals that a crash raises, while one of these lives; then the ones that were there before are back.
/// They report, and leave the signal to those.
class crash_handlers {
  public:
    crash_handlers();
    crash_handlers(const crash_handlers&) = delete;
    crash_handlers& operator=(const crash_handlers&) = delete;
    ~crash_handlers();
};

} // namespace plait::testing::model
