// SPDX-License-Identifier: Apache-2.0
// How many workers a pool has if nothing is said, and what its threads are called and bound to.
#include <plait/processors.hpp>

#include "sys/placement.hpp"

#include <gtest/gtest.h>

#include <plait/loop_pool.hpp>
#include <plait/thread_pool.hpp>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using plait::placement;
using plait::detail::placement_plan;
using processors = std::vector<int>;

/// A directory with files in it, gone at the end.
class tree {
  public:
    tree() {
        std::string pattern = std::filesystem::temp_directory_path() / "plait-tree-XXXXXX";
        root_ = ::mkdtemp(pattern.data()) ? pattern : "";
    }
    tree(const tree&) = delete;
    tree& operator=(const tree&) = delete;
    ~tree() {
        std::error_code ignored;
        if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
    }
    void write(const std::string& name, const std::string& text) {
        const std::filesystem::path path = root_ + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream{path} << text;
    }
    const std::string& root() const noexcept { return root_; }

  private:
    std::string root_;
};

std::size_t quota_of(tree& t, const std::string& membership) {
    t.write("membership", membership);
    return plait::detail::cgroup_quota(t.root() + "/membership", t.root() + "/cgroup");
}

TEST(Processors, TheTightestQuotaAroundCounts) {
    tree t;
    EXPECT_EQ(quota_of(t, "0::/pod/box\n"), 0U); // nothing can be read: none
    t.write("cgroup/cpu.max", "max 100000\n");
    t.write("cgroup/pod/cpu.max", "250000 100000\n");
    t.write("cgroup/pod/box/cpu.max", "max 100000\n");
    EXPECT_EQ(quota_of(t, "0::/pod/box\n"), 3U); // two and a half
    t.write("cgroup/pod/box/cpu.max", "50000 100000\n");
    EXPECT_EQ(quota_of(t, "0::/pod/box\n"), 1U);
    EXPECT_EQ(quota_of(t, "0::/pod\n"), 3U);
    EXPECT_EQ(quota_of(t, "0::/\n"), 0U);
    EXPECT_EQ(quota_of(t, "3:cpu:/pod/box\n0::/\n"), 0U); // version 1 is not ours
    t.write("cgroup/cpu.max", "a few\n");
    EXPECT_EQ(quota_of(t, "0::/\n"), 0U);
    t.write("cgroup/cpu.max", "800000 200000\n");
    EXPECT_EQ(quota_of(t, "0::/\n"), 4U); // as in a container that sees itself as the root
}

TEST(Processors, TheAffinityMaskCounts) {
    const processors all = plait::detail::allowed_processors();
    ASSERT_FALSE(all.empty());
    EXPECT_LE(plait::available_processors(), all.size());
    std::thread{[&] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(all.back()), &one);
        ASSERT_EQ(::pthread_setaffinity_np(::pthread_self(), sizeof one, &one), 0);
        EXPECT_EQ(plait::detail::allowed_processors(), processors{all.back()});
        EXPECT_EQ(plait::available_processors(), 1U);
        const plait::thread_pool pool;
        EXPECT_EQ(pool.concurrency(), 1U);
        const plait::loop_pool loops;
        EXPECT_EQ(loops.concurrency(), 1U);
    }}.join();
}

/// Two nodes of two cores of two threads each, numbered as Linux does: the second threads come last.
void two_nodes(tree& t) {
    t.write("node/has_cpu", "0-1\n");
    t.write("node/node0/cpulist", "0-1,4-5\n");
    t.write("node/node1/cpulist", "2,3,6,7\n");
    for (int n = 0; n < 8; ++n) {
        const std::string at = "cpu/cpu" + std::to_string(n) + "/topology/";
        t.write(at + "physical_package_id", std::to_string(n / 2 % 2));
        t.write(at + "core_id", std::to_string(n % 2));
    }
}

TEST(Placement, SpreadTakesNodesByTurnsAndSecondThreadsLast) {
    tree t;
    two_nodes(t);
    const placement_plan plan{placement::spread, {0, 1, 2, 3, 4, 5, 6, 7}, t.root(), 0};
    processors order;
    for (unsigned worker = 0; worker < 9; ++worker) order.push_back(plan.of(worker).at(0));
    EXPECT_EQ(order, (processors{0, 2, 1, 3, 4, 6, 5, 7, 0}));
}

TEST(Placement, CompactFillsCoresThenNodes) {
    tree t;
    two_nodes(t);
    const placement_plan plan{placement::compact, {0, 1, 2, 4, 5, 6}, t.root(), 0};
    processors order;
    for (unsigned worker = 0; worker < 6; ++worker) order.push_back(plan.of(worker).at(0));
    EXPECT_EQ(order, (processors{0, 4, 1, 5, 2, 6}));
}

