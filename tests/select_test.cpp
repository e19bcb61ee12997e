// SPDX-License-Identifier: Apache-2.0
// limit: 120
// select for threads. What it is for tasks: channel_cancel_test.cpp.
#include "support/strands.hpp"

#include <plait/select.hpp>

#include <chrono>
#include <latch>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

namespace plait::test {
namespace {

TEST(SelectBlocking, DoesTheOneThatCanBeDone) {
    channel<int> numbers{1};
    channel<std::string> words{1};
    (void)words.try_send(std::string{"one"});
    auto got = select_blocking(numbers.receive(), words.receive());
    ASSERT_EQ(got.index(), 1U);
    EXPECT_EQ(std::get<1>(got), "one");
    EXPECT_EQ(select_blocking(numbers.send(2), words.receive()).index(), 0U);
    EXPECT_EQ(*numbers.try_receive(), 2);
}

TEST(SelectBlocking, WaitsUntilOneCanBeDone) {
    channel<int> a{1};
    channel<int> b{1};
    for (int round = 0; round < 1000; ++round) {
        std::jthread sender{[&] { (round % 2 == 0 ? a : b).send_blocking(round); }};
        auto got = select_blocking(a.receive(), b.receive());
        EXPECT_EQ(got.index(), static_cast<std::size_t>(round % 2));
        EXPECT_EQ(got.index() == 0 ? std::get<0>(got) : std::get<1>(got), round);
    }
}

TEST(SelectBlocking, HasTheEndOfAClosedOneAndRefusesToSendThere) {
    channel<int> a{1};
    channel<int> b{1};
    std::jthread closer{[&] { b.close(); }};
    auto got = select_blocking(a.receive(), b.receive());
    EXPECT_EQ(got.index(), 1U);
    EXPECT_EQ(std::get<1>(got), std::nullopt);
    EXPECT_THROW(select_blocking(b.send(1)), closed_error);
}

TEST(SelectBlocking, ForAWhileAtMost) {
    channel<std::unique_ptr<int>> full{1};
    channel<int> none{1};
    (void)full.try_send(std::make_unique<int>(1));
    auto mine = std::make_unique<int>(2);
    EXPECT_FALSE(select_blocking_for(1ms, none.receive(), full.send(std::move(mine))));
    EXPECT_TRUE(mine) << "it was not sent";
    EXPECT_FALSE(select_blocking_for(-1ms, none.receive()));
    EXPECT_FALSE(select_blocking_for(0ms, none.receive()));
    EXPECT_EQ(select_blocking_for(std::chrono::hours::max(), full.receive())->index(), 0U);
    EXPECT_EQ(select_blocking_for(0ms, full.send(std::move(mine)))->index(), 0U);
    // What comes when the time is over is not lost.
    std::jthread sender{[&none] {
        for (int i = 0; i < 200; ++i) none.send_blocking(i);
    }};
    int next = 0;
    while (next < 200) {
        const auto got = select_blocking_for(std::chrono::microseconds{next % 20}, none.receive());
        if (!got) continue;
        EXPECT_EQ(std::get<0>(*got), next);
        ++next;
    }
}

TEST(SelectBlocking, OnALoopItIsRefusedAndOnAPoolAnotherThreadTakesItsPlace) {
    channel<int> c{1};
    event_loop loop;
    EXPECT_THROW(loop.submit([&c] { (void)select_blocking(c.receive()); }).get(), std::logic_error);
    thread_pool pool{{.workers = 1}};
    auto waiting = pool.submit([&c] { return std::get<0>(select_blocking(c.receive())).value(); });
    pool.submit([&c] { c.send_blocking(7); }).get();
    EXPECT_EQ(waiting.get(), 7);
}

TEST(SelectBlocking, ThreadsAndTasksTogetherGetEachItemOnce) {
    constexpr int items = sanitized ? 2'000 : 20'000;
    channel<int> a{4};
    channel<int> b{4};
    std::atomic<long> sum{0};
    {
        thread_pool pool{{.workers = 2}};
        auto task_takes = pool.submit([&]() -> task<> {
            for (;;) {
                auto got = co_await select(a.receive(), b.receive());
                auto& item = got.index() == 0 ? std::get<0>(got) : std::get<1>(got);
                if (!item) co_return;
                sum += *item;
            }
        });
        std::vector<std::jthread> threads;
        for (int t = 0; t < 2; ++t)
            threads.emplace_back([&] {
                for (;;) {
                    auto got = select_blocking(b.receive(), a.receive());
                    auto& item = got.index() == 0 ? std::get<0>(got) : std::get<1>(got);
                    if (!item) return;
                    sum += *item;
                }
            });
        {
            std::jthread to_both{[&] {
                for (int i = 1; i <= items; ++i) (void)select_blocking(a.send(i), b.send(i));
            }};
            for (int i = 1; i <= items; ++i) a.send_blocking(i);
        }
        // Nobody may see the end of one while there is something in the other.
        while (a.size() != 0 || b.size() != 0) std::this_thread::yield();
        a.close();
        b.close();
        task_takes.get();
    }
    EXPECT_EQ(sum, long{items} * (items + 1));
}

} // namespace
} // namespace plait::test
