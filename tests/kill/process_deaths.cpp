// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Tasks that end their worker in every way there is, among many that do not. The long run is in tests/stress.
#include "support/pool_deaths.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;

constexpr std::uint64_t room = std::uint64_t{sanitized ? 1024 : 96} << 20;
constexpr int tasks = sanitized ? 4'000 : 20'000;

TEST(KillProcessDeaths, WithoutRetriesNothingIsRepeatedAndNothingLostButWhatDied) {
    const deaths_toll toll = run_deaths({tasks, tasks / 100, 3, 10, 0, room});
    EXPECT_EQ(toll.again, 0);
    EXPECT_GT(toll.lost, tasks / 200);
}

TEST(KillProcessDeaths, WithRetriesWhoeverCanSurviveDoes) {
    const deaths_toll toll = run_deaths({tasks, tasks / 100, 3, 10, 3, room});
    EXPECT_GT(toll.again, toll.lost);
}

} // namespace
