// SPDX-License-Identifier: Apache-2.0
// limit: 60
// One long-lived process.
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/pipe.hpp>
#include <plait/process.hpp>
#include <plait/shared_array.hpp>

#include <sys/wait.h>

#include <fstream>
#include <set>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::pipe;
using plait::pipe_receiver;
using plait::pipe_sender;
using plait::process;
using plait::task;

void answer(const pipe<int>& p) {
    while (auto n = p.receive_blocking()) p.send_blocking(2 * *n);
}

TEST(Process, RunsAFunctionThatTalksThroughAPipe) {
    auto [here, there] = pipe<int>::pair();
    process server{answer, std::move(there)};
    EXPECT_TRUE(server.running());
    EXPECT_GT(server.pid(), 0);
    EXPECT_NE(server.pid(), ::getpid());
    EXPECT_FALSE(server.exit_code());
    for (int i = 0; i < 100; ++i) {
        here.send_blocking(i);
        EXPECT_EQ(here.receive_blocking(), 2 * i);
    }
    EXPECT_FALSE(server.join_for(0s));
    const int pid = server.pid();
    here.close();
    server.join();
    EXPECT_FALSE(server.running());
    EXPECT_EQ(server.exit_code(), 0);
    EXPECT_EQ(server.pid(), pid);
    EXPECT_EQ(::kill(pid, 0), -1); // gone, and reaped
    server.join();                 // harmless
}

task<void> answer_async(pipe<int> p) {
    while (auto n = co_await p.receive()) co_await p.send(2 * *n);
}

TEST(Process, DrivesACoroutine) {
    auto [here, there] = pipe<int>::pair();
    process server{{.name = "doubling"}, answer_async, std::move(there)};
    EXPECT_EQ(server.name(), "doubling");
    here.send_blocking(21);
    EXPECT_EQ(here.receive_blocking(), 42);
    here.close();
    EXPECT_TRUE(server.join_for(30s));
}

void say_pid_and_wait(const pipe_sender<int>& out, const pipe_receiver<int>& in) {
    out.send_blocking(::getpid());
    static_cast<void>(in.receive_blocking());
}

struct waiting_child {
    explicit waiting_child(void (*fn)(const pipe_sender<int>&,
                                      const pipe_receiver<int>&) = say_pid_and_wait) {
        auto [out, in] = pipe<int>::one_way();
        auto [go, wait] = pipe<int>::one_way();
        said = std::move(in);
        let_go = std::move(go);
        p = process{fn, std::move(out), std::move(wait)};
        pid = said.receive_blocking().value();
    }
    pipe_receiver<int> said;
    pipe_sender<int> let_go;
    process p;
    int pid = 0;
};

TEST(Process, ThePidIsTheProcess) {
    waiting_child child;
    EXPECT_EQ(child.p.pid(), child.pid);
    child.let_go.close();
    child.p.join();
}

TEST(Process, TerminateAndKillEndItAndJoinDoesNotMind) {
    {
        waiting_child child;
        child.p.terminate();
        child.p.join();
        EXPECT_EQ(child.p.exit_code(), -SIGTERM);
    }
    waiting_child child;
    child.p.kill();
    child.p.join();
    EXPECT_EQ(child.p.exit_code(), -SIGKILL);
    child.p.kill(); // harmless
    EXPECT_EQ(child.said.receive_blocking(), std::nullopt);
}

void clean_up_when_asked(const pipe_sender<int>& out, const pipe_receiver<int>&) {
    sigset_t asked;
    ::sigemptyset(&asked);
    ::sigaddset(&asked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &asked, nullptr);
    out.send_blocking(::getpid());
    int signal = 0;
    ::sigwait(&asked, &signal);
    out.send_blocking(signal == SIGTERM ? -1 : 0);
}

TEST(Process, MayHandleTheTermination) {
    waiting_child child{clean_up_when_asked};
    child.p.terminate();
    EXPECT_EQ(child.said.receive_blocking(), -1);
    child.p.join();
    EXPECT_EQ(child.p.exit_code(), 0);
}

void kill_other_than_asked(const pipe_sender<int>& out, const pipe_receiver<int>& in) {
    out.send_blocking(::getpid());
    static_cast<void>(in.receive_blocking());
    die_by(SIGSEGV);
}

