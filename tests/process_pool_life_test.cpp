// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <gtest/gtest.h>

#include <dirent.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "support/process_status.hpp"
#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using plait::cancel_mode;
using plait::process_pool;
using plait::worker_lost;

std::size_t open_descriptors() {
    DIR* d = ::opendir("/proc/self/fd");
    std::size_t n = 0;
    while (::readdir(d) != nullptr) ++n;
    ::closedir(d);
    return n;
}

void await_end(int pid) {
    while (!status_of(pid).has_ended()) std::this_thread::yield();
}

int helper_of(int worker) { return status_of(worker).parent; }

// Says that it runs, and then runs until it is killed.
void spin_noting(const std::string& path) {
    count(path);
    spin();
}
void await_count(const shared_counter& counter, int wanted) {
    while (counter.value() < wanted) std::this_thread::yield();
}

TEST(ProcessPoolLife, P11_WorkersAreReplacedAfterTheirTasksAndABacklogLosesNothing) {
    process_pool pool{{.workers = 2, .max_tasks_per_worker = 3}};
    std::vector<plait::future<int>> futures;
    std::map<int, int> tasks;
    for (int i = 0; i < 60; ++i) futures.push_back(pool.submit(pid_of_worker));
    for (auto& f : futures) ++tasks[f.get()];
    for (const auto& [pid, count] : tasks) EXPECT_LE(count, 3);
    EXPECT_GE(tasks.size(), 20U);
    std::vector<plait::future<int>> late;
    for (int i = 0; i < 20; ++i) late.push_back(pool.submit(add, i, i));
    pool.shutdown();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(late[static_cast<std::size_t>(i)].get(), 2 * i);
}

TEST(ProcessPoolLife, P13_KillingARunningTaskTouchesNoOther) {
    process_pool pool{{.workers = 2}};
    shared_counter counter;
    auto victim = pool.submit(spin_noting, counter.path());
    await_count(counter, 1);
    std::vector<plait::future<int>> others;
    for (int i = 0; i < 50; ++i) others.push_back(pool.submit(add, i, 1));
    EXPECT_TRUE(victim.cancel(cancel_mode::kill));
    victim.wait();
    EXPECT_TRUE(victim.cancelled());
    for (int i = 0; i < 50; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), i + 1);
    EXPECT_EQ(ready_workers(pool, 2), 2U);
}

int pause_for(int rounds) {
    for (int i = 0; i < rounds; ++i) plait::detail::spin_pause();
    return rounds;
}

TEST(ProcessPoolLife, P13_AKillThatRacesTheEndNeverHitsTheNextTask) {
    process_pool pool{{.workers = 1}};
    constexpr int length = 2000; // of the task: long enough to be met
    int killed = 0;
    int finished = 0;
    // From before its begin to behind its end, and on until both have happened.
    for (int round = 0; round < 300 || killed == 0 || finished == 0; ++round) {
        auto victim = pool.submit(pause_for, length);
        auto next = pool.submit(add, round, 2);
        pause_for(round % 300 * (3 * length / 300));
        victim.cancel(cancel_mode::kill);
        victim.wait();
        if (victim.cancelled()) {
            ++killed;
        } else {
            EXPECT_EQ(victim.get(), length);
            ++finished;
        }
        EXPECT_EQ(next.get(), round + 2);
    }
    RecordProperty("killed", killed);
    EXPECT_GT(killed, 0);
    EXPECT_GT(finished, 0);
}

TEST(ProcessPoolLife, ATaskThatTakesTooLongIsKilledAndSaysSo) {
    process_pool pool{{.workers = 1}};
    auto slow = pool.submit({.timeout = std::chrono::milliseconds{30}}, spin);
    auto next = pool.submit({.timeout = std::chrono::hours{1}}, add, 1, 2);
    EXPECT_THROW(slow.get(), plait::timeout_error);
    EXPECT_EQ(next.get(), 3);
}

