// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// The work-stealing deque: whatever owner and thieves do, each entry is taken exactly once, and a thief gets
// what was pushed first of what is there. With sleepers that pay, and without.
#include "support/sanitizer.hpp"
#include "sys/membarrier.hpp"

#include <gtest/gtest.h>

#include <plait/detail/deque.hpp>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace plait::detail {
namespace {

constexpr int thieves = 3;
constexpr int items = sanitized ? 100'000 : 1'000'000;

struct item {
    std::atomic<int> taken{0};
    int number = 0;
};

class Deques : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        if (!GetParam()) return;
        ASSERT_TRUE(have_heavy_barrier());
        entries.let_sleepers_pay();
    }
    deque<item> entries;
};
INSTANTIATE_TEST_SUITE_P(, Deques, testing::Bool(),
                         [](const auto& i) { return std::string{i.param ? "SleepersPay" : "OwnerPays"}; });

TEST_P(Deques, EachEntryIsTakenOnce) {
    std::vector<item> all(items);
    for (int i = 0; i < items; ++i) all[static_cast<std::size_t>(i)].number = i;
    std::atomic<bool> over{false};
    std::atomic<int> disorder{0};
    std::atomic<int> stolen{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < thieves; ++t)
        threads.emplace_back([&] {
            int before = -1; // what one thief takes comes in order
            while (!over.load(std::memory_order_acquire))
                if (item* const i = entries.steal()) {
                    i->taken.fetch_add(1, std::memory_order_relaxed);
                    if (i->number <= before) disorder.fetch_add(1);
                    before = i->number;
                    stolen.fetch_add(1, std::memory_order_relaxed);
                }
        });
    std::mt19937 random{7};
    int pushed = 0;
    int popped = 0;
    while (pushed < items) {
        // Mostly near the bottom, where owner and thieves meet; now and then deep enough to grow.
        const unsigned burst = random() % 64 == 0 ? 600 : random() % 4;
        for (unsigned i = 0; i < burst && pushed < items; ++i)
            ASSERT_TRUE(entries.push(all[static_cast<std::size_t>(pushed++)]));
        for (unsigned i = random() % 4; i > 0; --i)
            if (item* const mine = entries.pop()) {
                mine->taken.fetch_add(1, std::memory_order_relaxed);
                ++popped;
            }
    }
    while (item* const mine = entries.pop()) {
        mine->taken.fetch_add(1, std::memory_order_relaxed);
        ++popped;
    }
    over.store(true, std::memory_order_release);
    for (std::thread& t : threads) t.join();
    int wrong = 0;
    for (const item& i : all)
        if (i.taken.load() != 1) ++wrong;
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(disorder.load(), 0);
    EXPECT_EQ(stolen.load() + popped, items);
    EXPECT_TRUE(entries.empty());
}

// A thief that is told from where on gets nothing older, however the owner moves.
TEST_P(Deques, StealIfTakesNothingOlder) {
    std::vector<item> all(64);
    for (int i = 0; i < 64; ++i) all[static_cast<std::size_t>(i)].number = i;
    std::atomic<std::int64_t> base{0};
    std::atomic<bool> over{false};
    std::atomic<int> older{0};
    std::thread thief{[&] {
        while (!over.load(std::memory_order_acquire)) {
            const std::int64_t from = base.load(std::memory_order_acquire);
            item* const i = entries.steal_if(from, [&] { return base.load() == from; });
            if (i && i->number < from % 64) older.fetch_add(1);
        }
    }};
    const int rounds = sanitized ? 5'000 : 50'000;
    for (int r = 0; r < rounds; ++r) {
        // The position is the item's number, modulo the number of items.
        const std::int64_t at = entries.position();
        base.store(at - at % 64 + 16);
        for (std::int64_t i = at % 64; i < 64; ++i)
            ASSERT_TRUE(entries.push(all[static_cast<std::size_t>(i)]));
        while (entries.pop()) {}
        // What was popped gives its position back: go on to the next round of numbers.
        while (entries.position() % 64 != 0) {
            ASSERT_TRUE(entries.push(all[static_cast<std::size_t>(entries.position() % 64)]));
            (void)entries.steal();
        }
    }
    over.store(true, std::memory_order_release);
    thief.join();
    EXPECT_EQ(older.load(), 0);
}

TEST(Deque, OneThread) {
    deque<item> entries;
    std::vector<item> all(1000);
    EXPECT_EQ(entries.pop(), nullptr);
    EXPECT_EQ(entries.steal(), nullptr);
    for (item& i : all) ASSERT_TRUE(entries.push(i));
    EXPECT_EQ(entries.steal(), &all.front());
    EXPECT_EQ(entries.pop(), &all.back());
    EXPECT_EQ(entries.steal_if(2, [] { return true; }), nullptr); // position 1 is the oldest
    EXPECT_EQ(entries.steal_if(1, [] { return false; }), nullptr);
    EXPECT_EQ(entries.steal_if(1, [] { return true; }), &all[1]);
    int left = 0;
    while (entries.pop()) ++left;
    EXPECT_EQ(left, 997);
    EXPECT_TRUE(entries.empty());
}

} // namespace
} // namespace plait::detail
