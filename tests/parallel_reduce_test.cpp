// SPDX-License-Identifier: Apache-2.0
// reduce, transform_reduce, inclusive_scan.
// limit: 120
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/parallel.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include "support/strands.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <ranges>
#include <string>
#include <vector>

namespace {

using plait::index_space;
using plait::parallel_options;
using plait::schedule;

const std::size_t sizes[] = {0, 1, 2, 7, 8, 9, 4095, 4096, 4097, 100'003};
const parallel_options all_options[] = {{},
                                        {.grain = 13},
                                        {.schedule = schedule::fixed},
                                        {.deterministic = true},
                                        {.grain = 5000, .deterministic = true}};

template <class E>
void adds_up(E& ex) {
    for (const std::size_t n : sizes)
        for (const parallel_options& options : all_options) {
            std::vector<std::uint64_t> v(n);
            std::iota(v.begin(), v.end(), 1U);
            const std::uint64_t sum = n * (n + 1) / 2;
            ASSERT_EQ(plait::reduce(ex, v, options), sum) << n;
            ASSERT_EQ(plait::reduce(ex, v, std::uint64_t{5}, options), sum + 5);
            const auto larger = [](std::uint64_t a, std::uint64_t b) { return a < b ? b : a; };
            ASSERT_EQ(plait::reduce(ex, v, std::uint64_t{0}, larger, options), n);
            ASSERT_EQ(plait::transform_reduce(
                          ex, v, 0.0, std::plus<>{},
                          [](std::uint64_t x) { return 2.0 * static_cast<double>(x); }, options),
                      2.0 * static_cast<double>(sum));
            ASSERT_EQ(plait::transform_reduce(
                          ex, index_space{n}, std::size_t{0}, std::plus<>{}, [](std::size_t i) { return i; },
                          options),
                      n == 0 ? 0 : n * (n - 1) / 2);
        }
}

TEST(ParallelReduce, AddsUpOnEveryExecutor) {
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        adds_up(pool);
    }
    plait::serial serial;
    adds_up(serial);
    plait::event_loop loop;
    adds_up(loop);
    plait::loop_pool loops{{.workers = 2}};
    adds_up(loops);
}

template <class E>
void reduces_spaces_whole(E& ex) {
    const auto two = [](std::size_t i, std::size_t j) { return 100 * i + j; };
    const auto three = [](std::size_t i, std::size_t j, std::size_t k) { return 10'000 * i + 100 * j + k; };
    std::size_t expected = 0;
    std::size_t deep = 0;
    for (std::size_t i = 0; i < 37; ++i)
        for (std::size_t j = 0; j < 53; ++j) {
            expected += two(i, j);
            for (std::size_t k = 0; k < 11; ++k) deep += three(i, j, k);
        }
    for (const parallel_options& options : all_options) {
        EXPECT_EQ(
            plait::transform_reduce(ex, index_space{37, 53}, std::size_t{0}, std::plus<>{}, two, options),
            expected);
        EXPECT_EQ(plait::transform_reduce(ex, index_space{37, 53, 11}, std::size_t{0}, std::plus<>{}, three,
                                          options),
                  deep);
    }
}

TEST(ParallelReduce, SpacesOfMoreDimensionsAreReducedWholeOnEveryExecutor) {
    plait::thread_pool pool{{.workers = 2}};
    reduces_spaces_whole(pool);
    plait::serial serial;
    reduces_spaces_whole(serial);
    plait::event_loop loop;
    reduces_spaces_whole(loop);
    plait::loop_pool loops{{.workers = 2}};
    reduces_spaces_whole(loops);
}

TEST(ParallelReduce, ADeterministicSumHasTheSameBitsOnAnyNumberOfWorkers) {
    std::mt19937_64 random{1};
    std::vector<double> v(300'007);
    for (double& x : v) x = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 60) - 80);
    plait::serial serial;
    const auto bits_on = [&](auto& ex, parallel_options options) {
        options.deterministic = true;
        return std::bit_cast<std::uint64_t>(plait::reduce(ex, v, 0.25, options));
    };
    const std::uint64_t expected = bits_on(serial, {});
    EXPECT_EQ(plait::reduce(serial, v, {.deterministic = true}),
              plait::reduce(serial, v, 0.0, {.deterministic = true}));
    for (int workers = 1; workers <= 8; ++workers) {
        plait::thread_pool pool{{.workers = workers}};
        for (int round = 0; round < 5; ++round) {
            EXPECT_EQ(bits_on(pool, {}), expected) << workers << " workers";
            EXPECT_EQ(bits_on(pool, {.grain = 1}), expected);
            EXPECT_EQ(bits_on(pool, {.schedule = schedule::fixed}), expected);
        }
    }
}

TEST(ParallelReduce, ADeterministicReductionKeepsTheOrder) {
    plait::thread_pool pool{{.workers = 3}};
    std::string expected;
    std::vector<std::string> words;
    for (int i = 0; i < 20'000; ++i) expected += words.emplace_back(std::to_string(i) + ' ');
    EXPECT_EQ(plait::reduce(pool, words, std::string{">"}, std::plus<>{}, {.deterministic = true}),
              ">" + expected);
}

struct only_moves {
    explicit only_moves(int v) : value{std::make_unique<int>(v)} {}
    std::unique_ptr<int> value;
};

TEST(ParallelReduce, SumsMayBeOfATypeThatOnlyMoves) {
    plait::thread_pool pool{{.workers = 2}};
    const auto add = [](only_moves a, only_moves b) { return only_moves{*a.value + *b.value}; };
    for (const bool deterministic : {false, true}) {
        const only_moves sum =
            plait::transform_reduce(pool, std::views::iota(0, 10'000), only_moves{0}, add,
                                    [](int i) { return only_moves{i}; }, {.deterministic = deterministic});
        EXPECT_EQ(*sum.value, 49'995'000);
    }
}

TEST(ParallelReduce, AFailureInItComesOut) {
    plait::thread_pool pool{{.workers = 2}};
    const auto fails = [](int i) {
        if (i == 77'777) throw plait::test::failure{i};
        return i;
    };
    for (const bool deterministic : {false, true})
        EXPECT_THROW(plait::transform_reduce(pool, std::views::iota(0, 100'000), 0L, std::plus<>{}, fails,
                                             {.deterministic = deterministic}),
                     plait::test::failure);
}

TEST(ParallelScan, GivesTheSumsUpToEachItem) {
    const auto scans = [](auto& ex) {
        for (const std::size_t n : sizes) {
            std::vector<std::uint64_t> in(n);
            std::iota(in.begin(), in.end(), 3U);
            std::vector<std::uint64_t> expected;
            std::uint64_t sum = 0;
            for (const std::uint64_t x : in) expected.push_back(sum += x);
            std::vector<std::uint64_t> out(n);
            plait::inclusive_scan(ex, in, out);
            ASSERT_EQ(out, expected);
            plait::inclusive_scan(ex, in, in, std::plus<>{}, {.grain = 1000});
            ASSERT_EQ(in, expected) << "in place";
        }
    };
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        scans(pool);
    }
    plait::serial serial;
    scans(serial);
    plait::event_loop loop;
    scans(loop);
    plait::loop_pool loops{{.workers = 2}};
    scans(loops);
}

TEST(ParallelScan, KeepsTheOrderAndTheBits) {
    std::vector<std::string> words;
    for (int i = 0; i < 10'000; ++i) words.emplace_back(1, static_cast<char>('a' + i % 26));
    const auto last = [](std::string a, const std::string& b) { // associative, not commutative
        a += b;
        return a.size() > 8 ? a.substr(a.size() - 8) : a;
    };
    std::vector<std::string> expected(words.size());
    std::inclusive_scan(words.begin(), words.end(), expected.begin(), last);
    plait::thread_pool pool{{.workers = 3}};
    std::vector<std::string> out(words.size());
    plait::inclusive_scan(pool, words, out, last);
    EXPECT_EQ(out, expected);

    std::vector<double> numbers(200'000);
    std::mt19937 random{5};
    for (double& x : numbers) x = 1.0 / static_cast<double>(random() + 1U);
    plait::serial serial;
    std::vector<double> first(numbers.size());
    plait::inclusive_scan(serial, numbers, first);
    for (int workers = 1; workers <= 8; ++workers) {
        plait::thread_pool other{{.workers = workers}};
        std::vector<double> again(numbers.size());
        plait::inclusive_scan(other, numbers, again);
        EXPECT_EQ(again, first);
    }
}

TEST(ParallelScan, RangesOfDifferentSizesAreRefused) {
    plait::serial serial;
    std::vector<int> in(3);
    std::vector<int> out(2);
    EXPECT_THROW(plait::inclusive_scan(serial, in, out), std::invalid_argument);
}

} // namespace
