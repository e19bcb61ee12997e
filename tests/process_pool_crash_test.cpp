// SPDX-License-Identifier: Apache-2.0
// limit: 60
// What worker_lost says of a crash: signal, address, stack, exception, attempts, time and memory.
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <csetjmp>

#include "process/lane.hpp"
#include "support/own_lane.hpp"
#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

// A sanitizer's own handlers would come before ours.
extern "C" const char* __asan_default_options() {
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:detect_stack_use_"
           "after_"
           "return=0";
}
extern "C" const char* __tsan_default_options() {
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0";
}
extern "C" const char* __ubsan_default_options() {
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0";
}

// Functions that a stack is to name: not inlined, and with names of their own.
namespace crash_tasks {

[[gnu::noinline]] int inner_function(const volatile int* where) { return *where + 1; }
[[gnu::noinline]] int outer_function(std::uintptr_t where) {
    return inner_function(reinterpret_cast<const volatile int*>(where)) + 1;
}
volatile int deepest = 1 << 30;
[[gnu::noinline]] int endless(int depth) { // NOLINT(misc-no-recursion): what is tested
    volatile char room[1024] = {};
    room[depth % 1024] = 1;
    return depth == deepest ? 0 : endless(depth + 1) + room[0];
}
[[gnu::noinline]] int call_null(std::uintptr_t where) {
    return reinterpret_cast<int (*)()>(where)() + 1; // NOLINT: what is tested
}
[[gnu::noinline]] void abort_here() { std::abort(); }
[[gnu::noinline]] void throw_it() { throw std::out_of_range{"no such thing"}; }
[[gnu::noinline]] void throw_where_nobody_catches() noexcept { throw_it(); }
[[gnu::noinline]] void trap_here() { __builtin_trap(); }
[[gnu::noinline]] void beyond_the_file() {
    const int fd = ::memfd_create("empty", MFD_CLOEXEC);
    void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    static_cast<void>(*static_cast<const volatile char*>(page));
}

} // namespace crash_tasks

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::worker_lost;

template <class F, class... Args>
worker_lost loss_of(process_pool& pool, F f, Args... args) {
    try {
        pool.submit({.name = "resize"}, f, args...).get();
    } catch (const worker_lost& lost) {
        return lost;
    }
    ADD_FAILURE() << "it survived";
    return worker_lost{{}};
}

bool names(const worker_lost& lost, const std::string& function) {
    return std::ranges::any_of(lost.frames(), [&](const worker_lost::frame& f) {
        return f.function.find(function) != std::string::npos;
    });
}

TEST(ProcessPoolCrash, ABadPointerIsReportedWithAddressStackTaskAndWhatItCost) {
    process_pool pool{{.workers = 1}};
    const worker_lost lost = loss_of(pool, crash_tasks::outer_function, std::uintptr_t{0x10});
    EXPECT_EQ(lost.signal(), SIGSEGV);
    EXPECT_EQ(lost.address(), std::uint64_t{0x10});
    ASSERT_GE(lost.frames().size(), 3U) << lost.what();
    EXPECT_NE(lost.frames()[0].function.find("crash_tasks::inner_function"), std::string::npos)
        << lost.stack();
    EXPECT_NE(lost.frames()[1].function.find("crash_tasks::outer_function"), std::string::npos)
        << lost.stack();
    EXPECT_GT(lost.duration().count(), 0);
    EXPECT_GT(lost.peak_memory(), 1 << 20);
    const std::string what = lost.what();
    for (const char* part :
         {"worker 0 (pid ", "was killed by SIGSEGV at address 0x10 in task #", "'resize' (attempt 1 of 1, ",
          " MiB); top frames: crash_tasks::inner_function(int const volatile*), "
          "crash_tasks::outer_function("})
        EXPECT_NE(what.find(part), std::string::npos) << part << "\n" << what;
    // The place is the one that addr2line takes: that of the function in the file that is named.
    Dl_info here{};
    ASSERT_NE(::dladdr(reinterpret_cast<void*>(&crash_tasks::inner_function), &here), 0);
    const auto begin = reinterpret_cast<std::uintptr_t>(&crash_tasks::inner_function) -
                       reinterpret_cast<std::uintptr_t>(here.dli_fbase);
    EXPECT_EQ(lost.frames()[0].place, begin + lost.frames()[0].offset);
    EXPECT_NE(lost.frames()[0].module.find("process_pool_crash_test"), std::string::npos);
}

