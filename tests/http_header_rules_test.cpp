// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/answer.hpp"

using plait::http::detail::header_rules;

namespace {

/// The first complaint, or an empty text.
std::string see(const std::vector<std::string>& lines, header_rules rules = {}) {
    for (const std::string& line : lines)
        if (const char* fault = rules.see(line + "\r\n")) return fault;
    return {};
}

} // namespace

TEST(HeaderRules, AnHonestAnswerPasses) {
    header_rules rules;
    for (const char* line :
         {"HTTP/1.1 200 OK\r\n", "Content-Length: 17\r\n", "content-length:17\r\n", "X: y\r\n", "\r\n"})
        EXPECT_EQ(rules.see(line), nullptr);
    EXPECT_EQ(rules.status(), 200);
    EXPECT_EQ(rules.length(), 17U);
    EXPECT_TRUE(rules.has_length());
    EXPECT_TRUE(rules.complete());
}

TEST(HeaderRules, TwoLengthsAreRefused) {
    EXPECT_EQ(see({"HTTP/1.1 200 OK", "Content-Length: 5000", "Content-Length: 1000"}),
              "two different Content-Lengths");
    EXPECT_NE(see({"HTTP/1.1 200 OK", "Content-Length: 5, 6"}), "");
}

TEST(HeaderRules, LengthsThatAreNoneAreRefused) {
    EXPECT_EQ(see({"HTTP/1.1 200 OK", "Content-Length: 9223372036854775808"}),
              "a Content-Length beyond 2^63");
    EXPECT_EQ(see({"HTTP/1.1 200 OK", "Content-Length: 99999999999999999999999"}),
              "a Content-Length beyond 2^63");
    EXPECT_EQ(see({"HTTP/1.1 200 OK", "Content-Length: 9223372036854775807"}), "");
    for (const char* value : {"-1", "+5", "0x10", "5 6", ""})
        EXPECT_NE(see({"HTTP/1.1 200 OK", std::string{"Content-Length: "} + value}), "") << value;
}

TEST(HeaderRules, AnUpgradeThatNobodyAskedForIsRefusedAtItsFirstLine) {
    EXPECT_NE(see({"HTTP/1.1 101 Switching Protocols"}), "");
}

TEST(HeaderRules, InterimAnswersDoNotCountAsTheAnswer) {
    header_rules rules;
    for (const char* line : {"HTTP/1.1 103 Early Hints\r\n", "Content-Length: 5\r\n", "\r\n"})
        EXPECT_EQ(rules.see(line), nullptr);
    EXPECT_FALSE(rules.complete());
    for (const char* line : {"HTTP/1.1 200 OK\r\n", "Content-Length: 7\r\n", "\r\n"})
        EXPECT_EQ(rules.see(line), nullptr);
    EXPECT_EQ(rules.length(), 7U);
    EXPECT_EQ(rules.see("Content-Length: 9\r\n"), nullptr); // a trailer decides nothing
}

TEST(HeaderRules, AStatusLineBehindTheBodyIsATrailer) {
    header_rules rules;
    for (const char* line : {"HTTP/1.1 404 Not Found\r\n", "Transfer-Encoding: chunked\r\n", "\r\n",
                             "HTTP/1.1 200 O:K\r\n", "Content-Length: 0\r\n", "\r\n"})
        EXPECT_EQ(rules.see(line), nullptr);
    EXPECT_EQ(rules.status(), 404);
    EXPECT_TRUE(rules.complete());
    EXPECT_TRUE(rules.chunked());
    EXPECT_FALSE(rules.has_length());
}

TEST(HeaderRules, OnlyALastChunkedTellsTheEnd) {
    for (const auto& [value, chunked] :
         {std::pair{"chunked", true}, {"gzip, Chunked", true}, {"gzip", false}}) {
        header_rules rules;
        EXPECT_EQ(rules.see("HTTP/1.1 200 OK\r\n"), nullptr);
        EXPECT_EQ(rules.see(std::string{"Transfer-Encoding: "} + value + "\r\n"), nullptr);
        EXPECT_EQ(rules.chunked(), chunked) << value;
    }
}

TEST(HeaderRules, FloodsAreRefused) {
    std::vector<std::string> many{"HTTP/1.1 200 OK"};
    for (int i = 0; i < 501; ++i) many.push_back("X: y");
    EXPECT_EQ(see(many), "more than 500 header lines");
    std::vector<std::string> large{"HTTP/1.1 200 OK"};
    for (int i = 0; i < 9; ++i) large.push_back("X: " + std::string(30000, 'y'));
    EXPECT_EQ(see(large), "more than 256 KiB of headers");
    std::vector<std::string> interim;
    for (int i = 0; i < 300; ++i) interim.insert(interim.end(), {"HTTP/1.1 103 Early Hints", ""});
    EXPECT_EQ(see(interim), "more than 500 header lines");
}

TEST(HeaderRules, ABlankBeforeTheColonIsRefused) {
    EXPECT_NE(see({"HTTP/1.1 200 OK", "Content-Length : 5"}), "");
}

TEST(RetryAfter, SecondsOrADate) {
    using plait::http::detail::retry_after_of;
    constexpr std::int64_t now = 1'700'000'000; // Tue, 14 Nov 2023 22:13:20 GMT
    EXPECT_EQ(retry_after_of("120", now), 120);
    EXPECT_EQ(retry_after_of("0", now), 0);
    EXPECT_EQ(retry_after_of("99999999999999999999", now), INT64_MAX);
    EXPECT_EQ(retry_after_of("Tue, 14 Nov 2023 22:14:20 GMT", now), 60);
    EXPECT_EQ(retry_after_of("Tue, 14 Nov 2022 22:14:20 GMT", now), 0);
    for (const char* none : {"", "soon", "-5", "1.5", "0x10"})
        EXPECT_EQ(retry_after_of(none, now), -1) << none;
    EXPECT_EQ(retry_after_of(std::string(1000, 'x'), now), -1);
}