TEST(ProcessPoolLife, E7_AQueuedTaskThatIsCancelledNeverRuns) {
    process_pool pool{{.workers = 1}};
    shared_counter started;
    shared_counter counter;
    auto blocker = pool.submit(spin_noting, started.path());
    await_count(started, 1);
    auto queued = pool.submit(count, counter.path());
    EXPECT_TRUE(queued.cancel());
    EXPECT_TRUE(queued.done());
    EXPECT_TRUE(queued.cancelled());
    EXPECT_THROW(queued.get(), plait::cancelled);
    blocker.cancel(cancel_mode::kill);
    pool.submit([] {}).get();
    EXPECT_EQ(counter.value(), 0);
}

TEST(ProcessPoolLife, P14_TheHelpersDeathCostsNoTask) {
    process_pool pool{{.workers = 2}};
    ASSERT_EQ(ready_workers(pool, 2), 2U);
    shared_counter started;
    shared_counter gate;
    auto running = pool.submit(
        [](const std::string& s, const std::string& g) {
            count(s);
            for (shared_counter* none = nullptr; none == nullptr;) {
                const int fd = ::open(g.c_str(), O_RDONLY | O_CLOEXEC);
                const auto size = ::lseek(fd, 0, SEEK_END);
                ::close(fd);
                if (size > 0) return ::getpid();
            }
            return 0;
        },
        started.path(), gate.path());
    await_count(started, 1);
    const int worker = pool.status()[0].pid;
    const int helper = helper_of(worker);
    ASSERT_GT(helper, 1);
    ::kill(helper, SIGKILL);
    await_end(helper);
    count(gate.path());
    EXPECT_GT(running.get(), 0);
    EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
    EXPECT_EQ(ready_workers(pool, 2), 2U);
    EXPECT_NE(helper_of(pool.submit(pid_of_worker).get()), helper);
}

int ready_helper_of(const process_pool& pool) {
    ready_workers(pool, pool.concurrency());
    return helper_of(pool.status()[0].pid);
}

// Its workers are dead, and their successors asked for; the helper, which is stopped, answers to none.
void await_requests(const process_pool& pool) {
    // Their lanes' memory is there from just before the request until the answer.
    const auto lanes = [] {
        std::size_t n = 0;
        std::error_code gone;
        for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"})
            if (std::filesystem::read_symlink(entry, gone).string().starts_with("/memfd:plait-lane")) ++n;
        return n;
    };
    while (lanes() < pool.concurrency()) std::this_thread::yield();
    for (const auto& w : pool.status()) ASSERT_EQ(w.pid, 0); // under the lock that is held meanwhile
}

TEST(ProcessPoolLife, P14_TheHelpersDeathWhileAllWorkersAreReplacedIsOneFailure) {
    process_pool pool{{.workers = 8}};
    const int helper = ready_helper_of(pool);
    ASSERT_GT(helper, 1);
    ASSERT_EQ(::kill(helper, SIGSTOP), 0);
    for (const auto& w : pool.status()) ::kill(w.pid, SIGKILL);
    await_requests(pool);
    ASSERT_EQ(::kill(helper, SIGKILL), 0);
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(add, i, 1));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i + 1);
    EXPECT_EQ(ready_workers(pool, 8), 8U);
}

TEST(ProcessPoolLife, AStoppedHelperHoldsUpNeitherTasksNorShutdown) {
    process_pool pool{{.workers = 2}};
    for (const bool with_task : {true, false}) {
        const int helper = ready_helper_of(pool);
        ASSERT_GT(helper, 1);
        ASSERT_EQ(::kill(helper, SIGSTOP), 0);
        for (const auto& w : pool.status()) ::kill(w.pid, SIGKILL);
        await_requests(pool);
        if (with_task) {
            EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
        }
    }
    pool.shutdown();
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ProcessPoolLife, HundredsOfWorkersStart) {
    if (sanitized) GTEST_SKIP() << "16 GB of address space, each with its shadow";
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_GE(limit.rlim_cur, 2000U);
    process_pool pool{{.workers = 700}};
    EXPECT_EQ(pool.status().size(), 700U);
    for (const auto& w : pool.status()) EXPECT_GT(w.pid, 0);
    pool.shutdown({.kill = true});
}

