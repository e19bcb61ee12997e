// SPDX-License-Identifier: Apache-2.0
#include "fetch/limits.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

using plait::fetch::connections_for;

TEST(Limits, HalfOfWhatIsLeftAfterThirtyTwo) {
    EXPECT_EQ(connections_for(1024, 64), 64U);
    EXPECT_EQ(connections_for(64, 64), 16U);
    EXPECT_EQ(connections_for(160, 64), 64U);
    EXPECT_EQ(connections_for(159, 64), 63U);
    EXPECT_EQ(connections_for(32, 64), 1U);
    EXPECT_EQ(connections_for(0, 64), 1U);
}

TEST(Limits, TheSoftLimitIsRaisedBeforeConnectionsAreLowered) {
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    rlimit low = old;
    low.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    std::string note;
    const std::size_t given = plait::fetch::fit_connections(50, note);
    rlimit now{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_EQ(given, connections_for(old.rlim_max, 50));
    EXPECT_EQ(now.rlim_cur, old.rlim_max);
    EXPECT_EQ(note.empty(), given == 50);
}
