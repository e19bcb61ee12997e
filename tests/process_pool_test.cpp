// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include <plait/errors.hpp>
#include <plait/process_pool.hpp>
#include <plait/this_task.hpp>

#include "conformance/probe.hpp"
#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::worker_lost;

TEST(ProcessPool, E1_SubmitGivesTheResultOfFunctionsLambdasMembersAndObjects) {
    process_pool pool{{.workers = 2}};
    EXPECT_EQ(pool.submit(add, 2, 3).get(), 5);
    EXPECT_EQ(pool.submit([](int x) { return x + 1; }, 41).get(), 42);
    EXPECT_EQ(pool.submit(&point::sum, point{3, 4}).get(), 7);
    EXPECT_EQ(pool.submit(multiplier{6}, 7).get(), 42);
    EXPECT_EQ(pool.submit(&shape::area, square{5}).get(), 25); // virtual
    pool.submit([] {}).get();
    EXPECT_EQ(*pool.submit([](std::unique_ptr<int> p) { return std::make_unique<int>(*p + 1); },
                           std::make_unique<int>(1))
                   .get(),
              2);
}

TEST(ProcessPool, E3_ACoroutineIsDrivenToItsEndInTheWorker) {
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit(sleep_and_double, 21).get(), 42);
    EXPECT_NE(pool.submit([]() -> plait::task<int> { co_return ::getpid(); }).get(), ::getpid());
}

TEST(ProcessPool, E15_OptionsThatMakeNoSenseAreRefusedByName) {
    EXPECT_THROW((process_pool{{.workers = 0}}), std::invalid_argument);
    EXPECT_THROW((process_pool{{.workers = -3}}), std::invalid_argument);
    EXPECT_THROW((process_pool{{.workers = 1, .max_tasks_per_worker = 0}}), std::invalid_argument);
}

int note_pid_and_die(const std::string& path, int signal) {
    note_number(path, ::getpid());
    return die_by(signal);
}

TEST(ProcessPool, P1_EachWayToDieCostsItsTaskAlone) {
    process_pool pool{{.workers = 2}};
    std::uint64_t last = 0;
    for (const int signal : {SIGSEGV, SIGABRT, SIGKILL, SIGBUS, SIGFPE}) {
        auto bystander = pool.submit(add, 1, signal);
        note_file pid;
        auto f = pool.submit({.name = "victim"}, note_pid_and_die, pid.path(), signal);
        try {
            f.get();
            ADD_FAILURE() << "survived " << signal;
        } catch (const worker_lost& e) {
            EXPECT_EQ(e.signal(), signal);
            EXPECT_EQ(std::vector<int>{e.pid()}, pid.numbers());
            EXPECT_LT(e.worker(), 2U);
            EXPECT_GT(e.task(), last);
            last = e.task(); // tasks are numbered as they are submitted
            EXPECT_EQ(e.function(), "victim");
            EXPECT_EQ(e.attempts(), 1);
            EXPECT_NE(std::string{e.what()}.find("'victim'"), std::string::npos) << e.what();
        }
        EXPECT_EQ(bystander.get(), 1 + signal);
    }
    for (const auto& [way, status] : {std::pair{&end_at_once, 0}, {&end_at_once, 99}, {&end_by_exit, 1}}) {
        try {
            pool.submit(*way, status).get();
            ADD_FAILURE() << "survived exit status " << status;
        } catch (const worker_lost& e) {
            EXPECT_EQ(e.signal(), 0);
            EXPECT_EQ(e.status(), status);
        }
    }
    try {
        pool.submit(throw_in_a_thread).get();
        ADD_FAILURE() << "survived a throw in a thread";
    } catch (const worker_lost& e) {
        EXPECT_EQ(e.signal(), SIGABRT);
    }
    EXPECT_EQ(pool.submit(add, 2, 2).get(), 4);
}

int note_and_crash_every_tenth(const std::string& path, int i) {
    note_number(path, i);
    return crash_every_tenth(i);
}

TEST(ProcessPool, P2_AHundredCrashesInAThousandTasksCostAHundred) {
    process_pool pool{{.workers = 3}};
    note_file ran;
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 1000; ++i) futures.push_back(pool.submit(note_and_crash_every_tenth, ran.path(), i));
    int values = 0;
    int lost = 0;
    for (int i = 0; i < 1000; ++i) {
        try {
            EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i);
            EXPECT_NE(i % 10, 0);
            ++values;
        } catch (const worker_lost&) {
            EXPECT_EQ(i % 10, 0);
            ++lost;
        }
    }
    EXPECT_EQ(values, 900);
    EXPECT_EQ(lost, 100);
    std::vector<int> once(1000);
    std::iota(once.begin(), once.end(), 0);
    std::vector<int> runs = ran.numbers();
    std::ranges::sort(runs);
    EXPECT_EQ(runs, once) << "each ran, and none twice";
    EXPECT_EQ(pool.concurrency(), 3U);
    EXPECT_EQ(ready_workers(pool, 3), 3U);
}

