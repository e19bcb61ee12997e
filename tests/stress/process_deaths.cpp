// SPDX-License-Identifier: Apache-2.0
// limit: 600
// label: stress
// 2,000 deaths in every way there is during 200,000 tasks.
#include "support/pool_deaths.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;

constexpr std::uint64_t room = std::uint64_t{sanitized ? 1024 : 96} << 20;

TEST(StressProcessDeaths, WithoutRetriesNothingIsRepeatedAndNothingLostButWhatDied) {
    EXPECT_EQ(run_deaths({200'000, 2'000, 60, 200, 0, room}).again, 0);
}

TEST(StressProcessDeaths, WithRetriesWhoeverCanSurviveDoes) {
    const deaths_toll toll = run_deaths({200'000, 2'000, 60, 200, 3, room});
    EXPECT_GT(toll.again, toll.lost);
}

} // namespace
