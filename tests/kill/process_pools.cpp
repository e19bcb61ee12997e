// SPDX-License-Identifier: Apache-2.0
// limit: 180
// Eight threads of one program make and end pools at random.
#include "support/pool_storm.hpp"
#include "support/sanitizer.hpp"

#include <sys/wait.h>

namespace {

TEST(KillProcessPools, ThreadsMakeAndEndPoolsAtRandom) {
    process_tasks::storm_count count;
    process_tasks::pool_storm(std::chrono::seconds{sanitized ? 6 : 3}, count);
    EXPECT_GT(count.pools, 8);
    RecordProperty("pools", count.pools);
    RecordProperty("tasks", count.tasks);
    RecordProperty("lost", count.lost);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a helper that stayed";
}

} // namespace