// The pool's owner is a process of its own here, so that it can be killed: a worker of an outer pool.
std::vector<int> own_a_busy_pool_and_die(const std::string& pids, const std::string& started) {
    auto* inner = new process_pool{{.workers = 2}};
    std::vector<plait::future<void>> spinning;
    for (int i = 0; i < 2; ++i) spinning.push_back(inner->submit(spin_noting, started));
    const int fd = ::open(started.c_str(), O_RDONLY | O_CLOEXEC);
    while (::lseek(fd, 0, SEEK_END) < 2) std::this_thread::yield();
    std::vector<int> all;
    for (const auto& w : inner->status()) all.push_back(w.pid);
    all.push_back(helper_of(all[0]));
    const int out = ::open(pids.c_str(), O_WRONLY | O_CLOEXEC);
    [[maybe_unused]] const auto n = ::write(out, all.data(), all.size() * sizeof(int));
    die_by(SIGKILL);
    return all;
}

TEST(ProcessPoolLife, P15_WhenTheParentIsKilledItsBusyWorkersAndHelperEnd) {
    process_pool outer{{.workers = 1}};
    shared_counter pids;
    shared_counter started;
    EXPECT_THROW(outer.submit(own_a_busy_pool_and_die, pids.path(), started.path()).get(), worker_lost);
    int all[3] = {};
    const int fd = ::open(pids.path().c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::read(fd, all, sizeof(all)), static_cast<ssize_t>(sizeof(all)));
    ::close(fd);
    for (const int pid : all) {
        ASSERT_GT(pid, 1);
        await_end(pid);
    }
}

TEST(ProcessPoolLife, P16_WorkersHoldTheirOwnDescriptorsOnlyAndTheParentsCountStays) {
    process_pool pool{{.workers = 3}};
    ASSERT_EQ(ready_workers(pool, 3), 3U);
    const auto held = [] {
        std::vector<int> open;
        for (int fd = 0; fd < 1024; ++fd)
            if (::fcntl(fd, F_GETFD) != -1) open.push_back(fd);
        return open;
    };
    // 0, 1, 2, its bell, its lifeline and its post; the rest is its loop's and its registry's: the same in
    // each, and no neighbour's.
    const std::vector<int> first = pool.submit(held).get();
    EXPECT_LE(first.size(), 9U);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.submit(held).get(), first);
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 100; ++i) EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
    ASSERT_EQ(ready_workers(pool, 3), 3U);
    // The last one's burial may be under way still; the test's limit ends what never comes back.
    while (open_descriptors() > before) std::this_thread::yield();
    EXPECT_EQ(open_descriptors(), before);
}

TEST(ProcessPoolLife, P19_SignalsOfTheHostStayAndWorkersStartClean) {
    struct sigaction before{};
    ::sigaction(SIGCHLD, nullptr, &before);
    sigset_t some;
    ::sigemptyset(&some);
    ::sigaddset(&some, SIGUSR1);
    sigset_t old;
    ::pthread_sigmask(SIG_BLOCK, &some, &old);
    {
        process_pool pool{{.workers = 1}};
        const bool clean = pool.submit([] {
                                   sigset_t mask;
                                   ::sigprocmask(SIG_BLOCK, nullptr, &mask);
                                   for (int s = 1; s < 32; ++s)
                                       if (::sigismember(&mask, s) == 1) return false;
                                   return true;
                               })
                               .get();
        EXPECT_TRUE(clean);
        EXPECT_NE(::getpgid(pool.submit(pid_of_worker).get()), ::getpgid(0)); // Ctrl-C does not reach it
    }
    struct sigaction after{};
    ::sigaction(SIGCHLD, nullptr, &after);
    EXPECT_EQ(before.sa_handler, after.sa_handler);
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, &old, &now);
    EXPECT_EQ(::sigismember(&now, SIGUSR1), 1);
}

TEST(ProcessPoolLife, P20_IgnoringSigchldBreaksNothing) {
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before{};
    ::sigaction(SIGCHLD, &ignore, &before);
    {
        process_pool pool{{.workers = 2}};
        EXPECT_THROW(pool.submit(die_by, SIGSEGV).get(), worker_lost);
        EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    }
    ::sigaction(SIGCHLD, &before, nullptr);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ProcessPoolLife, S1_AfterShutdownSubmitThrowsAndQueuesNothing) {
    process_pool pool{{.workers = 1}};
    pool.shutdown();
    EXPECT_THROW((void)pool.submit(add, 1, 2), plait::shutdown_error);
    pool.shutdown();
}

