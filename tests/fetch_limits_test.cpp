// SPDX-License-Identifier: Apache-2.0
#include "fetch/limits.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

using plait::fetch::crew_size;
using plait::fetch::kept_of;
using plait::fetch::size_for;
using plait::fetch::strategy;

TEST(Limits, OneLoopHasHalfOfWhatIsLeftAfterThirtyTwo) {
    for (const strategy one : {strategy::loop, strategy::serial}) {
        const auto connections = [&](std::size_t descriptors) {
            return size_for(descriptors, one, {1, 64}).connections;
        };
        EXPECT_EQ(connections(1024), 64U);
        EXPECT_EQ(connections(64), 16U);
        EXPECT_EQ(connections(160), 64U);
        EXPECT_EQ(connections(159), 63U);
        EXPECT_EQ(connections(32), 1U);
        EXPECT_EQ(connections(0), 1U);
    }
}

TEST(Limits, WorkersAreChargedForTheirEngines) {
    EXPECT_EQ(size_for(1024, strategy::threads, {32, 64}), (crew_size{32, 64}));
    EXPECT_EQ(size_for(200, strategy::threads, {32, 64}), (crew_size{32, 40}));
    EXPECT_EQ(size_for(64, strategy::threads, {32, 64}), (crew_size{6, 6}));
    EXPECT_EQ(size_for(64, strategy::loops, {16, 64}), (crew_size{4, 4}));
    EXPECT_EQ(size_for(64, strategy::loops, {2, 64}), (crew_size{2, 7}));
    EXPECT_EQ(size_for(64, strategy::processes, {64, 64}), (crew_size{6, 16}));
    for (const strategy any :
         {strategy::serial, strategy::threads, strategy::loop, strategy::loops, strategy::processes})
        EXPECT_EQ(size_for(32, any, {1, 64}), (crew_size{1, 1}));
}

TEST(Limits, NeverMoreThanTheLimitWhateverItIs) {
    for (std::size_t limit = 48; limit < 1200; ++limit)
        for (const std::size_t workers : {1U, 2U, 7U, 32U, 64U}) {
            const auto threads = size_for(limit, strategy::threads, {workers, 64});
            const auto sockets = threads.workers * kept_of(strategy::threads, threads);
            EXPECT_LE(32 + threads.workers * (3 + 1) + sockets, limit);
            const auto loops = size_for(limit, strategy::loops, {workers, 64});
            const auto idle = loops.workers * kept_of(strategy::loops, loops);
            EXPECT_LE(32 + loops.workers * 5 + loops.connections * 2 + idle, limit);
            for (const auto& size : {threads, loops}) {
                EXPECT_LE(size.workers, std::min<std::size_t>(workers, size.connections));
                EXPECT_LE(size.connections, 64U);
            }
        }
}

TEST(Limits, TheSoftLimitIsRaisedBeforeConnectionsAreLowered) {
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    rlimit low = old;
    low.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    std::string note;
    plait::fetch::options what;
    what.connections = 50;
    const crew_size given = plait::fetch::fit(what, note);
    rlimit now{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_EQ(given, size_for(old.rlim_max, strategy::loop, {1, 50}));
    EXPECT_EQ(now.rlim_cur, old.rlim_max);
    EXPECT_EQ(note.empty(), given.connections == 50);
}
