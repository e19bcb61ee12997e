// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/testing.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

/// What models hand from thread to thread: whoever touches it without having been handed it is found out.
class payload {
  public:
    payload() noexcept { memory_.write(here()); }
    explicit payload(int value) noexcept : value_{value} { memory_.write(here()); }
    payload(payload&& other) noexcept : value_{other.taken()} { memory_.write(here()); }
    payload& operator=(payload&& other) noexcept {
        value_ = other.taken();
        memory_.write(here());
        return *this;
    }
    ~payload() { memory_.write(here()); }

    int value() const noexcept {
        memory_.read(here());
        return value_;
    }

  private:
    static plait::testing::site here() noexcept { return {}; }
    int taken() noexcept {
        memory_.write(here());
        return std::exchange(value_, -1);
    }
    int value_ = 0;
    plait::testing::model::plain_memory memory_;
};

/// Explores, prints what was explored, and fails the test with the story if a schedule does.
/// `preemptions`: the bound for what cannot be walked through as a whole in the time of a test; `make schedules` raises it.
inline void explored(const char* name, const std::function<void()>& test,
                     int preemptions = plait::testing::exploration_options::every_schedule,
                     std::uint64_t random = 0) {
    plait::testing::exploration_options options{.name = name, .preemptions = preemptions};
    const char* const full = std::getenv("PLAIT_SCHEDULES");
    options.most_schedules = full ? std::strtoull(full, nullptr, 10) : 100'000;
    options.random_schedules = random;
    const plait::testing::exploration r = plait::testing::explore(options, test);
    std::printf("model: %s\n", r.summary().c_str());
    EXPECT_TRUE(r) << r.story();
    EXPECT_GT(r.schedules(), 1U);
}
