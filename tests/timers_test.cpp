// SPDX-License-Identifier: Apache-2.0
#include "base/timers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <vector>

using plait::detail::time_point;
using plait::detail::timer;
using plait::detail::timers;

namespace {

struct numbered : timer {
    explicit numbered(int n) noexcept : timer{&fired}, number{n} {}
    static void fired(timer& t) noexcept { order.push_back(static_cast<numbered&>(t).number); }
    static inline std::vector<int> order;
    int number;
};

constexpr time_point zero{std::chrono::hours{1}};

TEST(Timers, FireInOrderOfDeadlineAndThenOfCreationWhateverIsRemovedMeanwhile) {
    std::mt19937 random{7};
    for (int round = 0; round < 50; ++round) {
        numbered::order.clear();
        timers all{zero};
        std::vector<std::unique_ptr<numbered>> kept;
        for (int i = 0; i < 400; ++i) {
            auto t = std::make_unique<numbered>(i);
            // Some near, some far, many equal.
            const std::uint64_t ns = random() % 3 == 0 ? random() % 1000 * 1000 : random() % 50 * 1'000'000;
            t->deadline_ = zero + std::chrono::nanoseconds{ns};
            all.add(*t);
            kept.push_back(std::move(t));
            if (random() % 3 == 0) {
                const std::size_t gone = random() % kept.size();
                all.remove(*kept[gone]);
                kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(gone));
            }
        }
        // Time goes on in steps, and what is left is removed between them.
        std::vector<const numbered*> expected;
        for (int ms = 0; ms <= 60; ms += 3) {
            const time_point now = zero + std::chrono::milliseconds{ms};
            std::vector<const numbered*> due;
            for (const auto& t : kept)
                if (t->armed() && t->deadline_ <= now) due.push_back(t.get());
            std::sort(due.begin(), due.end(), [](const numbered* one, const numbered* two) {
                return one->deadline_ != two->deadline_ ? one->deadline_ < two->deadline_
                                                        : one->number < two->number;
            });
            expected.insert(expected.end(), due.begin(), due.end());
            all.fire_due(now);
            const auto armed =
                std::find_if(kept.begin(), kept.end(), [](const auto& t) { return t->armed(); });
            if (armed != kept.end()) all.remove(**armed);
        }
        EXPECT_TRUE(all.empty());
        std::vector<int> numbers;
        for (const numbered* t : expected) numbers.push_back(t->number);
        ASSERT_EQ(numbered::order, numbers) << "round " << round;
    }
}

TEST(Timers, NextIsNeverLaterThanTheFirstDeadline) {
    timers all{zero};
    EXPECT_EQ(all.next(), time_point::max());
    numbered far{1};
    far.deadline_ = zero + std::chrono::hours{30};
    all.add(far);
    EXPECT_LE(all.next(), far.deadline_);
    numbered near{2};
    near.deadline_ = zero + std::chrono::nanoseconds{1};
    all.add(near);
    EXPECT_EQ(all.next(), near.deadline_);
    all.remove(near);
    all.remove(near); // harmless
    all.remove(far);
    EXPECT_EQ(all.size(), 0U);
}

} // namespace
