// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Pipes and coroutines.
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/pipe.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::pipe;
using plait::pipe_receiver;
using plait::pipe_sender;
using plait::process_pool;
using plait::send_status;
using plait::task;

task<int> echo_on(pipe<std::string> p) {
    int n = 0;
    while (auto line = co_await p.receive()) {
        co_await p.send(*line);
        ++n;
    }
    co_return n;
}
task<std::size_t> ask_on(pipe<std::string> given, int rounds, std::size_t size) {
    auto p = std::move(given);
    std::size_t bytes = 0;
    for (int i = 0; i < rounds; ++i) {
        co_await p.send(std::string(size, 'q'));
        auto back = co_await p.receive();
        bytes += back->size();
    }
    co_return bytes;
}

TEST(Pipe, CoroutinesUseItOnALoopAndOnAPoolAndInAWorker) {
    process_pool pool{{.workers = 2}};
    plait::thread_pool threads{{.workers = 2}};
    for (const std::size_t size : {10U, 150'000U}) {
        auto [a, b] = pipe<std::string>::pair();
        auto echoing = pool.submit(echo_on, std::move(b));
        EXPECT_EQ(plait::run(ask_on(std::move(a), 20, size)), 20 * size);
        EXPECT_EQ(echoing.get(), 20);
        auto [c, d] = pipe<std::string>::pair();
        auto asking = pool.submit(ask_on, std::move(c), 20, size);
        auto here = threads.submit(echo_on, std::move(d));
        EXPECT_EQ(asking.get(), 20 * size);
        EXPECT_EQ(here.get(), 20);
    }
}

TEST(Pipe, ManyCoroutinesWaitAtOnce) {
    const auto all = []() -> task<int> {
        auto [out, in] = pipe<int>::one_way();
        std::vector<task<std::optional<int>>> receives;
        for (int i = 0; i < 50; ++i) receives.push_back(in.receive());
        const auto feed = [](pipe_sender<int> o) -> task<int> {
            for (int i = 0; i < 50; ++i) {
                co_await plait::yield();
                co_await o.send(i);
            }
            co_return 0;
        };
        auto sums = [](std::vector<task<std::optional<int>>> r) -> task<int> {
            int sum = 0;
            for (auto& got : co_await plait::gather(std::move(r))) sum += got.value();
            co_return sum;
        };
        auto [zero, sum] = co_await plait::gather(feed(std::move(out)), sums(std::move(receives)));
        co_return zero + sum;
    };
    EXPECT_EQ(plait::run(all()), 49 * 50 / 2);
}

TEST(Pipe, ACancelledReceiveHasTakenNothingAndACancelledSendHasNotSent) {
    auto [out, in] = pipe<std::string>::one_way();
    const auto body = [](pipe_sender<std::string> o, pipe_receiver<std::string> i) -> task<int> {
        bool timed_out = false;
        try {
            static_cast<void>(co_await plait::timeout(1ms, i.receive()));
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        EXPECT_TRUE(timed_out);
        int sent = 0;
        const std::string line(60'000, 'x');
        while (o.try_send(line) == send_status::sent) ++sent;
        timed_out = false;
        try {
            co_await plait::timeout(1ms, o.send("late"));
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        EXPECT_TRUE(timed_out);
        o.close();
        int got = 0;
        while (auto x = co_await i.receive()) {
            EXPECT_EQ(x->size(), line.size());
            ++got;
        }
        co_return sent - got;
    };
    EXPECT_EQ(plait::run(body(std::move(out), std::move(in))), 0);
}

TEST(Pipe, GivesWayAfterManyMessagesThatNeedNotWait) {
    plait::event_loop loop;
    auto [out, in] = pipe<int>::one_way();
    auto busy = loop.submit(
        [](pipe_sender<int> o, pipe_receiver<int> i) -> task<> {
            for (;;) {
                co_await o.send(1);
                static_cast<void>(co_await i.receive());
            }
        },
        std::move(out), std::move(in));
    EXPECT_EQ(loop.submit([] { return 5; }).get(), 5); // it gives way (test C28)
    busy.cancel();
    EXPECT_THROW(busy.get(), plait::cancelled);
}

TEST(Pipe, BlockingOnALoopIsRefused) {
    plait::event_loop loop;
    auto [out, in] = pipe<int>::one_way();
    EXPECT_THROW(loop.submit([i = in] { static_cast<void>(i.receive_blocking()); }).get(), std::logic_error);
    // A worker that drives many tasks is a loop as well; one that runs one at a time may block.
    process_pool loops{{.workers = 1, .loop = true}};
    EXPECT_THROW(
        loops.submit([](const pipe_receiver<int>& i) { static_cast<void>(i.receive_blocking()); }, in).get(),
        std::logic_error);
    process_pool pool{{.workers = 1}};
    out.send_blocking(3);
    EXPECT_EQ(pool.submit([](const pipe_receiver<int>& i) { return *i.receive_blocking(); }, in).get(), 3);
}

} // namespace
