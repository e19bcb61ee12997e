// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/sanitizer.hpp"

#include <plait/testing_faults.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

class Fault : public ::testing::Test {
  protected:
    void SetUp() override {
        if (sanitized) GTEST_SKIP() << "sanitizers have the names of the system's calls themselves";
    }
};

/// What must hold if the scenario has not been refused.
inline void promised(bool holds, const char* what) {
    if (!holds) throw std::logic_error{what};
}

/// Fails each call that can fail, and prints how many there were.
inline void swept(const char* name, const std::function<void()>& scenario,
                  const plait::testing::sweep_options& options = {}) {
    const plait::testing::sweep_result r = plait::testing::sweep(scenario, options);
    std::printf("faults: %s\n", r.summary(name).c_str());
    for (const std::string& each : r.faults) ADD_FAILURE() << name << ": " << each;
    EXPECT_GT(r.injections, 0U);
}
