// SPDX-License-Identifier: Apache-2.0
// M1 to M10: map, map_unordered, map_outcomes.
// limit: 120
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/map.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace conformance;
using plait::map_options;

template <class E>
struct Map : ::testing::Test {};
TYPED_TEST_SUITE(Map, executors, names);

int doubled(int v) { return 2 * v; }
int add(int a, int b) { return a + b; }
std::unique_ptr<int> boxed(int v) { return std::make_unique<int>(v); }
int fails_at_multiples_of_3(int v) {
    if (v % 3 == 0) throw std::runtime_error{std::to_string(v)};
    return v;
}
int times_out(int v) {
    if (v == 1) throw plait::timeout_error{"from fn"};
    return v;
}
int mark_and_hold(const token& t, int v) {
    hold(t, v);
    note(t, 'x');
    return v;
}

template <class Range>
std::vector<int> all_of(Range&& range) {
    std::vector<int> out;
    for (int v : range) out.push_back(v);
    return out;
}
std::vector<int> serial_loop(int n) {
    std::vector<int> out;
    for (int i = 0; i < n; ++i) out.push_back(2 * i);
    return out;
}

TYPED_TEST(Map, M1_EqualsTheSerialLoop) {
    auto ex = make<TypeParam>();
    for (const int n : {0, 1, 16, 17, 10'000})
        for (const std::size_t chunk : {0u, 1u, 7u, 1000u}) {
            ASSERT_EQ(
                all_of(ex.map(doubled, std::views::iota(0, n), map_options{.window = 16, .chunk = chunk})),
                serial_loop(n));
            std::vector<int> items;
            for (int i = 0; i < n; ++i) items.push_back(i);
            ASSERT_EQ(all_of(ex.map(doubled, items, map_options{.chunk = chunk})), serial_loop(n))
                << "lvalue";
            auto unordered = all_of(ex.map_unordered(doubled, std::move(items), map_options{.chunk = chunk}));
            std::sort(unordered.begin(), unordered.end());
            ASSERT_EQ(unordered, serial_loop(n)) << "unordered";
        }
}

TYPED_TEST(Map, M1_SinglePassInfiniteAndSeveralRanges) {
    auto ex = make<TypeParam>();
    std::istringstream in{"1 2 3 4 5"};
    EXPECT_EQ(all_of(ex.map(doubled, std::views::istream<int>(in))), (std::vector<int>{2, 4, 6, 8, 10}));
    int expected = 0;
    for (int v : ex.map(doubled, std::views::iota(0))) {
        ASSERT_EQ(v, 2 * expected);
        if (++expected == 5000) break;
    }
    EXPECT_EQ(all_of(ex.map(add, std::vector<int>{1, 2, 3}, std::views::iota(10))),
              (std::vector<int>{11, 13, 15}));
}

TYPED_TEST(Map, M1_WhatIsNotReadIsPassedOver) {
    auto ex = make<TypeParam>();
    auto range = ex.map(doubled, std::views::iota(0, 100));
    int places = 0;
    for (auto at = range.begin(); at != range.end(); ++at, ++places)
        if (places % 10 == 0) {
            EXPECT_EQ(*at, 2 * places);
        }
    EXPECT_EQ(places, 100);
}

TYPED_TEST(Map, M2_AnItemsExceptionComesInItsPlace) {
    auto ex = make<TypeParam>();
    for (const std::size_t chunk : {0u, 1u, 7u}) {
        auto range = ex.map(fails_at_multiples_of_3, std::views::iota(0, 100), map_options{.chunk = chunk});
        int i = 0;
        for (auto at = range.begin(); at != range.end(); ++at, ++i) {
            if (i % 3 != 0) {
                ASSERT_EQ(*at, i);
                continue;
            }
            try {
                (void)*at;
                FAIL() << "item " << i << " did not throw";
            } catch (const std::runtime_error& e) {
                ASSERT_EQ(e.what(), std::to_string(i));
            }
        }
        EXPECT_EQ(i, 100);
        EXPECT_EQ(range.begin(), range.end()) << "the end stays the end";
    }
}

TYPED_TEST(Map, M3_NeverMoreThanTheWindowIsPulledAhead) {
    auto ex = make<TypeParam>();
    for (const std::size_t window : {1u, 2u, 5u, 64u}) {
        int pulled = 0;
        auto input = std::views::iota(0, 1000) | std::views::transform([&pulled](int v) {
                         ++pulled;
                         return v;
                     });
        int consumed = 0;
        for (int v : ex.map(doubled, input, map_options{.window = window})) {
            ASSERT_EQ(v, 2 * consumed);
            ASSERT_LE(pulled, consumed + static_cast<int>(window));
            ++consumed;
        }
        EXPECT_EQ(consumed, 1000);
        EXPECT_EQ(pulled, 1000);
    }
    EXPECT_THROW((void)ex.map(doubled, std::vector<int>{1}, map_options{.window = 0}), std::invalid_argument);
}

TYPED_TEST(Map, M4_TheInputIsPulledOnTheConsumersThread) {
    auto ex = make<TypeParam>();
    const auto here = std::this_thread::get_id();
    int elsewhere = 0;
    auto input = std::views::iota(0, 1000) | std::views::transform([&](int v) {
                     elsewhere += std::this_thread::get_id() != here;
                     return v;
                 });
    EXPECT_EQ(all_of(ex.map(doubled, input, map_options{.window = 8})).size(), 1000u);
    EXPECT_EQ(elsewhere, 0);
}

TYPED_TEST(Map, M5_InputThatThrowsEndsTheRangeAfterTheItemsBefore) {
    auto ex = make<TypeParam>();
    for (int round = 0; round < 2; ++round) {
        auto input = std::views::iota(0, 100) | std::views::transform([](int v) {
                         if (v == 40) throw std::runtime_error{"input"};
                         return v;
                     });
        std::vector<int> seen;
        try {
            for (int v : ex.map(doubled, input)) seen.push_back(v);
            FAIL() << "nothing was thrown";
        } catch (const std::runtime_error& e) {
            EXPECT_STREQ(e.what(), "input");
        }
        EXPECT_EQ(seen, serial_loop(40));
    }
    EXPECT_EQ(ex.submit(doubled, 4).get(), 8);
}

TYPED_TEST(Map, M6_DestroyingTheRangeWaitsForWhatRuns) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        for (int round = 0; round < 200; ++round) {
            std::atomic<int> running{0};
            std::atomic<int> ran{0};
            for (int v : ex.map(
                     [&](int i) {
                         ++running;
                         std::this_thread::yield();
                         ++ran;
                         --running;
                         return i;
                     },
                     std::views::iota(0), map_options{.window = 32, .chunk = 1}))
                if (v == 3) break;
            ASSERT_EQ(running, 0);
            ASSERT_LE(ran, 36);
        }
    }
}

