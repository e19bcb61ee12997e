// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/testing_explore.hpp>

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

#ifdef PLAIT_SANITIZED
inline constexpr std::uint64_t few_or_many = 5'000; // each takes ten times as long
#else
inline constexpr std::uint64_t few_or_many = 60'000;
#endif

/// Explores every schedule; if that takes more than a test has time for, those with at most 1, 2, 3, ... preemptions, as
/// far as the time goes. Prints what was explored, and fails the test with the story if a schedule does.
/// PLAIT_SCHEDULES says how many there is time for: `make schedules` has more of it. `length`: how many times as long as the
/// others' a schedule of this one is.
inline void explored(const char* name, const std::function<void()>& test, unsigned length = 1) {
    const char* const given = std::getenv("PLAIT_SCHEDULES");
    const std::uint64_t most = (given ? std::strtoull(given, nullptr, 10) : few_or_many) / length;
    const auto explore = [&](int preemptions) {
        plait::testing::exploration r =
            plait::testing::explore({.name = name, .preemptions = preemptions, .most_schedules = most}, test);
        EXPECT_TRUE(r) << r.story();
        return r;
    };
    plait::testing::exploration all = explore(plait::testing::exploration_options::every_schedule);
    if (!all || all.complete()) {
        std::printf("model: %s\n", all.summary().c_str());
        return;
    }
    plait::testing::exploration bounded = explore(1);
    if (most < 60'000 / length && !bounded.complete()) { // under a sanitizer, or asked for
        std::printf("model: %s\n", all.summary().c_str());
        return;
    }
    ASSERT_TRUE(bounded.complete()) << "not even one preemption at each place: make the model smaller";
    for (int n = 2; bounded.schedules() < most; ++n) {
        plait::testing::exploration more = explore(n);
        if (!more || !more.complete()) break;
        bounded = std::move(more);
    }
    std::printf("model: %s, and of all %llu\n", bounded.summary().c_str(),
                static_cast<unsigned long long>(all.schedules()));
}
