// SPDX-License-Identifier: Apache-2.0
#include "fetch/plan.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace std::chrono_literals;
using plait::fetch::fetched;
using plait::fetch::ledger;
using plait::fetch::observer;
using plait::fetch::options;
using plait::fetch::order;
using plait::fetch::plan;
using plait::fetch::time_point;

namespace {

/// A plan without network: the test plays the servers.
class FetchPlan : public testing::Test {
  protected:
    FetchPlan() {
        std::string name = (std::filesystem::temp_directory_path() / "plait-plan-XXXXXX").string();
        dir_ = ::mkdtemp(name.data());
        what_.report = (dir_ / "report.jsonl").string();
        what_.per_host = 0;
    }
    ~FetchPlan() override { std::filesystem::remove_all(dir_); }

    void begin() {
        book_.emplace(what_, nobody_);
        plan_.emplace(what_, 1);
        plan_->keep_in(*book_);
    }
    static fetched answer(const order& to, int status) {
        fetched out;
        out.id = to.id;
        out.status = status;
        out.placed = true;
        return out;
    }
    static fetched redirect(const order& to, const std::string& location) {
        fetched out = answer(to, 302);
        out.location = location;
        return out;
    }
    /// Answers everything that can be asked now.
    std::vector<order> answer_all(int status) {
        std::vector<order> asked;
        do {
            while (auto one = plan_->next(now_)) {
                plan_->finish(answer(*one, status), now_);
                asked.push_back(*one);
            }
        } while (plan_->can_read_on());
        return asked;
    }
    std::vector<nlohmann::json> report() {
        book_->flush();
        std::ifstream file{what_.report};
        std::vector<nlohmann::json> out;
        for (std::string line; std::getline(file, line);) out.push_back(nlohmann::json::parse(line));
        return out;
    }

    std::filesystem::path dir_;
    options what_;
    observer nobody_;
    std::optional<ledger> book_;
    std::optional<plan> plan_;
    time_point now_{1000s};
};

} // namespace

TEST_F(FetchPlan, EveryUrlIsAskedAndReportedInOrder) {
    what_.urls = {"http://h/a", "no url", "http://g/b", "http://h/a2"};
    begin();
    std::vector<order> orders;
    while (auto one = plan_->next(now_)) orders.push_back(*one);
    ASSERT_EQ(orders.size(), 3U);
    std::reverse(orders.begin(), orders.end());
    for (const order& one : orders) plan_->finish(answer(one, 200), now_ + 1s);
    EXPECT_TRUE(plan_->over());
    const auto rows = report();
    ASSERT_EQ(rows.size(), 4U);
    EXPECT_EQ(rows[0]["url"], "http://h/a");
    EXPECT_EQ(rows[0]["file"], "a");
    EXPECT_EQ(rows[0]["seconds"], 1.0);
    EXPECT_EQ(rows[1]["reason"], "url");
    EXPECT_EQ(rows[2]["file"], "b");
    EXPECT_EQ(rows[3]["file"], "a2");
}

TEST_F(FetchPlan, EqualLinesAreAskedOnceAndGetALineEach) {
    what_.urls = {"http://h/a", "http://h/b", "http://h/a"};
    begin();
    auto first = plan_->next(now_);
    auto second = plan_->next(now_);
    EXPECT_FALSE(plan_->next(now_));
    plan_->finish(answer(*second, 404), now_);
    plan_->finish(answer(*first, 200), now_);
    EXPECT_TRUE(plan_->over());
    const auto rows = report();
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0], rows[2]);
    EXPECT_EQ(book_->so_far().done, 2U);
    EXPECT_EQ(book_->so_far().requests, 2U);
}

TEST_F(FetchPlan, ALineLikeOneThatHasEndedGetsItsLine) {
    what_.connections = 1;
    for (int i = 0; i < 3000; ++i) what_.urls.push_back("http://h/" + std::to_string(i % 1500));
    begin();
    EXPECT_EQ(answer_all(200).size(), 1500U);
    const auto rows = report();
    ASSERT_EQ(rows.size(), 3000U);
    for (std::size_t i = 0; i < 1500; ++i) ASSERT_EQ(rows[i], rows[i + 1500]);
}

