// SPDX-License-Identifier: Apache-2.0
// S1 to S12: how executors end.
// limit: 300
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace conformance;

template <class E>
struct Shutdown : ::testing::Test {};
TYPED_TEST_SUITE(Shutdown, executors, names);

int same(int a) { return a; }
int slow(const token& t, int v) {
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    note(t, 'x');
    return v;
}

TYPED_TEST(Shutdown, S1_NothingIsTakenAfterwards) {
    probe p;
    auto ex = make<TypeParam>();
    ex.shutdown();
    EXPECT_THROW((void)ex.submit(mark, p.at(), 'x'), plait::shutdown_error);
    if constexpr (in_process<TypeParam>) { // else: no_post
        EXPECT_THROW(ex.post([t = p.at()] { note(t, 'x'); }), plait::shutdown_error);
    }
    auto range = ex.map(same, std::vector<int>{1, 2});
    auto at = range.begin();
    EXPECT_THROW((void)*at, plait::shutdown_error);
    EXPECT_EQ(p.log(), "");
}

TYPED_TEST(Shutdown, S1_NorFromARunningTask) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else {
        auto ex = make<TypeParam>();
        auto f = ex.submit([&ex] {
            ex.shutdown({.wait = false});
            EXPECT_THROW((void)ex.submit(same, 1), plait::shutdown_error);
            return 5;
        });
        EXPECT_EQ(f.get(), 5);
    }
}

TYPED_TEST(Shutdown, S2_RunsAllThatIsQueuedAndFuturesOutliveThePool) {
    probe p;
    std::vector<plait::future<int>> all;
    {
        auto ex = make<TypeParam>({.workers = 5});
        for (int i = 0; i < 50; ++i) all.push_back(ex.submit(slow, p.at(), i));
        ex.shutdown();
        for (auto& f : all) EXPECT_TRUE(f.done());
    }
    for (int i = 0; i < 50; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
    EXPECT_EQ(p.log(), std::string(50, 'x'));
}

TYPED_TEST(Shutdown, S3_CancelPendingCancelsWhatIsQueued) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto running = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        std::vector<plait::future<int>> queued;
        for (int i = 0; i < 20; ++i) queued.push_back(ex.submit(mark, p.at(), 'x'));
        std::latch begun{1};
        std::thread ender{[&] {
            begun.count_down();
            ex.shutdown({.cancel_pending = true});
        }};
        begun.wait();
        // Open only when the shutdown has begun: then nothing more is taken.
        for (bool closed = false; !closed;) try {
                (void)ex.submit(same, 1).cancel();
            } catch (const plait::shutdown_error&) {
                closed = true;
            }
        if constexpr (!looping<TypeParam>) // else: blocks_loop
            queued[0].wait();
        p.open();
        ender.join();
        EXPECT_EQ(running.get(), 1);
        for (auto& f : queued) {
            EXPECT_TRUE(f.done());
            EXPECT_TRUE(f.cancelled());
        }
        EXPECT_EQ(p.log(), "");
    }
}

TYPED_TEST(Shutdown, S4_WithoutWaitQueuedWorkStillRuns) {
    probe p;
    std::vector<plait::future<int>> all;
    {
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        if constexpr (!immediate<TypeParam>) { // else: runs_in_submit
            all.push_back(ex.submit(hold, p.at(), 0));
            p.wait_begun(1);
        }
        for (int i = 0; i < 20; ++i) all.push_back(ex.submit(slow, p.at(), i));
        ex.shutdown({.wait = false});
        EXPECT_EQ(p.log().size(), immediate<TypeParam> ? 20u : 0u) << "it has not waited";
        EXPECT_THROW((void)ex.submit(same, 1), plait::shutdown_error);
        p.open();
    }
    for (auto& f : all) EXPECT_TRUE(f.done());
    EXPECT_EQ(p.log().size(), 20u);
}

TYPED_TEST(Shutdown, S5_TwiceAndFromTwoThreadsIsHarmless) {
    for (int round = 0; round < 20; ++round) {
        probe p;
        auto ex = make<TypeParam>();
        for (int i = 0; i < 10; ++i) (void)ex.submit(slow, p.at(), i);
        std::latch together{2};
        const auto end = [&] {
            together.arrive_and_wait();
            ex.shutdown();
            EXPECT_EQ(p.log().size(), 10u);
        };
        std::thread other{end};
        end();
        other.join();
        ex.shutdown();
    }
}

