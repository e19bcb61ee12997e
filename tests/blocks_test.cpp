// SPDX-License-Identifier: Apache-2.0
// What tasks and frames are made of: blocks of whole lines, out of pieces that are used again.
#include "base/block_regions.hpp"
#include "sys/sanitized.hpp"

#include <plait/detail/frame.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace {

using plait::detail::block_regions;

std::vector<void*> taken(block_regions& from, std::size_t c, std::size_t n) {
    std::vector<void*> blocks(n);
    blocks.resize(from.take(c, blocks));
    return blocks;
}

TEST(Blocks, StandLineByLineAndApart) {
    if constexpr (plait::detail::under_sanitizer) GTEST_SKIP() << "blocks are malloc's there";
    block_regions regions;
    std::set<std::uintptr_t> lines;
    std::vector<void*> all;
    for (const std::size_t c : {std::size_t{0}, std::size_t{1}, std::size_t{31}})
        for (void* const block : taken(regions, c, 3000)) {
            const auto at = reinterpret_cast<std::uintptr_t>(block);
            EXPECT_EQ(at % 64, 0U);
            EXPECT_TRUE(regions.owns(block));
            for (std::size_t line = 0; line <= c; ++line) EXPECT_TRUE(lines.insert(at + line * 64).second);
            std::memset(block, 0xab, (c + 1) * 64);
            all.push_back(block);
        }
    EXPECT_EQ(all.size(), 9000U);
    for (void* const block : all) regions.give(block);
}

TEST(Blocks, AnEmptiedPieceServesAnotherClass) {
    if constexpr (plait::detail::under_sanitizer) GTEST_SKIP() << "blocks are malloc's there";
    block_regions regions;
    constexpr std::size_t piece = (2U << 20U) / 64; // blocks of the smallest class in one
    const std::vector<void*> small = taken(regions, 0, piece);
    for (void* const block : small) regions.give(block);
    const std::vector<void*> large = taken(regions, 31, 10);
    ASSERT_EQ(large.size(), 10U);
    const auto [first, last] = std::minmax_element(small.begin(), small.end());
    for (void* const block : large) EXPECT_TRUE(*first <= block && block <= *last);
    for (void* const block : large) regions.give(block);
}

TEST(Blocks, GivenBackTheyComeAgain) {
    if constexpr (plait::detail::under_sanitizer) GTEST_SKIP() << "blocks are malloc's there";
    block_regions regions;
    std::vector<void*> kept = taken(regions, 3, 100);
    for (int round = 0; round < 100; ++round) {
        const std::vector<void*> more = taken(regions, 3, 20'000); // two and a half pieces
        ASSERT_EQ(more.size(), 20'000U);
        std::vector<void*> all = more;
        all.insert(all.end(), kept.begin(), kept.end());
        std::sort(all.begin(), all.end());
        EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
        for (void* const block : more) regions.give(block);
    }
    for (void* const block : kept) regions.give(block);
    int outside = 0;
    EXPECT_FALSE(regions.owns(&outside));
}

// One thread takes what another gives back, and ends with some in its lists.
TEST(Blocks, GoFromThreadToThread) {
    constexpr std::size_t size = 200;
    for (int round = 0; round < 20; ++round) {
        std::vector<void*> blocks(5000);
        std::thread{[&] {
            for (void*& b : blocks) std::memset(b = plait::detail::allocate_block(size), round, size);
        }}.join();
        std::thread{[&] {
            for (void* const b : blocks) {
                EXPECT_EQ(*static_cast<unsigned char*>(b), round);
                plait::detail::free_block(b, size);
            }
        }}.join();
    }
}

} // namespace
