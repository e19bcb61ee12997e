// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Workers killed while handles travel to them and back, and while teams talk: every task ends once, no team hangs, and
// no descriptor stays behind.
#include <gtest/gtest.h>

#include <plait/pipe.hpp>
#include <plait/shared_array.hpp>
#include <plait/team.hpp>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <thread>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"
#include "sys/pidfd.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::shared_array;
using plait::task;
using plait::team_member;
using plait::worker_lost;

std::size_t open_descriptors() {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !entry.path().empty();
    return n;
}

/// Kills one worker after another, each after so many more tasks have ended.
class killer {
  public:
    explicit killer(process_pool& pool, unsigned seed) : pool_{pool}, random_{seed} {}
    void one() {
        const auto workers = pool_.status();
        const int pid = workers[random_() % workers.size()].pid;
        if (pid == 0) return; // it is being replaced
        const plait::detail::unique_fd handle = plait::detail::open_pidfd(pid);
        if (handle && plait::detail::signal_process(handle, SIGKILL) == 0) ++kills;
    }
    int kills = 0;

  private:
    process_pool& pool_;
    std::mt19937 random_;
};

struct parcel {
    int number = 0;
    std::vector<shared_array<int>> arrays;
    std::string filling;
};

parcel pass_on(parcel p) {
    for (auto& a : p.arrays) a.at(0) += p.number;
    p.arrays.emplace_back(1);
    p.arrays.back()[0] = p.number;
    return p;
}

TEST(KillHandles, EveryTaskEndsOnceAndNoDescriptorStays) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    {
        process_pool warm{{.workers = 1}};
        EXPECT_EQ(warm.submit(add, 1, 1).get(), 2);
    }
    const std::size_t before = open_descriptors();
    {
        process_pool pool{{.workers = 3}};
        killer k{pool, seed};
        std::mt19937 random{seed + 1};
        int whole = 0;
        int lost = 0;
        int retried = 0;
        for (int round = 0; round < 40; ++round) {
            std::vector<plait::future<parcel>> sent;
            std::vector<std::size_t> counts;
            for (int i = 0; i < 20; ++i) {
                parcel p;
                p.number = i;
                const std::size_t n = i % 10 >= 8 ? 300 : random() % 4; // more than a message carries, too
                for (std::size_t a = 0; a < n; ++a) p.arrays.emplace_back(1);
                p.filling.assign(i % 5 == 4 ? std::size_t{300'000} : std::size_t{10}, 'x');
                counts.push_back(n);
                sent.push_back(pool.submit({.retries = i % 2}, pass_on, p));
            }
            k.one();
            for (std::size_t i = 0; i < sent.size(); ++i) {
                try {
                    const parcel back = sent[i].get();
                    ASSERT_EQ(back.arrays.size(), counts[i] + 1);
                    ASSERT_EQ(back.number, static_cast<int>(i));
                    ASSERT_EQ(back.arrays.back()[0], back.number);
                    // A retry adds once more; nothing else does.
                    for (std::size_t a = 0; a < counts[i]; ++a) {
                        const int times = back.number == 0 ? 1 : back.arrays[a][0] / back.number;
                        ASSERT_GE(times, back.number == 0 ? 0 : 1);
                        ASSERT_LE(times, i % 2 == 0 ? 1 : 2);
                        retried += times == 2;
                    }
                    ++whole;
                } catch (const worker_lost&) {
                    ++lost;
                }
            }
        }
        std::cout << whole << " whole, " << lost << " lost, " << retried << " arrays added to twice, "
                  << k.kills << " kills\n";
        EXPECT_LE(lost, k.kills);
        EXPECT_GT(k.kills, 0);
    }
    while (open_descriptors() > before) std::this_thread::yield();
    EXPECT_EQ(open_descriptors(), before);
}

task<int> talk(team_member& me, int rounds) {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
        const auto next = (me.rank() + 1) % me.size();
        const auto last = (me.rank() + me.size() - 1) % me.size();
        sum += co_await me.sendrecv(next, i, last);
        sum = co_await me.all_reduce(sum, [](int a, int b) { return (a + b) % 1000; });
        if (i % 8 == 7) co_await me.barrier();
    }
    co_return sum;
}
int talk_blocking(team_member& me, int rounds) {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
        const auto next = (me.rank() + 1) % me.size();
        const auto last = (me.rank() + me.size() - 1) % me.size();
        sum += me.sendrecv_blocking(next, i, last);
        sum = me.all_reduce_blocking(sum, [](int a, int b) { return (a + b) % 1000; });
        if (i % 8 == 7) me.barrier_blocking();
    }
    return sum;
}

TEST(KillHandles, ATeamWhoseMemberIsKilledAtAnyMomentEnds) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    process_pool pool{{.workers = 4}};
    const auto expected = plait::team(pool, 4, talk, 40);
    const std::size_t before = open_descriptors(); // all four workers are there
    killer k{pool, seed};
    std::mt19937 random{seed + 1};
    int ended = 0;
    int failed = 0;
    for (int round = 0; round < 60; ++round) {
        const auto pause = std::chrono::microseconds{random() % 4000U};
        std::thread shooter{[&] {
            const auto until = std::chrono::steady_clock::now() + pause; // the moment is what is random
            while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
            k.one();
        }};
        try {
            const auto got =
                round % 2 == 0 ? plait::team(pool, 4, talk, 40) : plait::team(pool, 4, talk_blocking, 40);
            EXPECT_EQ(got, expected);
            ++ended;
        } catch (const plait::team_error& e) {
            EXPECT_THROW(std::rethrow_if_nested(e), worker_lost) << e.what();
            ++failed;
        }
        shooter.join();
    }
    std::cout << ended << " ended, " << failed << " failed, " << k.kills << " kills\n";
    EXPECT_EQ(plait::team(pool, 4, talk, 40), expected);
    while (open_descriptors() > before) std::this_thread::yield();
    EXPECT_EQ(open_descriptors(), before);
}

} // namespace
