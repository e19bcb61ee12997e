// SPDX-License-Identifier: Apache-2.0
#include "fetch/verdict.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "fetch/retry.hpp"

using namespace std::chrono_literals;
using plait::fetch::back_off;
using plait::fetch::fetched;
using plait::fetch::judge;
using plait::fetch::reason;
using step = plait::fetch::verdict::step;
using plait::http::cause;

namespace {

fetched with_status(int status) {
    fetched answer;
    answer.status = status;
    return answer;
}

fetched with_failure(cause why) {
    fetched answer;
    answer.failure = static_cast<std::int32_t>(why);
    answer.text = "why";
    return answer;
}

} // namespace

TEST(Verdict, OnlyThreeStatusesAreSuccess) {
    for (int status = 100; status < 600; ++status) {
        const bool success = status == 200 || status == 203 || status == 204;
        EXPECT_EQ(judge(with_status(status), 99, 3).next == step::done, success) << status;
    }
}

TEST(Verdict, WhatMayPassIsAskedAgainAndTheRestIsNot) {
    for (const int status : {408, 425, 429, 500, 502, 503, 504, 599})
        EXPECT_EQ(judge(with_status(status), 1, 3).next, step::again) << status;
    for (const int status : {206, 304, 300, 400, 401, 403, 404, 410, 416, 451})
        EXPECT_EQ(judge(with_status(status), 1, 3).next, step::failed) << status;
    for (const cause why : {cause::resolve, cause::connect, cause::timeout, cause::stall, cause::short_body})
        EXPECT_EQ(judge(with_failure(why), 1, 3).next, step::again);
    for (const cause why : {cause::bad_url, cause::tls, cause::protocol, cause::too_large, cause::redirect})
        EXPECT_EQ(judge(with_failure(why), 1, 3).next, step::failed);
}

TEST(Verdict, AttemptsHaveAnEnd) {
    EXPECT_EQ(judge(with_status(500), 3, 3).next, step::again);
    EXPECT_EQ(judge(with_status(500), 4, 3).next, step::failed);
    EXPECT_EQ(judge(with_status(500), 1, 0).next, step::failed);
    EXPECT_EQ(judge(with_failure(cause::connect), 4, 3).next, step::failed);
}

TEST(Verdict, RetryAfterClosesTheHostUnlessItIsTooLong) {
    fetched answer = with_status(429);
    answer.retry_after = 2;
    EXPECT_EQ(judge(answer, 1, 3).next, step::again_when);
    EXPECT_EQ(judge(answer, 1, 3).wait, 2s);
    answer.retry_after = 301;
    const auto refused = judge(answer, 1, 3);
    EXPECT_EQ(refused.next, step::failed);
    EXPECT_NE(refused.error.find("301 s"), std::string::npos);
    answer.retry_after = 31536000;
    EXPECT_EQ(judge(answer, 1, 3).next, step::failed);
    fetched other = with_status(500);
    other.retry_after = 2;
    EXPECT_EQ(judge(other, 1, 3).next, step::again);
}

TEST(Verdict, ReasonsAreThoseOfTheReport) {
    EXPECT_EQ(judge(with_status(404), 1, 3).why, reason::http);
    EXPECT_EQ(judge(with_failure(cause::resolve), 9, 3).why, reason::dns);
    EXPECT_EQ(judge(with_failure(cause::stall), 9, 3).why, reason::stall);
    EXPECT_EQ(judge(with_failure(cause::short_body), 9, 3).why, reason::short_body);
    EXPECT_EQ(judge(with_failure(cause::tls), 1, 3).why, reason::tls);
    fetched there = with_status(200);
    there.exists = true;
    EXPECT_EQ(judge(there, 1, 3).why, reason::exists);
}

TEST(Verdict, AFullDiskEndsTheRunAnotherErrorTheItem) {
    fetched answer = with_status(200);
    answer.disk_error = ENOSPC;
    EXPECT_EQ(judge(answer, 1, 3).next, step::run_failed);
    answer.disk_error = EFBIG;
    EXPECT_EQ(judge(answer, 1, 3).next, step::failed);
    EXPECT_EQ(judge(answer, 1, 3).why, reason::disk);
}

TEST(BackOff, DoublesUpToThirtySeconds) {
    EXPECT_EQ(back_off::bound(1), 500ms);
    EXPECT_EQ(back_off::bound(2), 1s);
    EXPECT_EQ(back_off::bound(6), 16s);
    EXPECT_EQ(back_off::bound(7), 30s);
    EXPECT_EQ(back_off::bound(4000000000U), 30s);
}

TEST(BackOff, JitterFillsTheWholeRangeAndASeedRepeatsIt) {
    back_off one{5};
    back_off two{5};
    std::chrono::nanoseconds least = 1h;
    std::chrono::nanoseconds most{0};
    for (int i = 0; i < 1000; ++i) {
        const auto wait = one.after(2);
        EXPECT_EQ(wait, two.after(2));
        least = std::min(least, wait);
        most = std::max(most, wait);
    }
    EXPECT_LT(least, 50ms);
    EXPECT_GT(most, 950ms);
    EXPECT_LE(most, 1s);
    for (int i = 0; i < 100; ++i) {
        const auto wait = one.spread(10s);
        EXPECT_GE(wait, 10s);
        EXPECT_LE(wait, 11s);
    }
}
