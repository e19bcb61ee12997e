// SPDX-License-Identifier: Apache-2.0
#include "fetch/hosts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace std::chrono_literals;
using plait::fetch::host_queue;
using plait::fetch::time_point;

namespace {
constexpr time_point start{1000s};
using ids = std::vector<host_queue::item_id>;

ids take_all(host_queue& queue, time_point now = start) {
    ids out;
    while (const auto item = queue.next(now)) out.push_back(*item);
    return out;
}
} // namespace

TEST(Hosts, TakeTurns) {
    host_queue queue{0, 0};
    for (host_queue::item_id i = 0; i < 3; ++i) queue.push("http://a:80", i);
    for (host_queue::item_id i = 3; i < 6; ++i) queue.push("http://b:80", i);
    EXPECT_EQ(take_all(queue), (ids{0, 3, 1, 4, 2, 5}));
    EXPECT_EQ(queue.in_flight(), 6U);
    EXPECT_EQ(queue.waiting(), 0U);
}

TEST(Hosts, NoHostGetsMoreThanItsShareNorHoldsUpAnother) {
    host_queue queue{5, 2};
    for (host_queue::item_id i = 0; i < 10; ++i) queue.push("http://slow:80", i);
    for (host_queue::item_id i = 10; i < 20; ++i) queue.push("http://b:80", i);
    queue.push("http://c:80", 20);
    queue.push("http://d:80", 21);
    EXPECT_EQ(take_all(queue), (ids{0, 10, 20, 21, 1}));
    queue.finished(20);
    EXPECT_EQ(take_all(queue), (ids{11}));
    queue.finished(10);
    EXPECT_EQ(take_all(queue), (ids{12}));
}

TEST(Hosts, AClosedHostWaitsTheOthersGoOn) {
    host_queue queue{0, 1};
    for (host_queue::item_id i = 0; i < 3; ++i) queue.push("http://a:80", i);
    queue.push("http://b:80", 3);
    EXPECT_EQ(take_all(queue), (ids{0, 3}));
    queue.close_host_of(0, start + 5s);
    queue.finished(0);
    EXPECT_EQ(queue.closed_hosts(), 1U);
    EXPECT_EQ(take_all(queue), ids{});
    EXPECT_EQ(queue.wake_time(), start + 5s);
    EXPECT_EQ(take_all(queue, start + 4999ms), ids{});
    EXPECT_EQ(take_all(queue, start + 5s), (ids{1}));
    EXPECT_EQ(queue.closed_hosts(), 0U);
}

TEST(Hosts, ClosingAgainCountsOnlyIfItIsLater) {
    host_queue queue{0, 0};
    queue.push("http://a:80", 0);
    queue.push("http://a:80", 1);
    ASSERT_EQ(queue.next(start), 0U);
    queue.close_host_of(0, start + 5s);
    queue.close_host_of(0, start + 9s);
    queue.close_host_of(0, start + 2s);
    queue.push("http://a:80", 2);
    EXPECT_EQ(take_all(queue, start + 8s), ids{});
    EXPECT_EQ(take_all(queue, start + 9s), (ids{1, 2}));
}

TEST(Hosts, AnItemThatBacksOffLetsOthersOfItsHostPass) {
    host_queue queue{0, 1};
    queue.push("http://a:80", 0);
    queue.push("http://a:80", 1);
    ASSERT_EQ(queue.next(start), 0U);
    queue.finished(0);
    queue.push_at("http://a:80", 0, start + 1s);
    EXPECT_EQ(take_all(queue), (ids{1}));
    queue.finished(1);
    EXPECT_EQ(take_all(queue), ids{});
    EXPECT_EQ(queue.waiting(), 1U);
    EXPECT_EQ(take_all(queue, start + 1s), (ids{0}));
}

TEST(Hosts, WhatIsOverIsForgotten) {
    host_queue queue{0, 0};
    for (host_queue::item_id i = 0; i < 1000; ++i) {
        queue.push("http://host" + std::to_string(i) + ":80", 0);
        ASSERT_EQ(queue.next(start), 0U);
        queue.finished(0);
    }
    EXPECT_EQ(queue.known_hosts(), 0U);
}

TEST(Hosts, DrainGivesEverythingThatWaits) {
    host_queue queue{2, 0};
    for (host_queue::item_id i = 0; i < 10; ++i) queue.push("http://h" + std::to_string(i % 3) + ":80", i);
    queue.push_at("http://z:80", 10, start + 5s);
    EXPECT_EQ(take_all(queue), (ids{0, 1}));
    ids rest = queue.drain();
    std::sort(rest.begin(), rest.end());
    EXPECT_EQ(rest, (ids{2, 3, 4, 5, 6, 7, 8, 9, 10}));
    queue.finished(0);
    queue.finished(1);
    EXPECT_EQ(take_all(queue, start + 10s), ids{});
    EXPECT_EQ(queue.in_flight(), 0U);
}

TEST(Hosts, AtRandomEveryItemIsAskedOnceAndNoLimitIsBroken) {
    std::mt19937 random{2026};
    for (int round = 0; round < 50; ++round) {
        const std::size_t total = 1 + random() % 8;
        const std::size_t share = random() % 4;
        host_queue queue{total, share};
        std::map<host_queue::item_id, std::string> origin;
        std::map<host_queue::item_id, int> ended;
        std::set<host_queue::item_id> flying;
        std::map<std::string, time_point> closed;
        for (host_queue::item_id i = 0; i < 200; ++i) {
            origin[i] = "http://h" + std::to_string(random() % 7) + ":80";
            queue.push(origin[i], i);
        }
        time_point now = start;
        for (int step = 0; ended.size() < 200; ++step) {
            ASSERT_LT(step, 20000);
            while (const auto item = queue.next(now)) {
                ASSERT_TRUE(flying.insert(*item).second);
                ASSERT_GE(now, closed[origin[*item]]);
                ASSERT_LE(flying.size(), total);
                if (share != 0) {
                    ASSERT_LE(static_cast<std::size_t>(
                                  std::count_if(flying.begin(), flying.end(),
                                                [&](auto i) { return origin[i] == origin[*item]; })),
                              share);
                }
            }
            ASSERT_EQ(queue.in_flight(), flying.size());
            if (flying.empty()) {
                ASSERT_TRUE(queue.wake_time());
                now = std::max(now, *queue.wake_time());
                continue;
            }
            const auto item = *std::next(flying.begin(), static_cast<long>(random() % flying.size()));
            const auto chance = random() % 10;
            if (chance == 0) {
                const time_point until = now + std::chrono::milliseconds(random() % 3000);
                queue.close_host_of(item, until);
                closed[origin[item]] = std::max(closed[origin[item]], until);
            }
            queue.finished(item);
            flying.erase(item);
            if (chance == 1)
                queue.push_at(origin[item], item, now + 1s);
            else if (chance == 2)
                queue.push(origin[item], item);
            else
                ASSERT_EQ(++ended[item], 1);
            now += std::chrono::milliseconds(random() % 50);
        }
        EXPECT_EQ(queue.waiting(), 0U);
    }
}
