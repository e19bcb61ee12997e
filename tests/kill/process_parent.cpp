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

// Whoever is left by the dead becomes our child: so all are gone when there is no child any more.
bool all_gone(std::chrono::steady_clock::time_point until) {
    for (;;) {
        const pid_t gone = ::waitpid(-1, nullptr, WNOHANG);
        if (gone < 0 && errno == ECHILD) return true;
        if (gone > 0) continue;
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(std::chrono::microseconds{200}); // a look, not a wait for anything
    }
}

TEST(KillProcessParent, P15_NothingOutlivesAParentThatIsKilledAtAnyMoment) {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    const std::size_t shared = files_in("/dev/shm", "");
    const std::size_t temporary = files_in("/tmp", "plait-lane");
    std::chrono::steady_clock::duration longest{};
    for (int death = 0; death < deaths; ++death) {
        const pid_t parent = start_busy(death);
        ASSERT_GT(parent, 0);
        // From before its first instruction to the middle of its work.
        std::this_thread::sleep_for(std::chrono::microseconds{random() % (sanitized ? 400'000 : 30'000)});
        ASSERT_EQ(::kill(parent, SIGKILL), 0);
        const auto killed = std::chrono::steady_clock::now();
        ASSERT_TRUE(all_gone(killed + patience)) << "death " << death;
        longest = std::max(longest, std::chrono::steady_clock::now() - killed);
    }
    RecordProperty("longest_us",
                   static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(longest).count()));
    EXPECT_EQ(files_in("/dev/shm", ""), shared);
    EXPECT_EQ(files_in("/tmp", "plait-lane"), temporary);
}

} // namespace
