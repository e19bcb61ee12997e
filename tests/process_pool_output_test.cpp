// SPDX-License-Identifier: Apache-2.0
// limit: 60
// .capture_output: each task's own output, whatever becomes of the task.
#include <gtest/gtest.h>

#include <plait/process_output.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>

#include <sys/wait.h>

#include <cstdio>
#include <iostream>

#include "support/own_lane.hpp"
#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::output_of;
using plait::process_pool;
using plait::worker_lost;

int print_all_ways(int number) {
    std::printf("printf %d\n", number);
    std::cout << "cout " << number << '\n';
    std::fprintf(stderr, "stderr %d\n", number);
    std::clog << "clog " << number << '\n';
    std::fputs("no line", stdout);
    return number;
}

TEST(ProcessPoolOutput, EachTaskHasItsOwnInTheOrderOfTheWrites) {
    process_pool pool{{.workers = 2, .capture_output = true}};
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 200; ++i) futures.push_back(pool.submit(print_all_ways, i));
    for (int i = 0; i < 200; ++i) {
        auto& f = futures[static_cast<std::size_t>(i)];
        const std::string n = std::to_string(i);
        EXPECT_EQ(output_of(f),
                  "printf " + n + "\ncout " + n + "\nstderr " + n + "\nclog " + n + "\nno line");
        EXPECT_EQ(f.get(), i);
    }
}

TEST(ProcessPoolOutput, ItIsThereWhateverBecameOfTheTask) {
    process_pool pool{{.workers = 1, .capture_output = true}};
    auto threw = pool.submit([] {
        std::printf("before the throw");
        throw std::runtime_error{"thrown"};
    });
    EXPECT_EQ(output_of(threw), "before the throw");
    EXPECT_THROW(threw.get(), std::runtime_error);
    auto slow = pool.submit({.timeout = std::chrono::milliseconds{200}}, [] {
        std::printf("before the time-out\n");
        spin();
    });
    EXPECT_EQ(output_of(slow), "before the time-out\n");
    EXPECT_THROW(slow.get(), plait::timeout_error);
    auto crashed = pool.submit([] {
        std::printf("first\nlast words\n");
        die_by(SIGSEGV);
    });
    EXPECT_EQ(output_of(crashed), "first\nlast words\n");
    try {
        crashed.get();
        ADD_FAILURE() << "it survived";
    } catch (const worker_lost& lost) {
        EXPECT_EQ(lost.output(), "first\nlast words\n");
        EXPECT_NE(std::string{lost.what()}.find("last output: last words"), std::string::npos) << lost.what();
    }
    auto silent = pool.submit(add, 1, 2);
    EXPECT_EQ(output_of(silent), "");
    EXPECT_EQ(silent.get(), 3);
}

TEST(ProcessPoolOutput, TheLastAttemptsIsKept) {
    process_pool pool{{.workers = 1, .capture_output = true}};
    auto twice = pool.submit({.retries = 2}, [] {
        std::printf("attempt %d\n", plait::this_task::attempt());
        return die_until_attempt(3);
    });
    EXPECT_EQ(output_of(twice), "attempt 3\n");
    EXPECT_EQ(twice.get(), 3);
}

TEST(ProcessPoolOutput, AHundredMegabytesAreTakenAndTheirEndIsKept) {
    process_pool pool{{.workers = 2, .capture_output = true}};
    auto much = pool.submit([] {
        const std::string line(99, 'x');
        for (int i = 0; i < 1'000'000; ++i) std::printf("%s\n", line.c_str());
        std::printf("the end\n");
    });
    auto other = pool.submit(print_all_ways, 5);
    EXPECT_EQ(other.get(), 5);
    const std::string kept = output_of(much);
    EXPECT_LE(kept.size(), std::size_t{65} << 10);
    EXPECT_TRUE(kept.starts_with("[99934472 bytes before this are not kept]\n")) << kept.substr(0, 60);
    EXPECT_TRUE(kept.ends_with("x\nthe end\n"));
    much.get();
}

TEST(ProcessPoolOutput, WhatATaskStartsPrintsIntoItsOutput) {
    process_pool pool{{.workers = 1, .capture_output = true}};
    auto shell = pool.submit([] { return std::system("echo from a shell; echo and its errors >&2"); });
    EXPECT_EQ(output_of(shell), "from a shell\nand its errors\n");
    EXPECT_EQ(shell.get(), 0);
    // One that never stops printing costs its task its end, but holds nobody.
    auto rude = pool.submit([] {
        if (::fork() == 0) {
            for (;;) std::puts("again and again");
        }
        return 7;
    });
    EXPECT_EQ(rude.get(), 7);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
    pool.shutdown({.kill = true});
}

TEST(ProcessPoolOutput, ATaskThatClosesItsStreamsCostsOutputOnly) {
    process_pool pool{{.workers = 1, .capture_output = true}};
    pool.submit([] {
            ::close(STDOUT_FILENO);
            ::close(STDERR_FILENO);
        })
        .get();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(print_all_ways, i).get(), i);
}

TEST(ProcessPoolOutput, WithoutTheOptionNothingIsKeptAndOthersHaveNone) {
    process_pool pool{{.workers = 1}};
    auto plain = pool.submit(add, 1, 2);
    EXPECT_EQ(output_of(plain), "");
    plait::thread_pool threads{{.workers = 1}};
    auto thread = threads.submit(add, 1, 2);
    EXPECT_EQ(output_of(thread), "");
    EXPECT_EQ(plain.get() + thread.get(), 6);
}

TEST(ProcessPoolOutput, ATaskThatDamagesTheRequestHarmsItselfOnly) {
    process_pool pool{{.workers = 1, .capture_output = true}};
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    auto rude = pool.submit([] {
        own_lane().header().output_wanted.store(1'000'000);
        std::puts("look at it"); // which the parent does
        spin();
    });
    EXPECT_THROW(rude.get(), worker_lost);
    EXPECT_EQ(pool.submit(add, 2, 2).get(), 4);
}

TEST(ProcessPoolOutput, AWorkerThatIsKilledAtAnyMomentCostsItsTaskAlone) {
    process_pool pool{{.workers = 2, .capture_output = true}};
    int lost = 0;
    for (int round = 0; round < 100; ++round) {
        std::vector<plait::future<int>> futures;
        for (int i = 0; i < 10; ++i) futures.push_back(pool.submit(print_all_ways, i));
        while (!futures[static_cast<std::size_t>(round % 10)].done()) {}
        const auto status = pool.status();
        if (const int pid = status[static_cast<std::size_t>(round % 2)].pid; pid > 0) ::kill(pid, SIGKILL);
        for (int i = 0; i < 10; ++i) {
            auto& f = futures[static_cast<std::size_t>(i)];
            const std::string said = output_of(f);
            try {
                EXPECT_EQ(f.get(), i);
                EXPECT_TRUE(said.ends_with("clog " + std::to_string(i) + "\nno line")) << said;
            } catch (const worker_lost&) {
                ++lost;
            }
        }
        ready_workers(pool, 2);
    }
    EXPECT_LE(lost, 100);
}

} // namespace
