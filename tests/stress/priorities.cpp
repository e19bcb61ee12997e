// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Tasks of every priority, from outside and from each other, some of which block, wait in get() or are cancelled, on a pool
// that falls asleep in between: each runs once or is cancelled, and the pool comes to its end.
#include "support/strands.hpp"

#include <plait/blocking_region.hpp>

#include <latch>
#include <random>
#include <thread>

namespace plait::test {
namespace {

constexpr int rounds = 5'000;

struct work_load {
    thread_pool& pool;
    std::atomic<int> begun{0};

    priority any(std::mt19937& random) const { return static_cast<priority>(random() % 3); }

    // Each of its children once, whatever it does about them.
    int run(unsigned seed, int depth) {
        ++begun;
        std::mt19937 random{seed};
        if (depth == 0) return 1;
        int sum = 1;
        std::vector<future<int>> children;
        for (unsigned k = random() % 4; k > 0; --k)
            children.push_back(pool.submit({.priority = any(random)}, &work_load::run, this,
                                           static_cast<unsigned>(random()), depth - 1));
        if (random() % 4 == 0) {
            const blocking_region blocks;
            std::this_thread::yield();
        }
        for (auto& c : children) sum += c.get();
        return sum;
    }
};

TEST(PriorityStress, WhoeverSubmitsThemEachRunsOnce) {
    thread_pool pool{{.workers = 3}};
    std::vector<std::jthread> threads;
    std::atomic<int> wrong{0};
    for (unsigned t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{t};
            for (int round = 0; round < rounds; ++round) {
                work_load load{pool};
                const int ran = pool.submit({.priority = load.any(random)}, &work_load::run, &load,
                                            static_cast<unsigned>(random()), 4)
                                    .get();
                if (ran != load.begun) ++wrong;
            }
        });
    threads.clear();
    EXPECT_EQ(wrong, 0);
}

TEST(PriorityStress, ACancelledOneRunsOrDoesNotAndTheOthersDo) {
    std::mt19937 random{3};
    for (int round = 0; round < rounds / 10; ++round) {
        std::atomic<int> ran{0};
        int cancels = 0;
        {
            thread_pool pool{{.workers = 2}};
            std::vector<future<void>> all;
            for (int i = 0; i < 100; ++i)
                all.push_back(
                    pool.submit({.priority = static_cast<priority>(random() % 3)}, [&ran] { ++ran; }));
            for (std::size_t i = 0; i < all.size(); i += 3) (void)all[i].cancel();
            for (auto& f : all) cancels += throws_cancelled(f) ? 1 : 0;
        }
        ASSERT_EQ(ran + cancels, 100);
    }
}

} // namespace
} // namespace plait::test
