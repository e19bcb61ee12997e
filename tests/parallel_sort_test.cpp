// SPDX-License-Identifier: Apache-2.0
// sort: by radix and by comparison, against std::sort; what is left after a failure.
// limit: 120
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/parallel.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include "support/strands.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <latch>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

using plait::test::failure;

std::mt19937_64& random_bits() {
    static std::mt19937_64 random{20'240'607};
    return random;
}

template <class T>
T random_value() {
    const std::uint64_t bits = random_bits()();
    if constexpr (std::is_floating_point_v<T>) {
        T value{};
        std::memcpy(&value, &bits, std::min(sizeof(T), sizeof(bits)));
        if (std::isnan(value) || sizeof(T) > 8) return static_cast<T>(static_cast<std::int64_t>(bits));
        return value;
    } else {
        return static_cast<T>(bits);
    }
}

template <class T>
std::vector<T> random_values(std::size_t n) {
    std::vector<T> v(n);
    for (auto&& x : v) x = random_value<T>();
    return v;
}

const std::size_t sizes[] = {0, 1, 2, 3, 24, 25, 100, 4095, 16'383, 16'384, 70'001, 200'000};

template <class T>
struct ParallelSort : ::testing::Test {};
using arithmetic = ::testing::Types<char, signed char, unsigned char, short, unsigned short, int, unsigned,
                                    long, unsigned long, long long, unsigned long long, wchar_t, char16_t,
                                    float, double, long double>;
TYPED_TEST_SUITE(ParallelSort, arithmetic);

TYPED_TEST(ParallelSort, OrdersEveryArithmeticType) {
    plait::thread_pool pool{{.workers = 2}};
    for (const std::size_t n : sizes) {
        const auto input = random_values<TypeParam>(n);
        auto expected = input;
        std::sort(expected.begin(), expected.end());
        auto v = input;
        plait::sort(pool, v);
        ASSERT_EQ(v, expected) << n;
        plait::sort(pool, v); // once more: sorted already
        ASSERT_EQ(v, expected);
        std::reverse(expected.begin(), expected.end());
        plait::sort(pool, v, std::greater<>{});
        ASSERT_EQ(v, expected) << n << ", descending";
        v = input;
        plait::sort(pool, v, std::ranges::greater{});
        ASSERT_EQ(v, expected);
        v = input;
        plait::sort(pool, v, [](TypeParam a, TypeParam b) { return a > b; });
        ASSERT_EQ(v, expected) << n << ", by comparison";
    }
}

