// SPDX-License-Identifier: Apache-2.0
// event_loop::run and plait::run: results, leftovers, Ctrl-C.
#include "support/strands.hpp"

#include <plait/errors.hpp>

#include <csignal>
#include <sys/wait.h>

namespace plait::test {
namespace {

TEST(Run, X1_GivesTheValueOrThrowsTheException) {
    EXPECT_EQ(run(after_yields(3, std::string{"value"})), "value");
    try {
        run(fail_after(1, 4));
        ADD_FAILURE();
    } catch (const failure& f) {
        EXPECT_EQ(f.number, 4);
    }
}

TEST(Run, X1_ALoopIsUsableAgainAndThrowsAfterShutdown) {
    event_loop loop;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(loop.run(after_yields(i, i)), i);
    EXPECT_THROW(loop.run(fail_after(0, 1)), failure);
    EXPECT_EQ(loop.run(after_yields(1, 5)), 5);
    EXPECT_EQ(loop.submit([] { return 6; }).get(), 6); // starts the loop's own thread
    EXPECT_EQ(loop.run(after_yields(1, 7)), 7);
    loop.shutdown();
    EXPECT_THROW(loop.run(after_yields(1, 8)), shutdown_error);
}

TEST(Run, X1_InTheCallersThread) {
    const auto here = std::this_thread::get_id();
    run([](std::thread::id caller) -> task<> {
        EXPECT_TRUE(std::this_thread::get_id() == caller);
        co_await sleep_for(1us);
        EXPECT_TRUE(std::this_thread::get_id() == caller);
    }(here));
}

task<> hold(counted) { co_return; }

TEST(Run, X2_InsideARunningLoopThrowsAndTheInnerTaskIsFreedUnrun) {
    std::atomic<int> live{0};
    run([](std::atomic<int>& count) -> task<> {
        event_loop other;
        EXPECT_THROW(other.run(hold(counted{count})), std::logic_error);
        EXPECT_EQ(count, 0);
        EXPECT_THROW(run(hold(counted{count})), std::logic_error);
        EXPECT_EQ(count, 0);
        co_return;
    }(live));
}

TEST(Run, X2_WhileAnotherThreadDrivesTheLoopToo) {
    event_loop loop;
    promise<void> begun;
    promise<void> go;
    std::atomic<int> live{0};
    auto started = begun.get_future();
    std::thread other{[&] {
        loop.run([](promise<void>& b, future<void> g) -> task<> {
            b.set_value();
            co_await g;
        }(begun, go.get_future()));
    }};
    started.get();
    EXPECT_THROW(loop.run(hold(counted{live})), std::logic_error);
    EXPECT_EQ(live, 0);
    go.set_value();
    other.join();
    EXPECT_EQ(loop.run(after_yields(1, 3)), 3);
}

TEST(Run, X3_TasksThatAreLeftAreCancelledAndWaitedFor) {
    witness w;
    test::unheard unheard;
    event_loop loop{{.on_unhandled = unheard.handler()}};
    const int value = loop.run([](event_loop& l, witness& seen) -> task<int> {
        l.post([&seen]() -> task<> { co_await seen.wait(); });
        l.post([&seen]() -> task<> { co_await seen.wait_and_resist(10); });
        l.post([&seen]() -> task<> {
            try {
                co_await seen.wait();
            } catch (const cancelled&) {}
            throw failure{5};
        });
        while (seen.began < 3) co_await yield();
        co_return 7;
    }(loop, w));
    EXPECT_EQ(value, 7) << "the main result stands";
    EXPECT_EQ(w.cancelled, 3);
    EXPECT_EQ(w.ended, 3);
    EXPECT_EQ(unheard.numbers(), std::vector{5});
}

TEST(Run, X3_AlsoWhenTheMainTaskFails) {
    witness w;
    event_loop loop;
    const auto main_task = [](event_loop& l, witness& seen) -> task<> {
        l.post([&seen]() -> task<> { co_await seen.wait(); });
        while (seen.began < 1) co_await yield();
        throw failure{9};
    };
    EXPECT_THROW(loop.run(main_task(loop, w)), failure);
    EXPECT_EQ(w.ended, 1);
}

/// What `body` returns in a process of its own: its exit status, or -signal.
template <class F>
int in_child(F body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60); // a child that hangs must not outlive its test
        ::_exit(body());
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return 1000;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void (*handler_of_sigint())(int) {
    struct sigaction now{};
    ::sigaction(SIGINT, nullptr, &now);
    return now.sa_handler;
}

TEST(Interrupt, X4_WithoutAskingSigintEndsTheProcess) {
    const int status = in_child([] {
        run([]() -> task<> {
            ::kill(::getpid(), SIGINT);
            co_await forever();
        }());
        return 0;
    });
    EXPECT_EQ(status, -SIGINT);
}

TEST(Interrupt, X4_TheFirstCancelsTheMainTaskWhoseCleanUpRunsAndRunThrowsInterrupted) {
    const int status = in_child([] {
        witness w;
        bool cleaned_up = false;
        const auto main_task = [](witness& seen, bool& clean) -> task<> {
            bool stopped = false;
            ::kill(::getpid(), SIGINT);
            try {
                co_await seen.wait();
            } catch (const cancelled&) {
                stopped = true;
            }
            if (stopped) clean = co_await shield(after_yields(5, true));
        };
        try {
            run(main_task(w, cleaned_up), {.interrupt = true});
            return 1;
        } catch (const interrupted&) {}
        if (!cleaned_up) return 2;
        if (w.cancelled != 1) return 3;
        if (handler_of_sigint() != SIG_DFL) return 4; // the old one is back
        return 42;
    });
    EXPECT_EQ(status, 42);
}

TEST(Interrupt, X4_ItWakesALoopThatSleeps) {
    const int status = in_child([] {
        const pid_t me = ::getpid();
        try {
            std::atomic<bool> asleep{false};
            std::thread sender{[&] {
                while (!asleep) std::this_thread::yield();
                ::kill(me, SIGINT);
            }};
            sender.detach();
            run(
                [](std::atomic<bool>& flag) -> task<> {
                    flag = true;
                    co_await forever();
                }(asleep),
                {.interrupt = true});
            return 1;
        } catch (const interrupted&) {
            return 42;
        }
    });
    EXPECT_EQ(status, 42);
}

TEST(Interrupt, X4_ASecondOneEndsTheProcessAtOnce) {
    const int status = in_child([] {
        try {
            run(
                []() -> task<> {
                    ::kill(::getpid(), SIGINT);
                    bool stopped = false;
                    try {
                        co_await forever();
                    } catch (const cancelled&) {
                        stopped = true;
                    }
                    if (stopped) {
                        ::kill(::getpid(), SIGINT);
                        co_await shield(forever());
                    }
                }(),
                {.interrupt = true});
        } catch (const interrupted&) {}
        return 1;
    });
    EXPECT_EQ(status, -SIGINT);
}

TEST(Interrupt, X5_TheHostsOwnHandlerStays) {
    const int status = in_child([] {
        static volatile sig_atomic_t seen = 0;
        const auto own = [](int) { seen = seen + 1; };
        ::signal(SIGINT, own);
        const int value = run(
            [](void (*mine)(int)) -> task<int> {
                if (handler_of_sigint() != mine) co_return 1;
                ::kill(::getpid(), SIGINT);
                co_await yield();
                co_return 42;
            }(own),
            {.interrupt = true});
        if (seen != 1) return 2;
        return handler_of_sigint() == own ? value : 3;
    });
    EXPECT_EQ(status, 42);
}

TEST(Interrupt, X5_IgnoredStaysIgnored) {
    const int status = in_child([] {
        ::signal(SIGINT, SIG_IGN);
        return run(
            []() -> task<int> {
                ::kill(::getpid(), SIGINT);
                co_await yield();
                co_return 42;
            }(),
            {.interrupt = true});
    });
    EXPECT_EQ(status, 42);
}

TEST(Interrupt, X5_OffTheMainThreadNothingIsReplaced) {
    const int status = in_child([] {
        int result = 0;
        std::thread other{[&result] {
            result = run(
                []() -> task<int> {
                    co_await yield();
                    co_return handler_of_sigint() == SIG_DFL ? 42 : 1;
                }(),
                {.interrupt = true});
        }};
        other.join();
        return result;
    });
    EXPECT_EQ(status, 42);
}

} // namespace
} // namespace plait::test