TEST_F(FetchPlan, WithDiscardEveryLineIsAsked) {
    what_.discard = true;
    what_.urls = {"http://h/a", "http://h/a"};
    begin();
    EXPECT_EQ(answer_all(200).size(), 2U);
}

TEST_F(FetchPlan, FailuresThatMayPassAreAskedAgainLater) {
    what_.urls = {"http://h/a"};
    what_.retries = 2;
    begin();
    for (int attempt = 1; attempt <= 3; ++attempt) {
        auto one = plan_->next(now_);
        ASSERT_TRUE(one) << attempt;
        plan_->finish(answer(*one, 500), now_);
        if (const auto wake = plan_->wake_time()) now_ = std::max(now_, *wake);
    }
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["attempts"], 3);
    EXPECT_EQ(report().at(0)["reason"], "http");
}

TEST_F(FetchPlan, RetryAfterHoldsTheWholeHostAndNoOther) {
    what_.urls = {"http://h/1", "http://h/2", "http://other/3"};
    what_.connections = 1;
    begin();
    auto one = plan_->next(now_);
    fetched slow_down = answer(*one, 429);
    slow_down.retry_after = 20;
    plan_->finish(slow_down, now_);
    auto other = plan_->next(now_);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->url, "http://other/3");
    plan_->finish(answer(*other, 200), now_);
    EXPECT_FALSE(plan_->next(now_ + 19s));
    now_ += 22s;
    EXPECT_EQ(answer_all(200).size(), 2U);
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["attempts"], 2);
}

TEST_F(FetchPlan, ARedirectIsANewRequestToItsHost) {
    what_.urls = {"http://me:pw@h/a"};
    what_.headers = {"X-Secret: 1"};
    begin();
    auto one = plan_->next(now_);
    EXPECT_EQ(one->url, "http://me:pw@h/a");
    EXPECT_TRUE(one->all_headers);
    plan_->finish(redirect(*one, "/b"), now_);
    one = plan_->next(now_);
    EXPECT_EQ(one->url, "http://me:pw@h/b");
    EXPECT_TRUE(one->all_headers);
    EXPECT_TRUE(one->redirected);
    plan_->finish(redirect(*one, "http://g/c?x"), now_);
    one = plan_->next(now_);
    EXPECT_EQ(one->url, "http://g/c?x");
    EXPECT_FALSE(one->all_headers);
    plan_->finish(redirect(*one, "http://h/d"), now_);
    one = plan_->next(now_);
    EXPECT_EQ(one->url, "http://h/d"); // what was dropped stays dropped
    EXPECT_FALSE(one->all_headers);
    EXPECT_EQ(one->name, "a");
    plan_->finish(answer(*one, 200), now_);
    const auto rows = report();
    EXPECT_EQ(rows.at(0)["url"], "http://me:pw@h/a");
    EXPECT_EQ(rows.at(0)["effective_url"], "http://h/d");
    EXPECT_EQ(rows.at(0)["attempts"], 1);
}

TEST_F(FetchPlan, RedirectsThatMayNotBe) {
    what_.urls = {"https://h/down", "http://h/file", "http://h/none", "http://public/in", "http://h/loop"};
    what_.max_redirects = 3;
    begin();
    for (const char* target : {"http://h/x", "file:///etc/passwd", "", "http://127.0.0.1/", "/loop"}) {
        auto one = plan_->next(now_);
        ASSERT_TRUE(one);
        fetched out = redirect(*one, target);
        out.peer = static_cast<int>(plait::http::detail::address_kind::public_net);
        plan_->finish(out, now_);
    }
    while (auto one = plan_->next(now_)) plan_->finish(redirect(*one, "/loop"), now_);
    EXPECT_TRUE(plan_->over());
    for (const auto& row : report()) {
        EXPECT_EQ(row["reason"], "redirect") << row;
        EXPECT_TRUE(row["file"].is_null());
    }
    EXPECT_EQ(book_->so_far().requests, 4U + 4U);
}