TEST(Process, ADeathOfItsOwnIsTold) {
    waiting_child child{kill_other_than_asked};
    child.let_go.close();
    try {
        child.p.join();
        FAIL();
    } catch (const plait::worker_lost& lost) {
        EXPECT_EQ(lost.signal(), SIGSEGV);
        EXPECT_EQ(lost.pid(), child.pid);
    }
    EXPECT_EQ(child.p.exit_code(), -SIGSEGV);
    EXPECT_THROW(child.p.join(), plait::worker_lost); // each time
}

TEST(Process, ExitsOfItsOwnHaveTheirCode) {
    process p{end_at_once, 7};
    EXPECT_THROW(p.join(), plait::worker_lost);
    EXPECT_EQ(p.exit_code(), 7);
}

struct strange {
    int x = 0;
};
TEST(Process, ExceptionsComeOutOfJoin) {
    process standard{[] { throw std::out_of_range{"too far"}; }};
    EXPECT_THROW(standard.join(), std::out_of_range);
    EXPECT_EQ(standard.exit_code(), 1);
    process other{[] { throw strange{1}; }};
    try {
        other.join();
        FAIL();
    } catch (const plait::remote_error& e) {
        EXPECT_NE(e.type().find("strange"), std::string::npos);
    }
    plait::event_loop loop;
    process awaited{[] { throw std::domain_error{"awaited"}; }};
    EXPECT_THROW(plait::run(awaited.joined()), std::domain_error);
}

TEST(Process, ACancelledJoinChangesNothing) {
    waiting_child child;
    const auto body = [](waiting_child& c) -> task<int> {
        bool timed_out = false;
        try {
            co_await plait::timeout(1ms, c.p.joined());
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        c.let_go.close();
        co_await c.p.joined();
        co_return timed_out ? 1 : 0;
    };
    EXPECT_EQ(plait::run(body(child)), 1);
    EXPECT_EQ(child.p.exit_code(), 0);
}

TEST(Process, TheDestructorEndsItAndReportsWhatNobodySaw) {
    int pid = 0;
    {
        waiting_child child;
        pid = child.pid;
    }
    EXPECT_EQ(::kill(pid, 0), -1);
    int reported = 0;
    {
        auto [out, in] = pipe<int>::one_way();
        process p{{.on_unhandled = [&](const plait::unhandled_failure&) { ++reported; }},
                  [](const pipe_sender<int>& o) {
                      o.send_blocking(1);
                      throw std::runtime_error{"nobody will ask"};
                  },
                  std::move(out)};
        EXPECT_EQ(in.receive_blocking(), 1);
        EXPECT_EQ(in.receive_blocking(), std::nullopt); // it has thrown: its arguments are gone
        while (p.running()) std::this_thread::yield();
    }
    EXPECT_EQ(reported, 1);
}

TEST(Process, MovesAndHoldsNone) {
    process none;
    EXPECT_FALSE(none.joinable());
    EXPECT_EQ(none.pid(), 0);
    EXPECT_THROW(none.join(), std::logic_error);
    none.kill();
    waiting_child child;
    process moved{std::move(child.p)};
    EXPECT_FALSE(child.p.joinable()); // NOLINT: what is tested
    EXPECT_TRUE(moved.running());
    child.let_go.close();
    moved.join();
}

TEST(Process, ManyAtOnceWithASharedArray) {
    plait::shared_array<int> squares{20};
    std::vector<process> all;
    for (int i = 0; i < 20; ++i)
        all.emplace_back([](plait::shared_array<int> a, int n) { a[static_cast<std::size_t>(n)] = n * n; },
                         squares, i);
    for (auto& p : all) p.join();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(squares[static_cast<std::size_t>(i)], i * i);
}

TEST(Process, TwoTalkToEachOtherWithoutUs) {
    auto [a, b] = pipe<int>::pair();
    auto [out, in] = pipe<int>::one_way();
    process first{[](const pipe<int>& p, const pipe_sender<int>& o) {
                      for (int i = 0; i < 10; ++i) {
                          p.send_blocking(i);
                          o.send_blocking(p.receive_blocking().value());
                      }
                  },
                  std::move(a), std::move(out)};
    process second{answer, std::move(b)};
    for (int i = 0; i < 10; ++i) EXPECT_EQ(in.receive_blocking(), 2 * i);
    first.join();
    second.join();
}

} // namespace
