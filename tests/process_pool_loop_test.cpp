// SPDX-License-Identifier: Apache-2.0
// limit: 60
// .loop: workers that drive many coroutines at once.
#include <gtest/gtest.h>

#include <plait/async_event.hpp>
#include <plait/process_sync.hpp>
#include <plait/this_task.hpp>
#include <plait/time.hpp>
#include <plait/worker_local.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using plait::cancel_mode;
using plait::process_pool;
using plait::task;
using plait::worker_lost;

// In a worker: how many of these run at the moment, and all that have come.
int inside = 0;
int most_inside = 0;
plait::async_event all_there;

// For all workers of a pool: whoever comes last sets it.
std::unique_ptr<plait::process_event> everybody;
void share(const plait::process_event& e) { everybody = std::make_unique<plait::process_event>(e); }

/// Ends when so many, over all workers, are there at the same time: were they run one after the other, never.
task<> meet(const std::string& path, int wanted) {
    count(path);
    if (std::filesystem::file_size(path) >= static_cast<std::uintmax_t>(wanted)) everybody->set();
    if (++inside == 1) { // one of each worker waits for all of it
        co_await everybody->wait();
        all_there.set();
    }
    co_await all_there.wait();
}

TEST(ProcessPoolLoop, AThousandCoroutinesRunAtOnceOnTwoWorkers) {
    constexpr int all = 1000;
    const plait::process_event event;
    process_pool pool{{.workers = 2, .initializer = {share, event}, .loop = true}};
    shared_counter begun;
    std::vector<plait::future<void>> futures;
    for (int i = 0; i < all; ++i) futures.push_back(pool.submit(meet, begun.path(), all));
    for (auto& f : futures) f.get();
    EXPECT_EQ(begun.value(), all);
}

TEST(ProcessPoolLoop, NoMoreThanAskedForRunAtOnce) {
    process_pool pool{{.workers = 1, .loop = true, .loop_tasks = 10}};
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 100; ++i)
        futures.push_back(pool.submit([]() -> task<int> {
            most_inside = std::max(most_inside, ++inside);
            co_await plait::sleep_for(std::chrono::milliseconds{1});
            --inside;
            co_return most_inside;
        }));
    int most = 0;
    for (auto& f : futures) most = std::max(most, f.get());
    EXPECT_LE(most, 10);
    EXPECT_GT(most, 1);
}

TEST(ProcessPoolLoop, ALongTaskHoldsUpNobodyHoweverManyPass) {
    process_pool pool{{.workers = 1, .loop = true, .loop_tasks = 4}};
    auto waits = pool.submit([]() -> task<int> {
        co_await all_there.wait();
        co_return 1;
    });
    // More than the lane has slots.
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 5000; ++i) futures.push_back(pool.submit(add, i, 1));
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i + 1);
    EXPECT_FALSE(waits.done());
    pool.submit([] { all_there.set(); }).get();
    EXPECT_EQ(waits.get(), 1);
}

TEST(ProcessPoolLoop, ValuesOfAllSizesGoThroughSideBySide) {
    process_pool pool{{.workers = 2, .loop = true}};
    std::vector<plait::future<std::vector<char>>> futures;
    const auto size_for = [](int i) {
        return static_cast<std::size_t>(i % 7) * 700'000 + static_cast<std::size_t>(i);
    };
    for (int i = 0; i < 60; ++i)
        futures.push_back(pool.submit(
            [](std::vector<char> v) -> task<std::vector<char>> {
                co_await plait::sleep_for(std::chrono::microseconds{v.size() % 13 * 100});
                co_return v;
            },
            std::vector<char>(size_for(i), static_cast<char>('a' + i % 26))));
    for (int i = 0; i < 60; ++i)
        EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(),
                  std::vector<char>(size_for(i), static_cast<char>('a' + i % 26)));
}

TEST(ProcessPoolLoop, ExceptionsNamesAndAttemptsAreEachTasksOwn) {
    process_pool pool{{.workers = 1, .loop = true}};
    std::vector<plait::future<std::string>> futures;
    static constexpr const char* names[] = {"first", "second", "third"};
    for (int i = 0; i < 30; ++i)
        futures.push_back(pool.submit(
            {.name = names[i % 3]},
            [](int number) -> task<std::string> {
                co_await plait::sleep_for(std::chrono::milliseconds{1});
                if (number % 10 == 9) throw std::out_of_range{std::to_string(number)};
                co_return std::string{plait::this_task::name()} + std::to_string(plait::this_task::attempt());
            },
            i));
    for (int i = 0; i < 30; ++i) {
        auto& f = futures[static_cast<std::size_t>(i)];
        if (i % 10 == 9)
            EXPECT_THROW(f.get(), std::out_of_range);
        else
            EXPECT_EQ(f.get(), std::string{names[i % 3]} + "1");
    }
}