TEST_F(FetchPlan, AStopEndsWhatWaitsAndKeepsWhatIsInFlight) {
    {
        std::ofstream list{dir_ / "list"};
        for (int i = 0; i < 20'000; ++i) list << "http://h/" << i << '\n';
        list << "nonsense\n";
    }
    what_.input = (dir_ / "list").string();
    what_.connections = 2;
    begin();
    auto one = plan_->next(now_);
    auto two = plan_->next(now_);
    plan_->stop(now_);
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_FALSE(plan_->over());
    plan_->finish(answer(*one, 200), now_);
    plan_->abandon(two->id, now_);
    EXPECT_TRUE(plan_->over());
    const auto rows = report();
    ASSERT_EQ(rows.size(), 20'001U);
    EXPECT_TRUE(rows[0]["reason"].is_null());
    EXPECT_EQ(rows[1]["reason"], "interrupted");
    for (std::size_t i = 2; i < 20'000; ++i) ASSERT_EQ(rows[i]["reason"], "not_started");
    EXPECT_EQ(rows[2]["attempts"], 0);
    EXPECT_EQ(rows[20'000]["reason"], "url");
}

TEST_F(FetchPlan, AStopLosesNoArgumentAndNoLineThatWasReadOfAPipe) {
    const std::string fifo = (dir_ / "list").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const plait::detail::unique_fd writer{::open(fifo.c_str(), O_RDWR)};
    ASSERT_EQ(::write(writer.get(), "http://h/3\nhttp://h/4\nhttp://h/", 31), 31);
    what_.urls = {"http://h/1", "http://h/2"};
    what_.input = fifo;
    begin();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(plan_->next(now_)); // the third one is of the pipe
    plan_->stop(now_);
    EXPECT_FALSE(plan_->over());
    EXPECT_EQ(plan_->known(), 4U);
    EXPECT_EQ(book_->so_far().items, 1U);
}

TEST_F(FetchPlan, WhatCanBeReadOfAPipeIsAReasonToWakeOthers) {
    const std::string fifo = (dir_ / "list").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const plait::detail::unique_fd writer{::open(fifo.c_str(), O_RDWR)};
    what_.input = fifo;
    begin();
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_FALSE(plan_->has_more());
    ASSERT_EQ(::write(writer.get(), "http://h/1\nhttp://h/2\n", 22), 22);
    EXPECT_TRUE(plan_->next(now_));
    EXPECT_TRUE(plan_->has_more());
    EXPECT_TRUE(plan_->next(now_));
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_FALSE(plan_->has_more());
}

TEST_F(FetchPlan, AWaitThatEndsBeyondTheTimeLimitIsNotBegun) {
    what_.urls = {"http://h/1"};
    what_.timeout = 5s;
    begin();
    auto one = plan_->next(now_);
    fetched slow_down = answer(*one, 429);
    slow_down.retry_after = 6;
    plan_->finish(slow_down, now_);
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["reason"], "timeout");
    EXPECT_EQ(report().at(0)["attempts"], 1);
}

TEST_F(FetchPlan, WhoWaitsForAClosedHostBeyondItsTimeLimitIsNotAskedAgain) {
    what_.urls = {"http://h/1", "http://h/2"};
    what_.timeout = 5s;
    what_.retries = 9;
    begin();
    auto one = plan_->next(now_);
    auto two = plan_->next(now_);
    plan_->finish(redirect(*one, "/3"), now_);
    fetched slow_down = answer(*two, 503);
    slow_down.retry_after = 20;
    plan_->finish(slow_down, now_);
    now_ += 30s;
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["reason"], "timeout");
    EXPECT_EQ(book_->so_far().requests, 2U);
}

TEST_F(FetchPlan, WhatExistsBeforeItIsAskedIsNoAttempt) {
    what_.urls = {"http://h/1"};
    begin();
    fetched there = answer(*plan_->next(now_), 0);
    there.exists = true;
    there.asked = false;
    plan_->finish(there, now_);
    EXPECT_EQ(report().at(0)["reason"], "exists");
    EXPECT_EQ(report().at(0)["attempts"], 0);
    EXPECT_EQ(book_->so_far().requests, 0U);
}

TEST_F(FetchPlan, AHeldTemporaryFileIsTriedAgain) {
    what_.urls = {"http://h/1", "http://h/2"};
    what_.retries = 1;
    begin();
    for (int attempt = 1; attempt <= 2; ++attempt) {
        now_ += 1s; // longer than any back-off
        std::vector<order> orders;
        while (auto one = plan_->next(now_)) orders.push_back(*one);
        ASSERT_EQ(orders.size(), 2U) << attempt;
        for (const order& one : orders) {
            fetched held = answer(one, 200);
            held.busy = attempt == 1 || one.name == "1";
            plan_->finish(held, now_);
        }
    }
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["reason"], "exists");
    EXPECT_TRUE(report().at(1)["reason"].is_null());
}

TEST_F(FetchPlan, ABrokenCrewEndsTheRun) {
    what_.urls = {"http://h/1", "http://h/2", "http://h/3"};
    what_.connections = 2;
    begin();
    auto one = plan_->next(now_);
    auto two = plan_->next(now_);
    plan_->break_down(one->id, "no processes", now_);
    plan_->break_down(two->id, "and again", now_);
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(plan_->run_error(), "no processes");
    const auto rows = report();
    EXPECT_EQ(rows[0]["reason"], "interrupted");
    EXPECT_EQ(rows[0]["error"], "no processes");
    EXPECT_EQ(rows[2]["reason"], "not_started");
}

TEST_F(FetchPlan, RetryAfterZeroStillBacksOff) {
    what_.urls = {"http://h/1"};
    what_.retries = 3;
    begin();
    auto waited = 0ns;
    while (auto one = plan_->next(now_)) {
        fetched at_once = answer(*one, 503);
        at_once.retry_after = 0;
        plan_->finish(at_once, now_);
        if (const auto wake = plan_->wake_time()) {
            waited += *wake - now_;
            now_ = std::max(now_, *wake);
        }
    }
    EXPECT_GT(waited, 0ns);
}

TEST_F(FetchPlan, AFullDiskEndsTheRun) {
    what_.urls = {"http://h/1", "http://h/2", "http://h/3"};
    what_.connections = 1;
    begin();
    auto one = plan_->next(now_);
    fetched full = answer(*one, 200);
    full.disk_error = ENOSPC;
    full.text = "cannot write";
    plan_->finish(full, now_);
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(plan_->run_error(), "cannot write");
    const auto rows = report();
    EXPECT_EQ(rows[0]["reason"], "disk");
    EXPECT_EQ(rows[1]["reason"], "not_started");
}

TEST_F(FetchPlan, AHostThatIsBusyDoesNotHideTheOthers) {
    {
        std::ofstream list{dir_ / "list"};
        for (int i = 0; i < 5'000; ++i) list << "http://slow/" << i << '\n';
        list << "http://quick/1\n";
    }
    what_.input = (dir_ / "list").string();
    what_.per_host = 1;
    begin();
    ASSERT_TRUE(plan_->next(now_));
    std::optional<order> other;
    for (int i = 0; i < 100 && !other; ++i) other = plan_->next(now_);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->url, "http://quick/1");
    EXPECT_LE(plan_->hosts().waiting(), plan::look_ahead);
}

TEST_F(FetchPlan, ATimeLimitCoversAllAttempts) {
    what_.urls = {"http://h/1"};
    what_.timeout = 10s;
    begin();
    auto one = plan_->next(now_);
    EXPECT_EQ(one->time_left, std::chrono::nanoseconds(10s).count());
    now_ += 9s;
    plan_->finish(answer(*one, 500), now_);
    now_ = *plan_->wake_time();
    one = plan_->next(now_);
    ASSERT_TRUE(one);
    EXPECT_LE(one->time_left, std::chrono::nanoseconds(1s).count());
    now_ += 2s;
    plan_->finish(answer(*one, 500), now_);
    EXPECT_FALSE(plan_->next(now_));
    EXPECT_TRUE(plan_->over());
    EXPECT_EQ(report().at(0)["reason"], "timeout");
}
