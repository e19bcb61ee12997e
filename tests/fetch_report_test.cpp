// SPDX-License-Identifier: Apache-2.0
#include "fetch/report.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <vector>

#include <plait/fetch.hpp>

using plait::detail::unique_fd;
using plait::fetch::append_json;
using plait::fetch::ordered_lines;
using plait::fetch::reason;
using plait::fetch::row;

namespace {

struct target {
    unique_fd fd{::memfd_create("report", MFD_CLOEXEC)};
    [[nodiscard]] unique_fd again() const { return unique_fd{::dup(fd.get())}; }
    [[nodiscard]] std::string text() const {
        std::string out(static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END)), '\0');
        EXPECT_EQ(::pread(fd.get(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
        return out;
    }
};

std::string line(std::uint64_t n) { return "line " + std::to_string(n) + '\n'; }

} // namespace

TEST(Report, ARowHasTheKeysOfTheDesignInOrder) {
    row item;
    item.url = "http://h/a";
    item.effective_url = "http://h/b";
    item.file = "a";
    item.status = 200;
    item.bytes = 17;
    item.attempts = 2;
    item.seconds = 0.25;
    EXPECT_EQ(
        plait::fetch::to_json_line(item),
        "{\"url\":\"http://h/a\",\"effective_url\":\"http://h/b\",\"status\":200,\"file\":\"a\",\"bytes\":17,"
        "\"sha256\":null,\"attempts\":2,\"seconds\":0.25,\"error\":null,\"reason\":null}\n");
}

TEST(Report, WhatIsNotThereIsNull) {
    row item;
    item.url = "x";
    item.error = "short";
    item.why = reason::short_body;
    const auto json = nlohmann::json::parse(plait::fetch::to_json_line(item));
    EXPECT_TRUE(json["status"].is_null());
    EXPECT_TRUE(json["file"].is_null());
    EXPECT_TRUE(json["effective_url"].is_null());
    EXPECT_EQ(json["reason"], "short");
    EXPECT_FALSE(json.contains("length_unknown"));
    item.length_unknown = true;
    item.content_encoding = "gzip";
    const auto more = nlohmann::json::parse(plait::fetch::to_json_line(item));
    EXPECT_EQ(more["length_unknown"], true);
    EXPECT_EQ(more["content_encoding"], "gzip");
}

TEST(Report, EveryReasonHasAWord) {
    std::vector<std::string_view> words;
    for (std::size_t i = 1; i < plait::fetch::reason_texts.size(); ++i)
        words.push_back(plait::fetch::reason_texts[i]);
    EXPECT_EQ(words, (std::vector<std::string_view>{
                         "http", "timeout", "stall", "connect", "dns", "tls", "short", "range", "too_large",
                         "redirect", "url", "exists", "disk", "checksum", "interrupted", "not_started"}));
    EXPECT_EQ(plait::fetch::text_of(reason::not_started), "not_started");
}

TEST(Report, JsonTextAgreesWithAnotherLibrary) {
    std::mt19937 random{7};
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (int i = 0; i < 30; ++i) text += static_cast<char>(random() & 0xffU);
        if (round % 2 == 0) text += "ü漢😀\"\\\x01";
        std::string out;
        append_json(out, text);
        for (const char c : out) ASSERT_TRUE(c >= 0x20 && c < 0x7f);
        const auto back = nlohmann::json::parse(out).get<std::string>();
        ASSERT_TRUE(round % 2 != 0 || back.ends_with("ü漢😀\"\\\x01"));
    }
    std::string out;
    append_json(out, "a\xff"
                     "b\x1b");
    EXPECT_EQ(out, "\"a\\ufffdb\\u001b\"");
}

TEST(Report, LinesComeOutInOrderWhicheverOrderTheyGoIn) {
    for (const std::size_t bound : {std::size_t{1} << 20U, std::size_t{100}, std::size_t{0}}) {
        const target file;
        ordered_lines lines{file.again(), "report", bound};
        std::vector<std::uint64_t> order(5000);
        std::iota(order.begin(), order.end(), 0U);
        std::shuffle(order.begin(), order.end(), std::mt19937{static_cast<unsigned>(bound)});
        std::size_t most = 0;
        for (const auto n : order) {
            lines.put(n, line(n));
            most = std::max(most, lines.held_bytes());
        }
        lines.flush();
        std::string expected;
        for (std::uint64_t n = 0; n < order.size(); ++n) expected += line(n);
        EXPECT_EQ(file.text(), expected);
        EXPECT_EQ(lines.next(), order.size());
        EXPECT_LE(most, bound + 20);
    }
}

TEST(Report, OnlyWholeLinesAndNoneTooEarly) {
    const target file;
    ordered_lines lines{file.again(), "report"};
    lines.put(1, line(1));
    lines.flush();
    EXPECT_EQ(file.text(), "");
    lines.put(0, line(0));
    lines.flush();
    EXPECT_EQ(file.text(), line(0) + line(1));
}

TEST(Report, AFullDiskIsTheRunsError) {
    ordered_lines lines{unique_fd{::open("/dev/full", O_WRONLY | O_CLOEXEC)}, "/dev/full"};
    lines.put(0, line(0));
    EXPECT_THROW(lines.flush(), plait::fetch::run_error);
    EXPECT_THROW(ordered_lines{"/nonexistent/report"}, plait::fetch::run_error);
}

TEST(Report, TheSummaryIsOneObject) {
    plait::fetch::summary run;
    run.items = 5;
    run.done = 3;
    run.failed = 2;
    run.reasons = {{"dns", 2}};
    plait::fetch::options what;
    what.insecure = true;
    const auto json = nlohmann::json::parse(run.to_json(what));
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["executor"], "loop");
    EXPECT_EQ(json["done"], 3);
    EXPECT_EQ(json["reasons"], (nlohmann::json{{"dns", 2}}));
    EXPECT_EQ(json["insecure"], true);
    EXPECT_TRUE(json["error"].is_null());
}

TEST(Report, ExitStatuses) {
    plait::fetch::summary run;
    EXPECT_EQ(run.exit_status(), 0);
    run.failed = 1;
    EXPECT_EQ(run.exit_status(), 1);
    run.run_error = "disk full";
    EXPECT_EQ(run.exit_status(), 3);
    run.done = 1;
    EXPECT_EQ(run.exit_status(), 1);
    run.interrupted = true;
    EXPECT_EQ(run.exit_status(), 130);
}
