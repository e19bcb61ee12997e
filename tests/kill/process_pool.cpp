// SPDX-License-Identifier: Apache-2.0
// limit: 120
// 200 random SIGKILLs of workers during 20,000 tasks: every task ends exactly once, none runs twice, nothing
// stays.
#include <gtest/gtest.h>

#include <dirent.h>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::worker_lost;

constexpr int tasks = 20'000;
constexpr int kills = 200;

std::size_t entries_of(const char* directory) {
    DIR* d = ::opendir(directory);
    if (d == nullptr) return 0;
    std::size_t n = 0;
    while (::readdir(d) != nullptr) ++n;
    ::closedir(d);
    return n;
}

// Appends the task's number, in one write: what ran is written, whatever happens to the worker afterwards.
int note(const std::string& path, int number, int spin) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    [[maybe_unused]] const auto written = ::write(fd, &number, sizeof(number));
    ::close(fd);
    for (int i = 0; i < spin; ++i) plait::detail::spin_pause();
    return number;
}

std::vector<int> runs_of(const std::string& path) {
    std::vector<int> runs(tasks);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    int number = 0;
    while (::read(fd, &number, sizeof(number)) == sizeof(number)) ++runs[static_cast<std::size_t>(number)];
    ::close(fd);
    return runs;
}

void torture(int retries) {
    {
        process_pool warm{{.workers = 1}};
        EXPECT_EQ(warm.submit([] { return 1; }).get(), 1); // the first task makes the registry, for good
    }
    const std::size_t shared_before = entries_of("/dev/shm");
    const std::size_t descriptors_before = entries_of("/proc/self/fd");
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    shared_counter log;
    int values = 0;
    int lost = 0;
    {
        process_pool pool{{.workers = 3}};
        std::vector<plait::future<int>> futures;
        futures.reserve(tasks);
        for (int i = 0; i < tasks; ++i)
            futures.push_back(
                pool.submit({.retries = retries}, note, log.path(), i, static_cast<int>(random() % 20'000)));
        std::atomic<bool> over{false};
        std::thread killer{[&] {
            // Spread over the whole run: each time so many more tasks are done.
            for (int k = 0; k < kills && !over; ++k) {
                const auto wanted = static_cast<std::size_t>(k) * tasks / kills;
                while (!futures[wanted].done() && !over) std::this_thread::yield();
                const auto status = pool.status();
                const int pid = status[random() % status.size()].pid;
                if (pid > 0) ::kill(pid, SIGKILL);
            }
        }};
        std::vector<bool> ended(tasks);
        for (int i = 0; i < tasks; ++i) futures[static_cast<std::size_t>(i)].wait();
        over = true;
        killer.join();
        for (int i = 0; i < tasks; ++i) {
            try {
                EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i);
                ++values;
            } catch (const worker_lost& e) {
                EXPECT_EQ(e.signal(), SIGKILL) << e.what();
                ++lost;
            }
        }
    }
    EXPECT_EQ(values + lost, tasks);
    EXPECT_LE(lost, kills);
    if (retries == 0) {
        const std::vector<int> runs = runs_of(log.path());
        EXPECT_EQ(std::ranges::count_if(runs, [](int n) { return n > 1; }), 0) << "run twice";
    }
    ::testing::Test::RecordProperty("lost", lost);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie, or a helper that stayed";
    EXPECT_EQ(entries_of("/dev/shm"), shared_before);
    EXPECT_EQ(entries_of("/proc/self/fd"), descriptors_before);
}

TEST(KillProcessPool, EveryTaskEndsExactlyOnceWhileWorkersAreKilled) { torture(0); }

TEST(KillProcessPool, WithRetriesHardlyATaskIsLost) { torture(5); }

// Large arguments and results, killed in the middle of both.
TEST(KillProcessPool, StreamsAreWholeOrLost) {
    process_pool pool{{.workers = 2}};
    std::mt19937 random{17};
    const std::vector<char> large(std::size_t{5} << 20, 'x');
    std::vector<plait::future<std::vector<char>>> futures;
    for (int i = 0; i < 60; ++i) futures.push_back(pool.submit(echo<std::vector<char>>, large));
    std::atomic<bool> over{false};
    std::thread killer{[&] {
        for (int k = 0; k < 20 && !over; ++k) {
            const auto wanted = static_cast<std::size_t>(k) * 3;
            while (!futures[wanted].done() && !over) std::this_thread::yield();
            const auto status = pool.status();
            if (const int pid = status[random() % status.size()].pid; pid > 0) ::kill(pid, SIGKILL);
        }
    }};
    for (auto& f : futures) f.wait();
    over = true;
    killer.join();
    for (auto& f : futures) {
        try {
            EXPECT_EQ(f.get(), large);
        } catch (const worker_lost&) {
            // as it should be
        }
    }
}

} // namespace
