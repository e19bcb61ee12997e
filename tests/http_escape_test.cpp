// SPDX-License-Identifier: Apache-2.0
#include "http/escape.hpp"

#include <gtest/gtest.h>

#include <random>

#include "http/utf8.hpp"

using plait::http::detail::escape;
using plait::http::detail::is_unsafe;
using plait::http::detail::utf8_at;

TEST(Escape, OrdinaryTextPassesUntouched) {
    EXPECT_EQ(escape("http://example.org/a?b=c#d ~ ü 漢字 😀"), "http://example.org/a?b=c#d ~ ü 漢字 😀");
}

TEST(Escape, ControlsBecomeVisible) {
    EXPECT_EQ(escape("con\x1b[31m\x7f\n\r\t"), "con\\x1b[31m\\x7f\\n\\r\\t");
    EXPECT_EQ(escape(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Escape, C1AndMarksThatTurnTextRoundBecomeVisible) {
    EXPECT_EQ(escape("\xc2\x9b"), "\\u{9b}");
    EXPECT_EQ(escape("a\xe2\x80\xae"
                     "b"),
              "a\\u{202e}b");
    EXPECT_EQ(escape("\xe2\x81\xa6"), "\\u{2066}");
}

TEST(Escape, BytesThatAreNotUtf8BecomeVisible) {
    EXPECT_EQ(escape("\x9b\xff"), "\\x9b\\xff");
    EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf");          // overlong slash
    EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
    EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
    EXPECT_EQ(escape("\xe2\x80"), "\\xe2\\x80"); // cut short
}

TEST(Escape, DifferentTextsLookDifferent) {
    EXPECT_NE(escape("\x1b"), escape("\\x1b"));
    EXPECT_EQ(escape("\\x1b"), "\\\\x1b");
}

TEST(Escape, WhateverComesInNothingUnsafeComesOut) {
    std::mt19937 random{4711};
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 40; ++i) text += static_cast<char>(random() & 0xffU);
        const std::string safe = escape(text);
        for (std::size_t at = 0; at < safe.size();) {
            const auto step = utf8_at(safe, at);
            ASSERT_TRUE(step.valid);
            ASSERT_FALSE(is_unsafe(step.code));
            at += step.length;
        }
    }
}
