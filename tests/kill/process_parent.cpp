// SPDX-License-Identifier: Apache-2.0
// limit: 120
// The program that owns a pool is killed at random moments: no process, no shared memory and no file stays
// behind.
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <random>

namespace {

constexpr int deaths = sanitized ? 40 : 200;
constexpr std::chrono::seconds patience{sanitized ? 10 : 1};

std::size_t files_in(const char* directory, const std::string& prefix) {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{directory})
        n += entry.path().filename().string().starts_with(prefix) ? std::size_t{1} : std::size_t{0};
    return n;
}

pid_t start_busy(int seed) {
    std::string program = PLAIT_HOST_PROBE;
    std::string mode = "busy";
    std::string number = std::to_string(seed);
    char* arguments[] = {program.data(), mode.data(), number.data(), nullptr};
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ);
    EXPECT_EQ(error, 0);
    return error == 0 ? pid : 0;
}

using clock = std::chrono::steady_clock;

sigset_t child_ends() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGCHLD);
    return set;
}

// Until a child ends, for so long at most. SIGCHLD is blocked, so it is not missed.
void await_child_until(clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::nanoseconds>(until - clock::now()).count();
    if (left <= 0) return;
    const timespec most{left / 1'000'000'000, left % 1'000'000'000};
    const sigset_t ends = child_ends();
    ::sigtimedwait(&ends, nullptr, &most);
}

// Whoever is left by the dead becomes our child: so all are gone when there is no child any more.
bool all_gone(clock::time_point until) {
    for (;;) {
        const pid_t gone = ::waitpid(-1, nullptr, WNOHANG);
        if (gone < 0 && errno == ECHILD) return true;
        if (gone > 0) continue;
        if (clock::now() >= until) return false;
        await_child_until(until);
    }
}

TEST(KillProcessParent, P15_NothingOutlivesAParentThatIsKilledAtAnyMoment) {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const sigset_t ends = child_ends();
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &ends, nullptr), 0);
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    const std::size_t shared = files_in("/dev/shm", "");
    const std::size_t temporary = files_in("/tmp", "plait-lane");
    clock::duration longest{};
    for (int death = 0; death < deaths; ++death) {
        for (const timespec none{}; ::sigtimedwait(&ends, nullptr, &none) == SIGCHLD;) {} // of the last round
        const pid_t parent = start_busy(death);
        ASSERT_GT(parent, 0);
        // From before its first instruction to the middle of its work.
        await_child_until(clock::now() +
                          std::chrono::microseconds{random() % (sanitized ? 400'000 : 30'000)});
        ASSERT_EQ(::kill(parent, SIGKILL), 0);
        const auto killed = clock::now();
        ASSERT_TRUE(all_gone(killed + patience)) << "death " << death;
        longest = std::max(longest, clock::now() - killed);
    }
    RecordProperty("longest_us",
                   static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(longest).count()));
    EXPECT_EQ(files_in("/dev/shm", ""), shared);
    EXPECT_EQ(files_in("/tmp", "plait-lane"), temporary);
}

} // namespace
