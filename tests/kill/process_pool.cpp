// SPDX-License-Identifier: Apache-2.0
// limit: 120
// 200 random SIGKILLs of workers during 20,000 tasks: every task ends exactly once, none runs twice, nothing
// stays.
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <dirent.h>
#include <poll.h>

#include <algorithm>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support/process_tasks.hpp"
#include "sys/pidfd.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::worker_lost;

constexpr int tasks = sanitized ? 4'000 : 20'000; // a worker takes long to start there
constexpr int kills = tasks / 100;

std::size_t entries_of(const char* directory) {
    DIR* d = ::opendir(directory);
    if (d == nullptr) return 0;
    std::size_t n = 0;
    while (::readdir(d) != nullptr) ++n;
    ::closedir(d);
    return n;
}

int note(const std::string& path, int number, int spin) {
    note_number(path, number);
    for (int i = 0; i < spin; ++i) plait::detail::spin_pause();
    return number;
}

// The process that a worker is, until it is reaped by its helper, even if another one gets its number.
class victim {
  public:
    explicit victim(int pid) : handle_{plait::detail::open_pidfd(pid)} {}
    /// True: it was alive, and is killed by us and nobody else.
    bool kill() const {
        return handle_ && !plait::detail::has_ended(handle_) &&
               plait::detail::signal_process(handle_, SIGKILL) == 0;
    }
    void await_end() const {
        pollfd entry{handle_.get(), POLLIN, 0};
        while (::poll(&entry, 1, -1) < 0) {}
    }

  private:
    plait::detail::unique_fd handle_;
};

struct toll {
    int values = 0;
    int lost = 0;
};

toll torture(int retries) {
    {
        process_pool warm{{.workers = 1}};
        EXPECT_EQ(warm.submit([] { return 1; }).get(), 1); // the first task makes the registry, for good
    }
    const std::size_t shared_before = entries_of("/dev/shm");
    const std::size_t descriptors_before = entries_of("/proc/self/fd");
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    note_file log;
    toll result;
    int killed = 0;
    std::vector<bool> gave_value(tasks);
    {
        process_pool pool{{.workers = 3}};
        std::vector<plait::future<int>> futures;
        futures.reserve(tasks);
        for (int i = 0; i < tasks; ++i)
            futures.push_back(
                pool.submit({.retries = retries}, note, log.path(), i, static_cast<int>(random() % 20'000)));
        std::thread killer{[&] {
            // Spread over the whole run: each time so many more tasks are done.
            while (killed < kills) {
                const auto wanted = static_cast<std::size_t>(killed) * tasks / kills;
                while (!futures[wanted].done()) std::this_thread::yield();
                const auto status = pool.status();
                const auto one = status[random() % status.size()];
                if (!one.ready) continue; // killed before that, five in a row would break the pool
                const victim v{one.pid};
                if (!v.kill()) continue;
                ++killed;
                v.await_end(); // so that the next one is another
            }
        }};
        for (int i = 0; i < tasks; ++i) futures[static_cast<std::size_t>(i)].wait();
        killer.join();
        for (int i = 0; i < tasks; ++i) {
            try {
                EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i);
                gave_value[static_cast<std::size_t>(i)] = true;
                ++result.values;
            } catch (const worker_lost& e) {
                EXPECT_EQ(e.signal(), SIGKILL) << e.what();
                EXPECT_EQ(e.attempts(), retries + 1);
                ++result.lost;
            }
        }
    }
    EXPECT_EQ(killed, kills);
    std::vector<int> runs(tasks);
    for (const int number : log.numbers()) ++runs[static_cast<std::size_t>(number)];
    int again = 0;
    for (int i = 0; i < tasks; ++i) {
        const int n = runs[static_cast<std::size_t>(i)];
        if (gave_value[static_cast<std::size_t>(i)]) {
            EXPECT_GE(n, 1) << "a value of a task that never ran: " << i;
        }
        EXPECT_LE(n, retries + 1) << "run too often: " << i;
        again += std::max(0, n - 1);
    }
    if (retries != 0) {
        EXPECT_GT(again, 0) << "nothing was retried";
    }
    EXPECT_LE(again + result.lost, kills) << "each needs a death of its own";
    ::testing::Test::RecordProperty("lost", result.lost);
    ::testing::Test::RecordProperty("again", again);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie, or a helper that stayed";
    EXPECT_EQ(entries_of("/dev/shm"), shared_before);
    EXPECT_EQ(entries_of("/proc/self/fd"), descriptors_before);
    return result;
}

TEST(KillProcessPool, EveryTaskEndsExactlyOnceWhileWorkersAreKilled) {
    const toll t = torture(0);
    // Most of the killed were at work; how many is up to the machine.
    EXPECT_GT(t.lost, kills / 10);
    EXPECT_LE(t.lost, kills);
}

TEST(KillProcessPool, WithRetriesHardlyATaskIsLost) {
    // Six deaths in a row of whoever holds one task, of 200 among 20,000.
    EXPECT_LE(torture(5).lost, 1);
}

// Large arguments and results, killed in the middle of either: at another moment each time, but always before the
// three tasks are awaited, so that there is something to lose.
TEST(KillProcessPool, StreamsAreWholeOrLost) {
    process_pool pool{{.workers = 2}};
    std::mt19937 random{17};
    const std::vector<char> large(std::size_t{5} << 20, 'x');
    constexpr int victims = 20;
    int lost = 0;
    for (int killed = 0; killed < victims; ++killed) {
        std::vector<plait::future<std::vector<char>>> futures;
        for (int i = 0; i < 3; ++i) futures.push_back(pool.submit(echo<std::vector<char>>, large));
        for (auto left = random() % 50'000; left != 0; --left) plait::detail::spin_pause();
        for (bool done = false; !done;) {
            const auto status = pool.status();
            const auto one = status[random() % status.size()];
            if (!one.ready) continue; // killed before that, five in a row would break the pool
            const victim v{one.pid};
            done = v.kill();
            if (done) v.await_end();
        }
        for (auto& f : futures) {
            try {
                EXPECT_EQ(f.get(), large);
            } catch (const worker_lost&) {
                ++lost;
            }
        }
    }
    EXPECT_GT(lost, 0);
    EXPECT_LE(lost, victims);
}

} // namespace