TEST(ProcessPoolLife, S2_ShutdownRunsWhatIsQueuedAndFuturesOutliveThePool) {
    std::vector<plait::future<int>> futures;
    {
        process_pool pool{{.workers = 2}};
        for (int i = 0; i < 200; ++i) futures.push_back(pool.submit(add, i, 1));
    }
    for (int i = 0; i < 200; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i + 1);
}

TEST(ProcessPoolLife, S3_CancelPendingCancelsTheQueuedAndLetsTheRunningEnd) {
    process_pool pool{{.workers = 1}};
    shared_counter started;
    shared_counter gate;
    auto running = pool.submit(
        [](const std::string& s, const std::string& g) {
            count(s);
            const int fd = ::open(g.c_str(), O_RDONLY | O_CLOEXEC);
            while (::lseek(fd, 0, SEEK_END) == 0) std::this_thread::yield();
            ::close(fd);
            return 7;
        },
        started.path(), gate.path());
    await_count(started, 1);
    std::vector<plait::future<int>> queued;
    for (int i = 0; i < 20; ++i) queued.push_back(pool.submit(add, i, 1));
    pool.shutdown({.wait = false, .cancel_pending = true});
    for (auto& f : queued) EXPECT_TRUE(f.cancelled());
    count(gate.path());
    EXPECT_EQ(running.get(), 7);
}

TEST(ProcessPoolLife, S7_SubmitCancelShutdownAtOnceReturns) {
    for (int round = 0; round < 50; ++round) {
        process_pool pool{{.workers = 2}};
        auto f = pool.submit(add, 1, 2);
        const bool cancelled = f.cancel();
        pool.shutdown({.cancel_pending = round % 2 == 0});
        EXPECT_TRUE(f.done());
        if (cancelled && round % 2 == 1) {
            EXPECT_TRUE(f.cancelled() || f.get() == 3);
        }
    }
    process_pool pool{{.workers = 2}}; // and while its workers are still starting
    auto f = pool.submit(add, 1, 2);
    pool.shutdown({.kill = true});
    EXPECT_TRUE(f.done());
}

TEST(ProcessPoolLife, S5_ShutdownFromTwoThreadsReturnsInBoth) {
    process_pool pool{{.workers = 2}};
    auto f = pool.submit(add, 1, 1);
    std::thread other{[&] { pool.shutdown(); }};
    pool.shutdown();
    other.join();
    EXPECT_EQ(f.get(), 2);
}

TEST(ProcessPoolLife, S9_KillEndsRunningAndQueuedWithAnErrorThatSaysSo) {
    process_pool pool{{.workers = 2}};
    shared_counter started;
    auto a = pool.submit(spin_noting, started.path());
    auto b = pool.submit(spin_noting, started.path());
    auto queued = pool.submit(add, 1, 2);
    await_count(started, 2);
    pool.shutdown({.kill = true});
    try {
        a.get();
        ADD_FAILURE();
    } catch (const worker_lost& e) {
        EXPECT_NE(std::string{e.what()}.find("shutdown"), std::string::npos) << e.what();
    }
    EXPECT_THROW(b.get(), worker_lost);
    EXPECT_THROW(queued.get(), plait::shutdown_error);
}

TEST(ProcessPoolLife, S10_ACrashAfterShutdownBeganLosesItsTaskAlone) {
    process_pool pool{{.workers = 1}};
    auto doomed = pool.submit(die_by, SIGSEGV);
    auto rest = pool.submit(add, 1, 2);
    pool.shutdown();
    EXPECT_THROW(doomed.get(), worker_lost);
    EXPECT_EQ(rest.get(), 3);
}

TEST(ProcessPoolLife, S11_AHundredPoolsLeaveNothing) {
    {
        process_pool warm{{.workers = 1}};
        EXPECT_EQ(warm.submit(add, 1, 1).get(), 2); // the first task makes the registry, for good
    }
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 100; ++i) {
        process_pool pool{{.workers = 1}};
        if (i % 2 == 0) {
            EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
        }
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ProcessPoolLife, TheHostsForkedChildCannotUseThePool) {
    process_pool pool{{.workers = 1}};
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            (void)pool.submit(add, 1, 2);
            ::_exit(1);
        } catch (const std::logic_error&) {
            ::_exit(0);
        }
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

} // namespace
