// SPDX-License-Identifier: Apache-2.0
// The litmus tests of memory models: exactly the outcomes that docs/testing.md promises. Each is allowed by C++20; where
// C++20 allows one more, the test says so.
#include <plait/testing_explore.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <set>
#include <string>

using namespace plait::testing;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

namespace {

using outcomes = std::set<std::string>;

// Every value that `run` returns under any schedule.
template <class Run>
outcomes all(const char* name, Run run) {
    outcomes seen;
    const exploration r = explore({.name = name}, [&] {
        std::string text;
        for (const int value : run()) text += static_cast<char>('0' + value);
        seen.insert(text);
    });
    std::printf("litmus: %s\n", r.summary().c_str());
    EXPECT_TRUE(r) << r.story();
    EXPECT_TRUE(r.complete());
    // The same by brute force, without leaving out orders of steps that commute.
    outcomes again;
    const exploration bounded = explore({.name = name, .preemptions = 100}, [&] {
        std::string text;
        for (const int value : run()) text += static_cast<char>('0' + value);
        again.insert(text);
    });
    EXPECT_TRUE(bounded.complete());
    EXPECT_GE(bounded.schedules(), r.schedules());
    EXPECT_EQ(seen, again);
    return seen;
}

// x = 1, a = y || y = 1, b = x
outcomes store_buffering(const char* name, std::memory_order store, std::memory_order load,
                         bool fences = false) {
    return all(name, [=] {
        atomic<int> x{0};
        atomic<int> y{0};
        std::array<int, 2> seen{};
        thread one{[&] {
            x.store(1, store);
            if (fences) plait::testing::atomic_thread_fence(memory_order_seq_cst);
            seen[0] = y.load(load);
        }};
        y.store(1, store);
        if (fences) plait::testing::atomic_thread_fence(memory_order_seq_cst);
        seen[1] = x.load(load);
        one.join();
        return seen;
    });
}

TEST(Litmus, StoreBuffering) {
    const outcomes weak{"00", "01", "10", "11"};
    const outcomes strong{"01", "10", "11"};
    EXPECT_EQ(store_buffering("SB relaxed", memory_order_relaxed, memory_order_relaxed), weak);
    EXPECT_EQ(store_buffering("SB release, acquire", memory_order_release, memory_order_acquire), weak);
    EXPECT_EQ(store_buffering("SB seq_cst", memory_order_seq_cst, memory_order_seq_cst), strong);
    EXPECT_EQ(store_buffering("SB relaxed, fences", memory_order_relaxed, memory_order_relaxed, true),
              strong);
    EXPECT_EQ(store_buffering("SB seq_cst stores, relaxed loads", memory_order_seq_cst, memory_order_relaxed),
              weak);
}

// x = 1, y = 1 || a = y, b = x
outcomes message_passing(const char* name, std::memory_order store, std::memory_order load,
                         bool fences = false) {
    return all(name, [=] {
        atomic<int> x{0};
        atomic<int> y{0};
        std::array<int, 2> seen{};
        thread writer{[&] {
            x.store(1, memory_order_relaxed);
            if (fences) plait::testing::atomic_thread_fence(memory_order_release);
            y.store(1, store);
        }};
        seen[0] = y.load(load);
        if (fences) plait::testing::atomic_thread_fence(memory_order_acquire);
        seen[1] = x.load(memory_order_relaxed);
        writer.join();
        return seen;
    });
}

TEST(Litmus, MessagePassing) {
    const outcomes weak{"00", "01", "10", "11"};
    const outcomes strong{"00", "01", "11"};
    EXPECT_EQ(message_passing("MP relaxed", memory_order_relaxed, memory_order_relaxed), weak);
    EXPECT_EQ(message_passing("MP release only", memory_order_release, memory_order_relaxed), weak);
    EXPECT_EQ(message_passing("MP acquire only", memory_order_relaxed, memory_order_acquire), weak);
    EXPECT_EQ(message_passing("MP release, acquire", memory_order_release, memory_order_acquire), strong);
    EXPECT_EQ(message_passing("MP fences", memory_order_relaxed, memory_order_relaxed, true), strong);
}

TEST(Litmus, AReleaseSequenceHandsOnWhatItsHeadPublished) {
    // x = 1, y = 1 (release) || y += 1 (relaxed) || a = y (acquire), b = x
    const outcomes seen = all("release sequence", [] {
        atomic<int> x{0};
        atomic<int> y{0};
        std::array<int, 2> found{};
        thread writer{[&] {
            x.store(1, memory_order_relaxed);
            y.store(1, memory_order_release);
        }};
        thread adder{[&] { y.fetch_add(1, memory_order_relaxed); }};
        found[0] = y.load(memory_order_acquire);
        found[1] = x.load(memory_order_relaxed);
        writer.join();
        adder.join();
        return found;
    });
    EXPECT_EQ(seen.count("20"), 0U) << "the addition continues the sequence that the store heads";
    EXPECT_EQ(seen.count("21"), 1U);
    EXPECT_EQ(seen.count("10"), 1U) << "before the store, the addition alone publishes nothing";
}

TEST(Litmus, LoadBufferingIsStrongerThanCpp) {
    // a = x, y = 1 || b = y, x = 1. C++20 allows 11 for relaxed; a load here finds only what has been stored.
    const outcomes seen = all("LB relaxed", [] {
        atomic<int> x{0};
        atomic<int> y{0};
        std::array<int, 2> found{};
        thread one{[&] {
            found[0] = x.load(memory_order_relaxed);
            y.store(1, memory_order_relaxed);
        }};
        found[1] = y.load(memory_order_relaxed);
        x.store(1, memory_order_relaxed);
        one.join();
        return found;
    });
    EXPECT_EQ(seen, (outcomes{"00", "01", "10"}));
}

// x = 1 || y = 1 || a = x, b = y || c = y, d = x
outcomes independent_reads(const char* name, std::memory_order store, std::memory_order load) {
    return all(name, [=] {
        atomic<int> x{0};
        atomic<int> y{0};
        std::array<int, 4> seen{};
        thread one{[&] { x.store(1, store); }};
        thread two{[&] { y.store(1, store); }};
        thread reader{[&] {
            seen[0] = x.load(load);
            seen[1] = y.load(load);
        }};
        seen[2] = y.load(load);
        seen[3] = x.load(load);
        one.join();
        two.join();
        reader.join();
        return seen;
    });
}

TEST(Litmus, IndependentReadsOfIndependentWrites) {
    EXPECT_EQ(independent_reads("IRIW relaxed", memory_order_relaxed, memory_order_relaxed).size(), 16U);
    const outcomes acquired =
        independent_reads("IRIW release, acquire", memory_order_release, memory_order_acquire);
    EXPECT_EQ(acquired.size(), 16U) << "two readers may disagree about the order";
    const outcomes ordered = independent_reads("IRIW seq_cst", memory_order_seq_cst, memory_order_seq_cst);
    EXPECT_EQ(ordered.size(), 15U);
    EXPECT_EQ(ordered.count("1010"), 0U);
    const outcomes loads =
        independent_reads("IRIW release, seq_cst loads", memory_order_release, memory_order_seq_cst);
    EXPECT_EQ(loads.count("1010"), 0U) << "both loads of each reader are in one order with the other's";
}

TEST(Litmus, CoherenceOfReads) {
    // x = 1 || a = x, b = x: never backwards.
    const outcomes seen = all("CoRR", [] {
        atomic<int> x{0};
        std::array<int, 2> found{};
        thread writer{[&] { x.store(1, memory_order_relaxed); }};
        found[0] = x.load(memory_order_relaxed);
        found[1] = x.load(memory_order_relaxed);
        writer.join();
        return found;
    });
    EXPECT_EQ(seen, (outcomes{"00", "01", "11"}));

    // x = 1 || x = 2 || a = x, b = x || c = x, d = x: both readers see one order.
    const outcomes two = all("CoRR, two writers and readers", [] {
        atomic<int> x{0};
        std::array<int, 4> found{};
        thread one{[&] { x.store(1, memory_order_relaxed); }};
        thread other{[&] { x.store(2, memory_order_relaxed); }};
        thread reader{[&] {
            found[0] = x.load(memory_order_relaxed);
            found[1] = x.load(memory_order_relaxed);
        }};
        found[2] = x.load(memory_order_relaxed);
        found[3] = x.load(memory_order_relaxed);
        one.join();
        other.join();
        reader.join();
        return found;
    });
    EXPECT_EQ(two.count("1221"), 0U);
    EXPECT_EQ(two.count("2112"), 0U);
    EXPECT_EQ(two.count("1212"), 1U);
    EXPECT_EQ(two.count("2121"), 1U);
}

TEST(Litmus, TwoPlusTwoWritesIsStrongerThanCpp) {
    // x = 1, y = 2 || y = 1, x = 2. C++20 allows 11 for relaxed; here a later store is later in every order.
    const outcomes seen = all("2+2W relaxed", [] {
        atomic<int> x{0};
        atomic<int> y{0};
        thread one{[&] {
            x.store(1, memory_order_relaxed);
            y.store(2, memory_order_relaxed);
        }};
        y.store(1, memory_order_relaxed);
        x.store(2, memory_order_relaxed);
        one.join();
        return std::array<int, 2>{x.load(memory_order_relaxed), y.load(memory_order_relaxed)};
    });
    EXPECT_EQ(seen, (outcomes{"12", "21", "22"}));
}

TEST(Litmus, ReadModifyWritesAreAtomic) {
    const outcomes seen = all("two additions", [] {
        atomic<int> x{0};
        thread one{[&] { x.fetch_add(1, memory_order_relaxed); }};
        x.fetch_add(1, memory_order_relaxed);
        one.join();
        return std::array<int, 1>{x.load(memory_order_relaxed)};
    });
    EXPECT_EQ(seen, (outcomes{"2"}));
}

TEST(Litmus, AFailedCompareExchangeMayHaveFoundAnOldValue) {
    // x = 1 || expects 1: it may miss it although it is there.
    const outcomes seen = all("failed compare_exchange", [] {
        atomic<int> x{0};
        atomic<int> stored{0};
        std::array<int, 2> found{};
        thread writer{[&] {
            x.store(1, memory_order_relaxed);
            stored.store(1, memory_order_relaxed);
        }};
        found[0] = stored.load(memory_order_relaxed);
        int expected = 1;
        found[1] = x.compare_exchange_strong(expected, 2, memory_order_relaxed) ? 1 : 0;
        writer.join();
        return found;
    });
    EXPECT_EQ(seen, (outcomes{"00", "01", "10", "11"}));
}

} // namespace