TEST(ProcessPool, P3_AnIdleWorkersDeathFailsNothing) {
    process_pool pool{{.workers = 2}};
    ASSERT_EQ(ready_workers(pool, 2), 2U);
    const int victim = pool.status()[0].pid;
    ::kill(victim, SIGKILL);
    while (pool.status()[0].pid == victim || !pool.status()[0].ready) std::this_thread::yield();
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(add, i, 1));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i + 1);
}

TEST(ProcessPool, P4_AnArgumentThatCannotBeWrittenFailsItsSubmitAlone) {
    process_pool pool{{.workers = 1}};
    EXPECT_THROW((void)pool.submit(take_unwritable, unwritable{}), std::domain_error);
    auto next = pool.submit(add, 1, 2);
    EXPECT_THROW((void)pool.submit(take_unwritable, unwritable{}), std::domain_error);
    pool.shutdown({.wait = false});
    EXPECT_EQ(next.get(), 3);
}

TEST(ProcessPool, P5_AnArgumentThatCannotBeReadNamesItselfAndKeepsTheWorker) {
    process_pool pool{{.workers = 1}};
    const int pid = pool.submit(pid_of_worker).get();
    try {
        pool.submit(take_unreadable, 1, unreadable{}).get();
        ADD_FAILURE() << "it was read";
    } catch (const std::runtime_error& e) {
        EXPECT_NE(std::string{e.what()}.find("argument 2"), std::string::npos) << e.what();
        EXPECT_THROW(std::rethrow_if_nested(e), std::domain_error);
    }
    EXPECT_EQ(pool.submit(pid_of_worker).get(), pid);
    EXPECT_THROW(pool.submit(take_deadly_to_read, deadly_to_read{}).get(), worker_lost);
    EXPECT_NE(pool.submit(pid_of_worker).get(), pid);
}

TEST(ProcessPool, P6_AResultThatCannotBeWrittenOrReadFailsAlone) {
    process_pool pool{{.workers = 1}};
    const int pid = pool.submit(pid_of_worker).get();
    for (int i = 0; i < 20; ++i) EXPECT_THROW(pool.submit(make_unwritable).get(), std::domain_error);
    for (int i = 0; i < 5; ++i) EXPECT_THROW(pool.submit(make_unreadable).get(), std::domain_error);
    EXPECT_THROW(pool.submit(make_unwritable_after_much).get(), std::domain_error);
    EXPECT_EQ(pool.submit(pid_of_worker).get(), pid);
}

TEST(ProcessPool, P7_ADeathInTheMiddleOfLargeValuesNeverGivesHalfOfOne) {
    process_pool pool{{.workers = 2}};
    const std::vector<char> large(std::size_t{16} << 20, 'x');
    std::vector<plait::future<int>> taken;
    for (int i = 0; i < 10; ++i) taken.push_back(pool.submit(take_large_and_die, dies_while_read{large}));
    for (auto& f : taken) EXPECT_THROW(f.get(), worker_lost);
    std::vector<plait::future<dies_while_written>> given;
    for (int i = 0; i < 10; ++i) given.push_back(pool.submit(give_large_and_die));
    for (auto& f : given) EXPECT_THROW(f.get(), worker_lost);
    EXPECT_EQ(pool.submit(size_of, large).get(), large.size());
}

TEST(ProcessPool, P10_RetriesAreForLostWorkersOnly) {
    process_pool pool{{.workers = 2}};
    shared_counter counter;
    try {
        pool.submit({.name = "doomed", .retries = 2}, count_and_die, counter.path()).get();
        ADD_FAILURE() << "survived";
    } catch (const worker_lost& e) {
        EXPECT_EQ(e.attempts(), 3);
        EXPECT_NE(std::string{e.what()}.find("attempt 3 of 3"), std::string::npos) << e.what();
    }
    EXPECT_EQ(counter.value(), 3);
    EXPECT_THROW(pool.submit({.retries = 2}, count_and_throw, counter.path()).get(), std::runtime_error);
    EXPECT_EQ(counter.value(), 4);
    EXPECT_EQ(pool.submit({.retries = 3}, die_until_attempt, 3).get(), 3);
}

TEST(ProcessPool, P26_ArgumentsAreDestroyedInTheWorkerBeforeItsNextTask) {
    process_pool pool{{.workers = 1}};
    for (int i = 0; i < 3; ++i) {
        EXPECT_GE(pool.submit(live_objects, counted{}).get(), 1);
        EXPECT_EQ(pool.submit([] { return counted::alive; }).get(), 0);
    }
    EXPECT_EQ(counted::alive, 0); // and none in the parent
}