TEST(ProcessPoolCrash, AnOverflowOfTheStackIsReportedFromAnotherOne) {
    process_pool pool{{.workers = 1}};
    const worker_lost lost = loss_of(pool, crash_tasks::endless, 0);
    EXPECT_EQ(lost.signal(), SIGSEGV);
    EXPECT_TRUE(lost.address().has_value());
    EXPECT_TRUE(names(lost, "crash_tasks::endless")) << lost.what();
    EXPECT_LE(lost.frames().size(), 64U);
}

TEST(ProcessPoolCrash, ACallOfNothingNamesTheCaller) {
    process_pool pool{{.workers = 1}};
    const worker_lost lost = loss_of(pool, crash_tasks::call_null, std::uintptr_t{0});
    EXPECT_EQ(lost.signal(), SIGSEGV);
    // UBSan looks at what stands before a function that is called.
    if (!address_sanitizer) {
        EXPECT_EQ(lost.address(), std::uint64_t{0});
    }
    EXPECT_TRUE(names(lost, "crash_tasks::call_null")) << lost.what() << '\n' << lost.stack();
}

TEST(ProcessPoolCrash, OtherSignalsAreReportedAsWell) {
    process_pool pool{{.workers = 1}};
    const worker_lost aborted = loss_of(pool, crash_tasks::abort_here);
    EXPECT_EQ(aborted.signal(), SIGABRT);
    EXPECT_FALSE(aborted.address().has_value());
    EXPECT_TRUE(names(aborted, "crash_tasks::abort_here")) << aborted.what();
    EXPECT_NE(std::string{aborted.what()}.find("top frames: crash_tasks::abort_here()"), std::string::npos)
        << "not how the C library aborts: " << aborted.what();
    const worker_lost trapped = loss_of(pool, crash_tasks::trap_here);
    EXPECT_TRUE(trapped.signal() == SIGILL || trapped.signal() == SIGTRAP) << trapped.what();
    EXPECT_TRUE(names(trapped, "crash_tasks::trap_here")) << trapped.what();
    const worker_lost beyond = loss_of(pool, crash_tasks::beyond_the_file);
    EXPECT_EQ(beyond.signal(), SIGBUS);
    EXPECT_TRUE(beyond.address().has_value());
    const worker_lost sent = loss_of(pool, [] { ::raise(SIGFPE); });
    EXPECT_EQ(sent.signal(), SIGFPE);
    EXPECT_FALSE(sent.address().has_value()) << "it was sent";
    EXPECT_FALSE(sent.frames().empty());
    EXPECT_EQ(pool.submit(add, 2, 2).get(), 4);
}

TEST(ProcessPoolCrash, AnExceptionThatNobodyCatchesIsNamed) {
    process_pool pool{{.workers = 1}};
    const worker_lost lost = loss_of(pool, crash_tasks::throw_where_nobody_catches);
    EXPECT_EQ(lost.signal(), SIGABRT);
    EXPECT_EQ(lost.thrown(), "std::out_of_range: no such thing");
    EXPECT_TRUE(names(lost, "crash_tasks::throw_where_nobody_catches")) << lost.what();
    EXPECT_NE(std::string{lost.what()}.find("std::out_of_range: no such thing"), std::string::npos);
    const worker_lost in_a_thread =
        loss_of(pool, [] { std::thread{[] { throw std::runtime_error{"in a thread"}; }}.join(); });
    EXPECT_EQ(in_a_thread.thrown(), "std::runtime_error: in a thread");
}

TEST(ProcessPoolCrash, AKillFromOutsideSaysWhatIsLikely) {
    process_pool pool{{.workers = 1}};
    const worker_lost lost = loss_of(pool, [] { ::kill(::getpid(), SIGKILL); });
    EXPECT_EQ(lost.signal(), SIGKILL);
    EXPECT_TRUE(lost.frames().empty());
    EXPECT_NE(lost.reason().find("from outside"), std::string::npos) << lost.what();
    EXPECT_GT(lost.peak_memory(), 0);
}