TYPED_TEST(Shutdown, S6_WaitingInATaskOfThePoolThrows) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else {
        auto ex = make<TypeParam>();
        ex.submit([&ex] { EXPECT_THROW(ex.shutdown(), std::logic_error); }).get();
        EXPECT_EQ(ex.submit(same, 2).get(), 2) << "it goes on";
    }
}

TYPED_TEST(Shutdown, S6_DestructionInATaskOfThePoolIsDeferred) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else {
        for (int round = 0; round < 50; ++round) {
            auto ex = std::unique_ptr<TypeParam>{new TypeParam(make<TypeParam>())};
            auto* const raw = ex.get();
            auto f = raw->submit([ex = std::move(ex)]() mutable {
                auto behind = ex->submit(same, 3);
                ex.reset();
                return behind;
            });
            EXPECT_EQ(f.get().get(), 3);
        }
    }
}

TYPED_TEST(Shutdown, S7_SubmitCancelShutdownReturns) {
    for (int round = 0; round < (separate<TypeParam> ? 20 : 500); ++round) {
        auto ex = make<TypeParam>();
        auto f = ex.submit(same, 1);
        f.cancel();
        ex.shutdown();
        EXPECT_TRUE(f.done());
    }
}

plait::task<int> awaits(plait::future<int> f) { co_return co_await f; }

TYPED_TEST(Shutdown, S8_CancelPendingEndsWhatIsSuspendedForEver) {
    if constexpr (separate<TypeParam>) {
        skip_for<TypeParam>(because::suspends_elsewhere);
    } else if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::closed_by_use);
    } else {
        for (int round = 0; round < 50; ++round) {
            plait::promise<int> never;
            auto ex = make<TypeParam>();
            auto f = ex.submit(awaits, never.get_future());
            if (round % 2 == 0) ex.submit(same, 1).get();
            ex.shutdown({.cancel_pending = true});
            EXPECT_TRUE(f.cancelled());
        }
    }
}

TYPED_TEST(Shutdown, S8_PlainShutdownWaitsForWhatIsSuspended) {
    if constexpr (separate<TypeParam>) {
        skip_for<TypeParam>(because::suspends_elsewhere);
    } else if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::closed_by_use);
    } else {
        plait::promise<int> later;
        auto ex = make<TypeParam>();
        auto f = ex.submit(awaits, later.get_future());
        std::thread setter{[&] {
            for (bool closed = false; !closed;) try {
                    (void)ex.submit(same, 1);
                } catch (const plait::shutdown_error&) {
                    closed = true;
                }
            EXPECT_FALSE(f.done());
            later.set_value(8);
        }};
        ex.shutdown();
        EXPECT_TRUE(f.done());
        setter.join();
        EXPECT_EQ(f.get(), 8);
    }
}

std::size_t entries(const std::string& directory) {
    std::error_code error;
    std::size_t n = 0;
    for (const auto& e : std::filesystem::directory_iterator{directory, error}) n += !e.path().empty();
    return n;
}
/// Also those that a worker or helper left to us: see PR_SET_CHILD_SUBREAPER below.
std::size_t children() {
    std::size_t n = 0;
    std::error_code error;
    for (const auto& thread : std::filesystem::directory_iterator{"/proc/self/task", error}) {
        std::ifstream list{thread.path() / "children"};
        for (int pid = 0; list >> pid;) ++n;
    }
    return n;
}

TYPED_TEST(Shutdown, S9_KillEndsRunningAndQueuedWithAnErrorThatSaysSo) {
    if constexpr (!separate<TypeParam>) {
        skip_for<TypeParam>(because::no_processes);
    } else {
        probe p;
        const auto before = children();
        auto ex = make<TypeParam>();
        std::vector<plait::future<int>> all;
        for (int i = 0; i < 10; ++i) all.push_back(ex.submit(hold, p.at(), i));
        p.wait_begun(2);
        EXPECT_GT(children(), before);
        ex.shutdown({.kill = true});
        for (auto& f : all) {
            ASSERT_TRUE(f.done());
            EXPECT_THROW(f.get(), std::runtime_error);
        }
        EXPECT_FALSE(p.another_begun()) << "none was replaced";
        EXPECT_EQ(children(), before);
        ex.shutdown({.kill = true}); // with dead workers, a no-op
        EXPECT_EQ(children(), before);
    }
}