std::size_t resident_bytes() {
    std::ifstream statm{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t hold_much(conformance::token gate, std::vector<char> much) {
    conformance::hold(gate, 0);
    return much.size();
}

TEST(ProcessPool, P26_SentArgumentsAreFreedInTheParentWhileTheTaskRuns) {
    if (sanitized) GTEST_SKIP() << "a sanitizer keeps what is freed for a while";
    process_pool pool{{.workers = 1}};
    constexpr std::size_t streamed = std::size_t{64} << 20;
    constexpr std::size_t in_a_block = std::size_t{700} << 10;
    for (const std::size_t size : {streamed, in_a_block}) {
        conformance::probe gate;
        const conformance::opener opener{gate};
        // The lane's pages are resident in both processes, and stay so: not to be mistaken for the copy.
        EXPECT_EQ(pool.submit(size_of, std::vector<char>(size, 'w')).get(), size);
        const std::size_t before = resident_bytes();
        std::vector<plait::future<std::size_t>> futures;
        futures.push_back(pool.submit(hold_much, gate.at(), std::vector<char>(size, 'x')));
        gate.wait_begun(1);
        // The copy's end needs a turn of the pool's thread; the test's limit ends what never comes.
        while (resident_bytes() > before + size / 2) std::this_thread::yield();
        gate.open();
        EXPECT_EQ(futures[0].get(), size);
    }
}

TEST(ProcessPool, P26_ArgumentsAreKeptForRetriesAndForTasksThatMove) {
    process_pool pool{{.workers = 1}};
    const auto size_at_attempt = [](int wanted, const std::vector<char>& much) {
        if (plait::this_task::attempt() < wanted) die_by(SIGKILL);
        return much.size();
    };
    for (const std::size_t size : {std::size_t{100}, std::size_t{700} << 10, std::size_t{20} << 20}) {
        auto retried = pool.submit({.retries = 2}, size_at_attempt, 3, std::vector<char>(size, 'x'));
        auto moved = pool.submit(size_of, std::vector<char>(size, 'y')); // from one worker to the next
        EXPECT_EQ(retried.get(), size);
        EXPECT_EQ(moved.get(), size);
    }
}

TEST(ProcessPool, P27_ValuesComeBackEqual) {
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit(echo<std::string>, std::string{}).get(), "");
    EXPECT_EQ(pool.submit(echo<std::vector<int>>, std::vector<int>{}).get(), std::vector<int>{});
    EXPECT_EQ(pool.submit(echo<std::string>, std::string(300, 'a')).get(), std::string(300, 'a'));
    EXPECT_EQ(pool.submit(echo<std::string>, std::string(70'000, 'b')).get(), std::string(70'000, 'b'));
    EXPECT_EQ(pool.submit(echo<std::string>, std::string(3'000'000, 'c')).get(), std::string(3'000'000, 'c'));
    rich value;
    value.table["one"] = {1, std::nullopt, 3};
    value.table[""] = {};
    value.name = "rich";
    value.corner = {1, 2};
    EXPECT_EQ(pool.submit(echo<rich>, value).get(), value);
    std::vector<double> large(12'500'000);
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<double>(i);
    EXPECT_EQ(pool.submit(echo<std::vector<double>>, large).get(), large);
}

TEST(ProcessPool, P27_AStreamIsWholeAfterASmallTaskThatTookLong) {
    process_pool pool{{.workers = 2}};
    conformance::probe gate;
    auto small = pool.submit(conformance::hold, gate.at(), 7); // its arguments are not streamed
    gate.wait_begun(1);
    // The other worker's results: the pool's thread looks at all lanes for each.
    for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
    gate.open();
    EXPECT_EQ(small.get(), 7);
    const std::vector<char> large(std::size_t{3} << 20, 'x');
    std::vector<plait::future<std::vector<char>>> streams; // one for each worker
    for (int i = 0; i < 2; ++i) streams.push_back(pool.submit(echo<std::vector<char>>, large));
    for (auto& f : streams) EXPECT_EQ(f.get(), large);
}

TEST(ProcessPool, L4_TheInitializerRunsOnceOnEachWorkerAndOnReplacements) {
    process_pool pool{{.workers = 2, .initializer = {remember, 40}}};
    EXPECT_EQ(pool.submit(remembered, 2).get(), 42);
    EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(remembered, 3).get(), 43);
}

TEST(ProcessPool, L5_AnInitializerThatAlwaysFailsBreaksThePoolWithItsCause) {
    process_pool pool{{.workers = 2, .initializer = throw_in_initializer}};
    auto early = pool.submit(add, 1, 1);
    try {
        early.get();
        ADD_FAILURE() << "it ran";
    } catch (const plait::pool_broken& e) {
        EXPECT_NE(std::string{e.what()}.find("no licence"), std::string::npos) << e.what();
        EXPECT_THROW(std::rethrow_if_nested(e), std::runtime_error);
    }
    EXPECT_THROW(pool.submit(add, 1, 1).get(), plait::pool_broken);
    pool.shutdown();
}

TEST(ProcessPool, L5_AnInitializerThatCrashesBreaksThePoolWithItsCause) {
    process_pool pool{{.workers = 1, .initializer = {die_by_void, SIGSEGV}}};
    try {
        pool.submit(add, 1, 1).get();
        ADD_FAILURE() << "it ran";
    } catch (const plait::pool_broken& e) {
        EXPECT_NE(std::string{e.what()}.find("SIGSEGV"), std::string::npos) << e.what();
    }
}

} // namespace