std::jmp_buf back;

TEST(ProcessPoolCrash, AHandlerOfTheTasksOwnIsNotTakenFromIt) {
    process_pool pool{{.workers = 1}};
    auto survives = pool.submit([] {
        struct sigaction own{};
        own.sa_handler = [](int) { ::siglongjmp(back, 1); };
        own.sa_flags = SA_NODEFER;
        ::sigaction(SIGSEGV, &own, nullptr);
        if (::sigsetjmp(back, 1) != 0) return 42;
        return crash_tasks::outer_function(0x10);
    });
    EXPECT_EQ(survives.get(), 42);
    // Nothing of it is said of a later death in the same worker.
    const worker_lost lost = loss_of(pool, [] { ::kill(::getpid(), SIGKILL); });
    EXPECT_TRUE(lost.frames().empty());
    EXPECT_FALSE(lost.address().has_value());
}

TEST(ProcessPoolCrash, AChildThatATaskForksReportsNothing) {
    process_pool pool{{.workers = 1}};
    auto forks = pool.submit([] {
        const pid_t child = ::fork();
        if (child == 0) crash_tasks::outer_function(0x20);
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    });
    EXPECT_EQ(forks.get(), SIGSEGV);
    const worker_lost lost = loss_of(pool, crash_tasks::outer_function, std::uintptr_t{0x30});
    EXPECT_EQ(lost.address(), std::uint64_t{0x30});
}

TEST(ProcessPoolCrash, ATaskThatKillsItsWorkersIsNotTriedForEverAndStopsNobodyElse) {
    process_pool pool{{.workers = 2}};
    // More deaths in a row than what breaks a pool whose workers cannot start.
    auto poison =
        pool.submit({.name = "poison", .retries = 11}, crash_tasks::outer_function, std::uintptr_t{0x40});
    std::vector<plait::future<int>> others;
    for (int i = 0; i < 200; ++i) others.push_back(pool.submit(add, i, 1));
    for (int i = 0; i < 200; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), i + 1);
    try {
        poison.get();
        ADD_FAILURE() << "it survived";
    } catch (const worker_lost& lost) {
        EXPECT_EQ(lost.attempts(), 12);
        EXPECT_EQ(lost.all().most_attempts, 12);
        const std::string what = lost.what();
        EXPECT_NE(what.find("'poison' (attempt 12 of 12"), std::string::npos) << what;
        EXPECT_NE(what.find("not tried again"), std::string::npos) << what;
        EXPECT_NE(what.find("before: SIGSEGV, SIGSEGV"), std::string::npos) << what;
    }
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    pool.shutdown();
}

// A task that spoils the place of the report, and then crashes: with what the handler adds to it.
TEST(ProcessPoolCrash, ADamagedReportCostsNothingButTheReport) {
    process_pool pool{{.workers = 1}};
    for (const int byte : {0x00, 0x01, 0x7f, 0xff}) {
        const worker_lost lost = loss_of(
            pool,
            [](int value) {
                std::memset(static_cast<void*>(&own_lane().crash()), value,
                            sizeof(plait::detail::crash_record));
                own_lane().crash().signal = SIGKILL;
                ::kill(::getpid(), SIGKILL);
            },
            byte);
        EXPECT_EQ(lost.signal(), SIGKILL) << lost.what();
        EXPECT_LE(lost.frames().size(), 64U);
        EXPECT_EQ(pool.submit(add, byte, 1).get(), byte + 1);
    }
}

// A worker's own pool loses a worker; what it knows comes through whole.
void lose_one_inside() {
    process_pool inner{{.workers = 1}};
    inner.submit({.name = "inside"}, crash_tasks::outer_function, std::uintptr_t{0x50}).get();
}

TEST(ProcessPoolCrash, AReportCrossesAnotherProcessWhole) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit(lose_one_inside).get();
        ADD_FAILURE() << "nothing was thrown";
    } catch (const worker_lost& lost) {
        EXPECT_EQ(lost.address(), std::uint64_t{0x50});
        EXPECT_EQ(lost.function(), "inside");
        EXPECT_TRUE(names(lost, "crash_tasks::inner_function")) << lost.what();
    }
}

} // namespace
