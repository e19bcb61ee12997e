// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <plait/fetch.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/raw_server.hpp"

using plait::fetch::strategy;
using plait::test::raw_server;
using reply = raw_server::reply;

namespace {

class FetchRun : public testing::TestWithParam<strategy> {
  protected:
    FetchRun() {
        std::string name = (std::filesystem::temp_directory_path() / "plait-run-XXXXXX").string();
        dir_ = ::mkdtemp(name.data());
        what_.directory = dir_.string();
        what_.executor = GetParam();
        what_.workers = 3;
    }
    ~FetchRun() override { std::filesystem::remove_all(dir_); }

    [[nodiscard]] std::string text_of(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream{dir_ / name, std::ios::binary}.rdbuf();
        return text.str();
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{dir_}, {}));
    }

    std::filesystem::path dir_;
    plait::fetch::options what_;
};

std::string name_of(const testing::TestParamInfo<strategy>& info) {
    return std::string{plait::fetch::text_of(info.param)};
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Executors, FetchRun,
                         testing::Values(strategy::serial, strategy::threads, strategy::loop, strategy::loops,
                                         strategy::processes),
                         name_of);

TEST_P(FetchRun, EveryFileIsThereAndWhole) {
    const raw_server server{
        [](const std::string& request, int) { return raw_server::ok(raw_server::path_of(request)); }};
    for (int i = 0; i < 60; ++i) what_.urls.push_back(server.url("/f" + std::to_string(i)));
    const auto result = plait::fetch::run(what_);
    EXPECT_EQ(result.done, 60U);
    EXPECT_EQ(result.exit_status(), 0);
    EXPECT_EQ(files(), 60U);
    for (int i = 0; i < 60; ++i) EXPECT_EQ(text_of("f" + std::to_string(i)), "/f" + std::to_string(i));
    // Eight at once to one host, and kept: by each loop, where there are several.
    EXPECT_LE(server.connections(), GetParam() == strategy::loops ? 24 : 8);
}

TEST_P(FetchRun, ALargeBodyGoesToTheDiskInPiecesAndIsWhole) {
    std::string body;
    for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + '\n';
    const raw_server server{[&](const std::string& request, int) {
        if (raw_server::path_of(request) == "/cut") // longer than a piece, and half of it
            return reply{"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + body, true};
        if (raw_server::path_of(request) == "/unknown") return reply{"HTTP/1.1 200 OK\r\n\r\n" + body, true};
        return raw_server::ok(body);
    }};
    what_.urls = {server.url("/a"), server.url("/b"), server.url("/unknown"), server.url("/cut")};
    what_.retries = 0;
    const auto result = plait::fetch::run(what_);
    EXPECT_EQ(result.done, 3U);
    EXPECT_EQ(files(), 3U);
    for (const char* name : {"a", "b", "unknown"}) EXPECT_TRUE(text_of(name) == body) << name;
}

TEST_P(FetchRun, NothingHalfBearsItsName) {
    const raw_server server{[](const std::string& request, int) {
        if (raw_server::path_of(request) == "/short")
            return reply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true};
        return raw_server::ok("whole");
    }};
    what_.urls = {server.url("/a"), server.url("/short"), server.url("/b")};
    what_.retries = 0;
    const auto result = plait::fetch::run(what_);
    EXPECT_EQ(result.done, 2U);
    EXPECT_EQ(result.exit_status(), 1);
    ASSERT_EQ(result.reasons.size(), 1U);
    EXPECT_EQ(result.reasons[0].first, "short");
    EXPECT_EQ(files(), 2U);
}

TEST_P(FetchRun, WhatExistsIsKept) {
    const raw_server server{[](const std::string&, int) { return raw_server::ok("new"); }};
    std::ofstream{dir_ / "a"} << "old";
    what_.urls = {server.url("/a")};
    EXPECT_EQ(plait::fetch::run(what_).reasons.at(0).first, "exists");
    EXPECT_EQ(text_of("a"), "old");
    EXPECT_TRUE(server.requests().empty()); // seen before anything was asked
    what_.overwrite = true;
    EXPECT_EQ(plait::fetch::run(what_).exit_status(), 0);
    EXPECT_EQ(text_of("a"), "new");
}

TEST_P(FetchRun, AStopEndsIt) {
    // No answer ever: only the stopper can end this.
    const raw_server server{[](const std::string&, int) { return reply{}; }};
    for (int i = 0; i < 20; ++i) what_.urls.push_back(server.url("/" + std::to_string(i)));
    what_.connections = 4;
    plait::fetch::stopper until;
    std::thread stops{[&] {
        while (server.requests().empty()) std::this_thread::yield();
        until.stop_now();
    }};
    const auto result = plait::fetch::run(what_, nullptr, &until);
    stops.join();
    EXPECT_EQ(result.exit_status(), 130);
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.items, 20U);
    EXPECT_EQ(result.done, 0U);
    EXPECT_EQ(files(), 0U);
}

TEST_P(FetchRun, AnObserverIsTold) {
    struct counter : plait::fetch::observer {
        void ended(const plait::fetch::item_end& item) override {
            ++(item.error.empty() ? good : bad);
            sites.insert(sites.end(), item.site);
        }
        void moved(const plait::fetch::progress& so_far) override { last = so_far; }
        int good = 0;
        int bad = 0;
        std::vector<std::size_t> sites;
        plait::fetch::progress last;
    };
    const raw_server server{[](const std::string& request, int) {
        return raw_server::path_of(request) == "/gone"
                   ? reply{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}
                   : raw_server::ok("x");
    }};
    what_.urls = {server.url("/1"), server.url("/gone"), server.url("/2")};
    counter seen;
    (void)plait::fetch::run(what_, &seen);
    EXPECT_EQ(seen.good, 2);
    EXPECT_EQ(seen.bad, 1);
    EXPECT_EQ(seen.last.done, 2U);
    EXPECT_EQ(seen.last.failed, 1U);
    EXPECT_TRUE(seen.last.all_known);
}

TEST_P(FetchRun, BytesAreToldWhileTheyCome) {
    // Half a body, and then nothing: what the observer sees can only be in flight.
    const raw_server server{[](const std::string&, int) {
        return reply{"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(1000, 'x')};
    }};
    struct watcher : plait::fetch::observer {
        void moved(const plait::fetch::progress& so_far) override {
            if (so_far.bytes < 1000 || until.stopped()) return;
            seen = so_far;
            until.stop_now();
        }
        plait::fetch::stopper until;
        plait::fetch::progress seen;
    } watching;
    what_.urls = {server.url("/a")};
    const auto result = plait::fetch::run(what_, &watching, &watching.until);
    EXPECT_EQ(result.exit_status(), 130);
    EXPECT_EQ(watching.seen.bytes, 1000U);
    if (GetParam() == strategy::processes) return; // their files tell how much has come, not how much will
    EXPECT_EQ(watching.seen.lengths_known, 1U);
    EXPECT_EQ(watching.seen.lengths, 2000U);
}

TEST(FetchRunErrors, WhatCannotBegin) {
    plait::fetch::options what;
    EXPECT_THROW((void)plait::fetch::run(what), std::invalid_argument);
    what.urls = {"http://127.0.0.1:1/"};
    what.headers = {"A: b\nC: d"};
    EXPECT_THROW((void)plait::fetch::run(what), std::invalid_argument);
    what.headers.clear();
    what.directory = "/proc/plait/none";
    EXPECT_THROW((void)plait::fetch::run(what), plait::fetch::run_error);
    what.directory.clear();
    what.input = "/nonexistent";
    EXPECT_THROW((void)plait::fetch::run(what), plait::fetch::run_error);
}
