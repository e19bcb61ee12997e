// SPDX-License-Identifier: Apache-2.0
// The launcher that every test runs under (tests/support/limit.cpp).
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/time.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include <sys/wait.h>

namespace {

struct run_result {
    int status = -1;
    std::string output;
};

run_result run_limited(const std::string& seconds, const std::string& arguments,
                       const std::string& program = PLAIT_LIMIT_PROBE) {
    const std::string command =
        "PLAIT_LIMIT=" + seconds + " " PLAIT_LIMIT " " + program + " " + arguments + " 2>&1";
    run_result result;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return result;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) result.output += static_cast<char>(c);
    result.status = WEXITSTATUS(pclose(pipe));
    return result;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Limit, PassesTheExitStatusOn) {
    EXPECT_EQ(run_limited("20", "exit 0").status, 0);
    EXPECT_EQ(run_limited("20", "exit 7").status, 7);
}

TEST(Limit, NamesTheSignalThatKilledTheTest) {
    const auto result = run_limited("20", "abort");
    EXPECT_EQ(result.status, 128 + 6);
    EXPECT_TRUE(contains(result.output, "SIGABRT")) << result.output;
}

TEST(Limit, ShowsEveryThreadOfALateTest) {
    const auto result = run_limited("0.5", "hang");
    EXPECT_EQ(result.status, 124);
    EXPECT_TRUE(contains(result.output, "the_thread_that_hangs")) << result.output;
    EXPECT_TRUE(contains(result.output, "main")) << result.output;
}

TEST(Limit, ShowsTheChildrenOfALateTest) {
    const auto result = run_limited("0.5", "hang-child");
    EXPECT_EQ(result.status, 124);
    EXPECT_TRUE(contains(result.output, "the_child_that_hangs")) << result.output;
}

TEST(Limit, AsksALateTestForItsTasksFirst) {
    const auto result = run_limited("0.5", "dump");
    EXPECT_EQ(result.status, 124);
    EXPECT_TRUE(contains(result.output, "the tree of tasks\n")) << result.output;
}

// Not a test of its own: what the next one runs, as a program with the tests' main.
TEST(Limit, DISABLED_ATaskThatNeverEnds) {
    plait::event_loop loop;
    auto stuck = [] { return plait::sleep_for(std::chrono::hours{24}); };
    loop.submit({.name = "the_task_that_hangs"}, [&]() -> plait::task<void> { co_await stuck(); }).get();
}

TEST(Limit, ShowsTheTasksOfALateTestProgram) {
    if (thread_sanitizer)
        GTEST_SKIP() << "TSan keeps a signal back until the thread makes a call that it knows";
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    const auto result = run_limited(
        "1", "--gtest_also_run_disabled_tests --gtest_filter='*DISABLED_ATaskThatNeverEnds'", self);
    EXPECT_EQ(result.status, 124);
    EXPECT_TRUE(contains(result.output, "'the_task_that_hangs' waiting")) << result.output;
    EXPECT_TRUE(contains(result.output, "sleep_for")) << result.output;
}

TEST(Limit, FailsATestThatLeavesAProcessBehind) {
    const auto result = run_limited("20", "orphan");
    EXPECT_EQ(result.status, 125);
    EXPECT_TRUE(contains(result.output, "the_child_that_hangs")) << result.output;
}

TEST(Limit, SaysWhatItCannotRun) {
    const std::string command = PLAIT_LIMIT " /nonexistent/program 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char text[200] = {};
    ASSERT_NE(std::fgets(text, sizeof text, pipe), nullptr);
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 127);
    EXPECT_STREQ(text, "limit: cannot run /nonexistent/program: No such file or directory\n");
}

} // namespace