TEST(ParallelSortTest, FloatsHaveTheirTotalOrder) {
    plait::thread_pool pool{{.workers = 2}};
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> v;
    for (int i = 0; i < 20'000; ++i)
        for (const float x :
             {0.0F, -0.0F, 1.5F, -1.5F, infinity, -infinity, std::numeric_limits<float>::denorm_min(),
              -std::numeric_limits<float>::denorm_min()})
            v.push_back(x);
    plait::sort(pool, v);
    EXPECT_TRUE(std::is_sorted(v.begin(), v.end()));
    const auto zero = std::find(v.begin(), v.end(), 0.0F);
    EXPECT_TRUE(std::all_of(zero, zero + 20'000, [](float x) { return std::signbit(x); })) << "-0.0 first";
    EXPECT_TRUE(std::none_of(zero + 20'000, zero + 40'000, [](float x) { return std::signbit(x); }));
}

/// Inputs that sorts find hard.
std::vector<std::vector<int>> shapes(std::size_t n) {
    const auto all = static_cast<int>(n);
    std::vector<std::vector<int>> result;
    const auto add = [&](auto value) {
        std::vector<int>& v = result.emplace_back(n);
        for (int i = 0; i < all; ++i) v[static_cast<std::size_t>(i)] = value(i);
    };
    add([](int i) { return i; });
    add([](int i) { return -i; });
    add([](int) { return 7; });
    add([](int i) { return i % 2; });
    add([](int) { return static_cast<int>(random_bits()() % 4); });
    add([](int) { return static_cast<int>(random_bits()() % 1000); });
    add([all](int i) { return i < all / 2 ? i : all - i; });     // up and down
    add([all](int i) { return i < all / 2 ? -i : i - all; });    // down and up
    add([](int i) { return i % 100 == 0 ? 1'000'000 - i : i; }); // nearly sorted
    add([all](int i) { return i == all - 1 ? -1 : i; });
    add([](int i) { return static_cast<int>((static_cast<unsigned>(i) * 2'654'435'761U) >> 3); });
    return result;
}

TEST(ParallelSortTest, HardInputsAreSortedOnEveryExecutor) {
    const auto sorts = [](auto& ex) {
        for (const std::size_t n : {50U, 5000U, 60'000U})
            for (const std::vector<int>& input : shapes(n)) {
                std::vector<int> expected = input;
                std::sort(expected.begin(), expected.end());
                std::vector<int> v = input;
                plait::sort(ex, v);
                ASSERT_EQ(v, expected);
                v = input;
                plait::sort(ex, v, [](const int& a, const int& b) { return a < b; });
                ASSERT_EQ(v, expected);
            }
    };
    for (const int workers : {1, 2, 3, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        sorts(pool);
    }
    plait::serial serial;
    sorts(serial);
    plait::event_loop loop;
    sorts(loop);
    plait::loop_pool loops{{.workers = 2}};
    sorts(loops);
}

TEST(ParallelSortTest, RandomSizesAndRangesAgreeWithStdSort) {
    plait::thread_pool pool{{.workers = 4}};
    for (int round = 0; round < 200; ++round) {
        const std::size_t n = random_bits()() % (round % 10 == 0 ? 100'000 : 20'000);
        auto v = random_values<int>(n);
        const auto few = 1 + random_bits()() % 5000;
        if (round % 3 == 0)
            for (int& x : v) x = static_cast<int>(static_cast<unsigned>(x) % few);
        std::deque<int> d(v.begin(), v.end());
        auto by = v;
        std::vector<int> expected = v;
        std::sort(expected.begin(), expected.end());
        plait::sort(pool, v);
        ASSERT_EQ(v, expected);
        plait::sort(pool, by, [](int a, int b) { return a < b; });
        ASSERT_EQ(by, expected);
        plait::sort(pool, d);
        ASSERT_TRUE(std::equal(d.begin(), d.end(), expected.begin(), expected.end())) << "a deque";
    }
}

struct person {
    std::string name;
    std::unique_ptr<int> age; // moves only
};

TEST(ParallelSortTest, ObjectsAreSortedByComparisonAndProjection) {
    plait::thread_pool pool{{.workers = 4}};
    std::vector<std::string> words;
    for (int i = 0; i < 60'000; ++i) words.push_back(std::to_string(random_bits()() % 50'000));
    auto expected = words;
    std::sort(expected.begin(), expected.end());
    plait::sort(pool, words);
    EXPECT_EQ(words, expected);

    std::vector<person> people;
    for (int i = 0; i < 40'000; ++i)
        people.push_back(
            {std::to_string(random_bits()()), std::make_unique<int>(static_cast<int>(random_bits()()))});
    plait::sort(pool, people, std::less<>{}, &person::name);
    EXPECT_TRUE(std::is_sorted(people.begin(), people.end(),
                               [](const person& a, const person& b) { return a.name < b.name; }));
    plait::sort(pool, people, std::greater<>{}, [](const person& p) { return *p.age; });
    EXPECT_TRUE(std::is_sorted(people.begin(), people.end(),
                               [](const person& a, const person& b) { return *a.age > *b.age; }));
    plait::sort(pool, people, [](const person& a, const person& b) { return *a.age < *b.age; });
    EXPECT_TRUE(std::is_sorted(people.begin(), people.end(),
                               [](const person& a, const person& b) { return *a.age < *b.age; }));
    std::vector<int> numbers = random_values<int>(50'000);
    plait::sort(pool, numbers, {}, [](int x) { return -x; });
    EXPECT_TRUE(std::is_sorted(numbers.rbegin(), numbers.rend()));
}

/// Throws at the n-th comparison.
template <class T>
auto throwing(std::atomic<long>& left) {
    return [&left](const T& a, const T& b) {
        if (left.fetch_sub(1, std::memory_order_relaxed) == 1) throw failure{1};
        return a < b;
    };
}

template <class T, class Make>
void keeps_all_items(std::size_t n, Make make) {
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        long bound = 1;
        for (bool done = false; !done; bound = bound * 3 + 1) {
            std::vector<T> v;
            for (std::size_t i = 0; i < n; ++i) v.push_back(make(random_bits()() % n));
            auto expected = v;
            std::sort(expected.begin(), expected.end());
            std::atomic<long> left{bound};
            try {
                plait::sort(pool, v, throwing<T>(left));
                done = true;
            } catch (const failure&) {
                std::sort(v.begin(), v.end());
            }
            ASSERT_EQ(v, expected) << "after " << bound << " comparisons, " << workers << " workers";
        }
    }
}

TEST(ParallelSortTest, AfterAFailureEveryItemIsStillThere) {
    keeps_all_items<int>(30'000, [](std::uint64_t x) { return static_cast<int>(x); });
    keeps_all_items<std::string>(
        10'000, [](std::uint64_t x) { return "a string that is not kept inside " + std::to_string(x); });
    keeps_all_items<std::string>(40'000, [](std::uint64_t x) { return std::to_string(x); });
}

TEST(ParallelSortTest, AfterACancellationEveryItemIsStillThere) {
    plait::thread_pool callers{{.workers = 1}};
    plait::thread_pool pool{{.workers = 2}};
    for (int round = 0; round < 30; ++round) {
        std::vector<unsigned> numbers = random_values<unsigned>(400'000);
        std::vector<std::string> words;
        for (int i = 0; i < 20'000; ++i) words.push_back(std::to_string(random_bits()()));
        auto expected = numbers;
        std::sort(expected.begin(), expected.end());
        auto expected_words = words;
        std::sort(expected_words.begin(), expected_words.end());
        std::atomic<long> comparisons{0};
        std::latch begun{1};
        auto caller = callers.submit([&] {
            begun.count_down();
            if (round % 2 == 0)
                plait::sort(pool, numbers);
            else
                plait::sort(pool, words, [&](const std::string& a, const std::string& b) {
                    ++comparisons;
                    return a < b;
                });
        });
        begun.wait();
        if (round % 2 != 0)
            for (long seen = comparisons; seen < round * 5000L && !caller.done(); seen = comparisons)
                std::this_thread::yield();
        caller.cancel();
        plait::test::throws_cancelled(caller); // or done before that
        std::sort(numbers.begin(), numbers.end());
        std::sort(words.begin(), words.end());
        EXPECT_EQ(numbers, expected);
        EXPECT_EQ(words, expected_words);
    }
}

/// Its moves may throw, so it is sorted in place.
struct heavy {
    explicit heavy(int v) : value{v} {}
    heavy(const heavy& other) : value{other.value} {}
    heavy& operator=(const heavy& other) {
        value = other.value;
        return *this;
    }
    bool operator<(const heavy& other) const { return value < other.value; }
    int value;
};

TEST(ParallelSortTest, WithoutABufferItIsSortedInPlace) {
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        for (const std::size_t n : {10U, 10'000U, 100'000U}) {
            std::vector<heavy> v;
            for (std::size_t i = 0; i < n; ++i) v.emplace_back(static_cast<int>(random_bits()() % (n / 2)));
            plait::sort(pool, v);
            EXPECT_TRUE(std::is_sorted(v.begin(), v.end()));
        }
    }
}

TEST(ParallelSortTest, InconsistentComparisonsStayInTheRange) {
    plait::thread_pool pool{{.workers = 2}};
    auto v = random_values<int>(50'000);
    const auto sum = std::accumulate(v.begin(), v.end(), std::int64_t{0});
    std::atomic<unsigned> turn{0};
    plait::sort(pool, v, [&](int, int) { return ++turn % 3 == 0; });
    plait::sort(pool, v, [&](int, int) { return true; });
    EXPECT_EQ(std::accumulate(v.begin(), v.end(), std::int64_t{0}), sum);
}

} // namespace