TEST(ProcessPoolLoop, ACancelledTaskIsStoppedAndItsNeighboursGoOn) {
    process_pool pool{{.workers = 1, .loop = true}};
    const int pid = pool.submit(pid_of_worker).get();
    shared_counter begun;
    shared_counter cleaned;
    const auto waits = [](const std::string& began, const std::string& at_end) -> task<> {
        struct notes {
            const std::string& where;
            ~notes() { count(where); }
        } const n{at_end};
        count(began);
        co_await plait::sleep_for(std::chrono::hours{1});
    };
    auto neighbour = pool.submit([]() -> task<int> {
        co_await all_there.wait();
        co_return 7;
    });
    for (const cancel_mode mode : {cancel_mode::ask, cancel_mode::kill}) {
        auto victim = pool.submit(waits, begun.path(), cleaned.path());
        while (begun.value() == cleaned.value()) std::this_thread::yield();
        EXPECT_TRUE(victim.cancel(mode));
        victim.wait();
        EXPECT_TRUE(victim.cancelled());
    }
    EXPECT_EQ(cleaned.value(), 2) << "its destructors ran";
    pool.submit([] { all_there.set(); }).get();
    EXPECT_EQ(neighbour.get(), 7);
    EXPECT_EQ(pool.submit(pid_of_worker).get(), pid) << "nobody was killed";
}

TEST(ProcessPoolLoop, ALateTaskIsStoppedAndItsNeighboursGoOn) {
    process_pool pool{{.workers = 1, .loop = true}};
    const int pid = pool.submit(pid_of_worker).get();
    auto late = pool.submit({.timeout = std::chrono::milliseconds{20}},
                            []() -> task<> { co_await plait::sleep_for(std::chrono::hours{1}); });
    auto neighbour = pool.submit([]() -> task<int> {
        co_await all_there.wait();
        co_return 7;
    });
    EXPECT_THROW(late.get(), plait::timeout_error);
    pool.submit([] { all_there.set(); }).get();
    EXPECT_EQ(neighbour.get(), 7);
    EXPECT_EQ(pool.submit(pid_of_worker).get(), pid);
}

TEST(ProcessPoolLoop, OneThatDoesNotStopCostsItsWorkerAndTheOthersAreRetried) {
    process_pool pool{{.workers = 1, .loop = true}};
    shared_counter begun;
    const auto counts_and_waits = [](const std::string& path) -> task<int> {
        count(path);
        if (plait::this_task::attempt() == 1) co_await plait::sleep_for(std::chrono::hours{1});
        co_return plait::this_task::attempt();
    };
    auto retried = pool.submit({.retries = 1}, counts_and_waits, begun.path());
    auto lost = pool.submit(counts_and_waits, begun.path());
    while (begun.value() < 2) std::this_thread::yield();
    auto deaf = pool.submit({.timeout = std::chrono::milliseconds{20}}, spin);
    EXPECT_THROW(deaf.get(), plait::timeout_error);
    EXPECT_EQ(retried.get(), 2);
    try {
        lost.get();
        ADD_FAILURE() << "it survived";
    } catch (const worker_lost& e) {
        EXPECT_NE(e.reason().find("did not stop"), std::string::npos) << e.what();
    }
}

TEST(ProcessPoolLoop, ACrashCostsWhatTheWorkerHeldAndNothingElse) {
    process_pool pool{{.workers = 1, .loop = true}};
    shared_counter begun;
    const auto waits = [](const std::string& path) -> task<int> {
        count(path);
        co_await plait::sleep_for(std::chrono::hours{1});
        co_return 0;
    };
    const auto waits_once = [](const std::string& path) -> task<int> {
        count(path);
        if (plait::this_task::attempt() == 1) co_await plait::sleep_for(std::chrono::hours{1});
        co_return plait::this_task::attempt();
    };
    std::vector<plait::future<int>> held;
    std::vector<plait::future<int>> retried;
    for (int i = 0; i < 50; ++i) held.push_back(pool.submit(waits, begun.path()));
    for (int i = 0; i < 50; ++i) retried.push_back(pool.submit({.retries = 1}, waits_once, begun.path()));
    while (begun.value() < 100) std::this_thread::yield();
    auto crash = pool.submit({.name = "crash"}, [] { die_by(SIGSEGV); });
    EXPECT_THROW(crash.get(), worker_lost);
    std::set<int> pids;
    for (auto& f : held) {
        try {
            f.get();
            ADD_FAILURE() << "it survived";
        } catch (const worker_lost& e) {
            EXPECT_EQ(e.signal(), SIGSEGV);
            pids.insert(e.pid());
        }
    }
    EXPECT_EQ(pids.size(), 1U);
    for (auto& f : retried) EXPECT_EQ(f.get(), 2);
    EXPECT_EQ(begun.value(), 150);
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

TEST(ProcessPoolLoop, ShutdownRunsWhatIsThereOrStopsIt) {
    std::vector<plait::future<int>> done;
    {
        process_pool pool{{.workers = 2, .loop = true, .loop_tasks = 8}};
        for (int i = 0; i < 100; ++i) done.push_back(pool.submit(sleep_and_double, i));
    }
    for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)].get(), 2 * i);
    process_pool pool{{.workers = 1, .loop = true}};
    shared_counter begun;
    auto waits = pool.submit(
        [](const std::string& path) -> task<> {
            count(path);
            co_await plait::sleep_for(std::chrono::hours{1});
        },
        begun.path());
    while (begun.value() == 0) std::this_thread::yield();
    pool.shutdown({.cancel_pending = true});
    EXPECT_TRUE(waits.cancelled());
    process_pool killed{{.workers = 1, .loop = true}};
    std::vector<plait::future<void>> all;
    for (int i = 0; i < 10; ++i)
        all.push_back(killed.submit(
            [](const std::string& path) -> task<> {
                count(path);
                co_await plait::sleep_for(std::chrono::hours{1});
            },
            begun.path()));
    while (begun.value() < 11) std::this_thread::yield();
    killed.shutdown({.kill = true});
    for (auto& f : all) EXPECT_THROW(f.get(), worker_lost);
}