TEST(Placement, OneNodeIsTheOneOfTheThreadThatAsks) {
    tree t;
    two_nodes(t);
    const placement_plan plan{placement::one_node, {0, 1, 2, 3, 4, 5, 6}, t.root(), 6};
    EXPECT_EQ(plan.of(0), (processors{2, 6, 3}));
    EXPECT_EQ(plan.of(7), plan.of(0));
}

TEST(Placement, WhatCannotBeReadDegradesSilently) {
    const tree nothing;
    const placement_plan spread{placement::spread, {1, 5, 9}, nothing.root(), 5};
    EXPECT_EQ(spread.of(1), processors{5});
    const placement_plan node{placement::one_node, {1, 5, 9}, nothing.root(), 5};
    EXPECT_EQ(node.of(0), (processors{1, 5, 9}));
    EXPECT_TRUE((placement_plan{placement::one_node, {1, 5, 9}, nothing.root(), -1}.anywhere()));
    EXPECT_TRUE((placement_plan{placement::compact, {}, nothing.root(), 0}.anywhere()));
    EXPECT_TRUE((placement_plan{placement::anywhere, processors{}}.anywhere()));
}

std::string thread_name() {
    std::array<char, 16> text{};
    ::pthread_getname_np(::pthread_self(), text.data(), text.size());
    return text.data();
}

/// What `fn` gives on each of two workers.
template <class Pool, class F>
auto on_both(Pool& pool, F fn) {
    std::latch both{2};
    const auto task = [&] {
        both.arrive_and_wait(); // so that each has one of them
        return fn();
    };
    auto a = pool.submit(task);
    auto b = pool.submit(task);
    return std::set{a.get(), b.get()};
}

TEST(Placement, ThreadsHaveNamesWithNumbers) {
    {
        plait::thread_pool pool{{.workers = 2}};
        EXPECT_EQ(on_both(pool, thread_name), (std::set<std::string>{"plait-worker/0", "plait-worker/1"}));
    }
    {
        plait::thread_pool pool{{.workers = 2, .name = "a very long name"}};
        EXPECT_EQ(on_both(pool, thread_name), (std::set<std::string>{"a very long n/0", "a very long n/1"}));
    }
    {
        plait::loop_pool pool{{.workers = 2, .name = "net"}};
        EXPECT_EQ(on_both(pool, thread_name), (std::set<std::string>{"net/0", "net/1"}));
    }
    std::thread{[] {
        plait::detail::name_this_thread("workers", 4'000'000'000);
        EXPECT_EQ(thread_name(), "work/4000000000");
    }}.join();
}

TEST(Placement, ThreadsAreBoundAsAskedFor) {
    const processors all = plait::detail::allowed_processors();
    for (const placement p :
         {placement::anywhere, placement::spread, placement::compact, placement::one_node}) {
        const std::size_t bound = p == placement::anywhere || p == placement::one_node ? 0 : 1;
        std::set<processors> masks;
        {
            plait::thread_pool pool{{.workers = 2, .placement = p}};
            masks = on_both(pool, plait::detail::allowed_processors);
        }
        for (const processors& mask : masks) {
            if (bound != 0) {
                EXPECT_EQ(mask.size(), bound);
            }
            for (const int n : mask) EXPECT_NE(std::find(all.begin(), all.end(), n), all.end());
        }
        if (p == placement::anywhere) {
            EXPECT_EQ(masks, std::set{all});
        }
        plait::loop_pool loops{{.workers = 2, .placement = p}};
        EXPECT_EQ(on_both(loops, plait::detail::allowed_processors), masks);
    }
}

TEST(Placement, ProcessorsByHandAndOnesThatDoNotExist) {
    const processors all = plait::detail::allowed_processors();
    plait::thread_pool pool{{.workers = 2, .processors = {all.front()}}};
    EXPECT_EQ(on_both(pool, plait::detail::allowed_processors), std::set{processors{all.front()}});
    plait::thread_pool beyond{{.workers = 2, .processors = {100'000, -1}}};
    EXPECT_EQ(on_both(beyond, plait::detail::allowed_processors), std::set{all});
}

TEST(Placement, TheInitializerRunsOnTheBoundThread) {
    const processors all = plait::detail::allowed_processors();
    processors seen;
    std::string name;
    plait::thread_pool pool{{.workers = 1, .name = "first", .processors = {all.back()}, .initializer = [&] {
                                 seen = plait::detail::allowed_processors();
                                 name = thread_name();
                             }}};
    pool.submit([] {}).get();
    EXPECT_EQ(seen, processors{all.back()});
    EXPECT_EQ(name, "first/0");
}

} // namespace