TYPED_TEST(Map, M6_DestroyingTheRangeCancelsWhatHasNotStarted) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        auto ex = make<TypeParam>({.workers = 1});
        // The gate is opened from outside while the destructor is at work, or a little before: then the
        // worker may be through with everything, and the round shows nothing. If nothing is ever cancelled,
        // all rounds do so.
        std::size_t ran = 32;
        for (int round = 0; round < 20 && ran == 32; ++round) {
            probe p;
            std::thread release;
            {
                const std::vector<token> gates(50, p.at());
                auto range =
                    ex.map(mark_and_hold, gates, std::views::iota(0), map_options{.window = 32, .chunk = 1});
                auto at = range.begin();
                EXPECT_NE(at, range.end());
                p.wait_begun(1);
                release = std::thread{[&p] {
                    for (int i = 0; i < 100; ++i) std::this_thread::yield();
                    p.open();
                }};
            }
            release.join();
            ran = p.log().size();
            EXPECT_GE(ran, 1u);
        }
        EXPECT_LT(ran, 32u);
    }
}

TYPED_TEST(Map, M7_TheTimeoutEndsTheRange) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto before = ex.submit(hold, p.at(), 1); // holds the only worker until the time-out has come
        p.wait_begun(1);
        const std::vector<token> places(10, p.at());
        const std::string marks(10, 'x');
        auto range = ex.map(mark, places, marks, map_options{.timeout = std::chrono::microseconds{1}});
        auto at = range.begin();
        EXPECT_THROW((void)*at, plait::timeout_error);
        ++at;
        EXPECT_EQ(at, range.end());
        p.open();
        EXPECT_EQ(before.get(), 1);
        EXPECT_EQ(ex.submit(mark, p.at(), 'y').get(), 'y');
        EXPECT_EQ(p.log(), "y") << "what had not begun was to be cancelled";
    }
}

TYPED_TEST(Map, M7_ATimeoutErrorOfTheFunctionIsItsItemsFailure) {
    auto ex = make<TypeParam>();
    auto range = ex.map(times_out, std::vector<int>{0, 1, 2});
    auto at = range.begin();
    EXPECT_EQ(*at, 0);
    ++at;
    EXPECT_THROW((void)*at, plait::timeout_error);
    ++at;
    EXPECT_EQ(*at, 2);
    ++at;
    EXPECT_EQ(at, range.end());
}

TYPED_TEST(Map, M8_ResultsAreMovedOutAndHeldNowhere) {
    auto ex = make<TypeParam>();
    int i = 0;
    for (std::unique_ptr<int> v : ex.map(boxed, std::views::iota(0, 500))) ASSERT_EQ(*v, i++);
    EXPECT_EQ(i, 500);
    if constexpr (in_process<TypeParam>) { // else: own_memory
        auto live = std::make_shared<int>(0);
        for (auto&& v :
             ex.map([live](int) { return live; }, std::views::iota(0, 1000), map_options{.window = 10})) {
            ASSERT_LE(live.use_count(), 1 + 1 + 10 + 2)
                << "ours, fn's, at most a window of results, one in the making";
            const auto mine = std::move(v);
        }
        EXPECT_EQ(live.use_count(), 1);
    }
}

TYPED_TEST(Map, M9_OutcomesNeverThrowAndKeepEveryPlace) {
    auto ex = make<TypeParam>();
    int i = 0;
    for (plait::outcome<int> o : ex.map_outcomes(fails_at_multiples_of_3, std::views::iota(0, 100))) {
        ASSERT_EQ(o.has_value(), i % 3 != 0);
        if (o) {
            ASSERT_EQ(*o, i);
        }
        ++i;
    }
    EXPECT_EQ(i, 100);
}

TYPED_TEST(Map, M10_ShutdownUnderAnUnreadMap) {
    auto ex = make<TypeParam>();
    auto range = ex.map(doubled, std::views::iota(0), map_options{.window = 8, .chunk = 1});
    auto at = range.begin();
    ex.shutdown();
    for (int i = 0; i < 8; ++i, ++at) ASSERT_EQ(*at, 2 * i);
    for (int i = 0; i < 3; ++i, ++at) EXPECT_THROW((void)*at, plait::shutdown_error);
}

} // namespace