TEST(ProcessPoolLoop, WorkersAreReplacedAfterTheirTasks) {
    process_pool pool{{.workers = 2, .max_tasks_per_worker = 10, .loop = true}};
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 200; ++i)
        futures.push_back(pool.submit([]() -> task<int> {
            co_await plait::sleep_for(std::chrono::milliseconds{1});
            co_return ::getpid();
        }));
    std::map<int, int> tasks;
    for (auto& f : futures) ++tasks[f.get()];
    for (const auto& [pid, n] : tasks) EXPECT_LE(n, 10);
}

TEST(ProcessPoolLoop, TheInitializerAndWorkerLocalsBelongToTheLoop) {
    process_pool pool{{.workers = 1, .initializer = {remember, 40}, .loop = true}};
    EXPECT_EQ(pool.submit([]() -> task<int> { co_return remembered(2); }).get(), 42);
    EXPECT_EQ(pool.submit([](int plus) { return remembered(plus); }, 3).get(), 43);
    std::vector<int> items(100);
    for (int i = 0; i < 100; ++i) items[static_cast<std::size_t>(i)] = i;
    int next = 0;
    for (const int doubled : pool.map(sleep_and_double, items)) EXPECT_EQ(doubled, 2 * next++);
    EXPECT_EQ(next, 100);
}

TEST(ProcessPoolLoop, IsolationHoldsOnTheLoopsThread) {
    process_pool pool{
        {.workers = 1, .initializer = {remember, 1}, .loop = true, .isolate = {.read_only_files = true}}};
    EXPECT_EQ(pool.submit([]() -> task<int> {
                      const int fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
                      co_return fd < 0 ? errno : 0;
                  })
                  .get(),
              EROFS);
}

TEST(ProcessPoolLoop, WorkersKilledAtRandomLoseNothingAndRepeatNothing) {
    constexpr int tasks = sanitized ? 1000 : 4000;
    process_pool pool{{.workers = 2, .loop = true, .loop_tasks = 64}};
    note_file log;
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < tasks; ++i)
        futures.push_back(pool.submit(
            [](const std::string& path, int number) -> task<int> {
                note_number(path, number);
                co_await plait::sleep_for(std::chrono::microseconds{number % 7 * 300});
                co_return number;
            },
            log.path(), i));
    int kills = 0;
    for (int next = 0; next < tasks; next += tasks / 20) {
        while (!futures[static_cast<std::size_t>(next)].done()) std::this_thread::yield();
        // One that holds tasks: most of them are killed with some.
        for (bool killed = false; !killed && !futures.back().done();)
            for (const auto& w : pool.status())
                if (!killed && w.ready && w.task != 0) killed = ::kill(w.pid, SIGKILL) == 0 && ++kills != 0;
    }
    int lost = 0;
    std::vector<int> runs(tasks);
    for (int i = 0; i < tasks; ++i) {
        try {
            EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i);
        } catch (const worker_lost&) {
            ++lost;
        }
    }
    for (const int number : log.numbers()) EXPECT_EQ(++runs[static_cast<std::size_t>(number)], 1) << number;
    EXPECT_GT(kills, 5);
    EXPECT_GT(lost, 0);
    EXPECT_LE(lost, kills * 64);
}

TEST(ProcessPoolLoop, ValuesThatMakeNoSenseAreRefused) {
    EXPECT_THROW((process_pool{{.workers = 1, .loop = true, .loop_tasks = 0}}), std::invalid_argument);
    EXPECT_THROW((process_pool{{.workers = 1, .loop = true, .loop_tasks = 1025}}), std::invalid_argument);
    EXPECT_THROW((process_pool{{.workers = 1, .loop = true, .capture_output = true}}), std::invalid_argument);
}

} // namespace