int crash_at_the_gate(const token& t) {
    hold(t, 0);
    ::_exit(4);
}

TYPED_TEST(Shutdown, S10_ACrashAfterShutdownBeganCostsItsTaskOnly) {
    if constexpr (!separate<TypeParam>) {
        skip_for<TypeParam>(because::no_processes);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto crashing = ex.submit(crash_at_the_gate, p.at());
        p.wait_begun(1);
        std::vector<plait::future<int>> rest;
        for (int i = 0; i < 20; ++i) rest.push_back(ex.submit(same, i));
        ex.shutdown({.wait = false});
        p.open();
        ex.shutdown();
        EXPECT_THROW(crashing.get(), plait::worker_lost);
        for (int i = 0; i < 20; ++i) EXPECT_EQ(rest[static_cast<std::size_t>(i)].get(), i);
    }
}

struct census {
    std::size_t threads = entries("/proc/self/task");
    std::size_t descriptors = entries("/proc/self/fd");
    std::size_t processes = children();
    std::size_t shared = entries("/dev/shm");
    bool operator==(const census&) const = default;
};
std::ostream& operator<<(std::ostream& out, const census& c) {
    return out << c.threads << " threads, " << c.descriptors << " descriptors, " << c.processes
               << " children, " << c.shared << " in /dev/shm";
}

TYPED_TEST(Shutdown, S11_NothingIsLeftBehind) {
    int adopts = 0; // orphans among our descendants become our children, and are counted
    ASSERT_EQ(::prctl(PR_GET_CHILD_SUBREAPER, &adopts), 0);
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const auto once = [] {
        auto ex = make<TypeParam>();
        EXPECT_EQ(ex.submit(same, 1).get(), 1);
        EXPECT_EQ(children() != 0, separate<TypeParam>) << "what is counted is there to be counted";
        if constexpr (in_process<TypeParam>) // else: own_memory
            ex.submit([]() -> plait::task<> {
                  co_await plait::sleep_for(std::chrono::nanoseconds{1});
              }).get();
        ex.shutdown();
    };
    once(); // what is made once and stays: the registry's memory, a helper
    const census before;
    for (int i = 0; i < 100; ++i) once();
    // A thread that has been joined may be listed a moment longer: the kernel wakes the joiner first.
    for (int i = 0; i < 10'000 && census{} != before; ++i) std::this_thread::yield();
    EXPECT_EQ(census{}, before);
    EXPECT_EQ(before.processes, 0U);
    ::prctl(PR_SET_CHILD_SUBREAPER, adopts);
}

// S12: small programs, see tests/support/exit_probe.cpp.
struct ended {
    int status = -1;
    std::string output;
};
ended run_exit_probe(const char* mode, const char* executor) {
    const std::string command = std::string{PLAIT_EXIT_PROBE} + " " + mode + " " + executor;
    ended e;
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (!pipe) return e;
    char buffer[256];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) e.output.append(buffer, n);
    const int status = ::pclose(pipe);
    e.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
    return e;
}

TYPED_TEST(Shutdown, S12_AStaticPoolDrainsAtExit) {
    const ended e = run_exit_probe("static", name_of<TypeParam>);
    EXPECT_EQ(e.status, 7) << "the status of main";
    EXPECT_EQ(e.output, std::string(20, 'x'));
}

TYPED_TEST(Shutdown, S12_APoolLeftInMainDrains) {
    const ended e = run_exit_probe("local", name_of<TypeParam>);
    EXPECT_EQ(e.status, 7);
    EXPECT_EQ(e.output, std::string(20, 'x'));
}

TYPED_TEST(Shutdown, S12_SubmittingWhileItDrainsAtExitThrows) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        const ended e = run_exit_probe("late", name_of<TypeParam>);
        EXPECT_EQ(e.status, 7);
        EXPECT_EQ(e.output, "refused");
    }
}

TYPED_TEST(Shutdown, S12_ExitInsideATaskEnds) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        EXPECT_EQ(run_exit_probe("exit", name_of<TypeParam>).status, 9);
    }
}

} // namespace
