// SPDX-License-Identifier: Apache-2.0
//
// Priorities of a thread_pool's tasks: which start first, whoever submits them, and that none starves. One worker, so
// that there is one order.
#include <gtest/gtest.h>

#include <plait/async_event.hpp>
#include <plait/gather.hpp>
#include <plait/thread_pool.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <latch>
#include <string>
#include <vector>

namespace {

using plait::priority;
using plait::thread_pool;

TEST(PoolPriorities, PrioritiesGoBeforeAndBehind) {
    thread_pool pool{{.workers = 1}};
    std::latch ready{1};
    pool.post([&] { ready.wait(); });
    std::string order;
    const auto add = [&](char c) { return [&order, c] { order += c; }; };
    (void)pool.submit({.priority = priority::low}, add('l'));
    (void)pool.submit({.priority = priority::low}, add('m'));
    pool.post(add('n'));
    (void)pool.submit(add('o'));
    (void)pool.submit({.priority = priority::high}, add('h'));
    (void)pool.submit({.priority = priority::high}, add('i'));
    ready.count_down();
    pool.shutdown();
    EXPECT_EQ(order, "hinolm");
}

TEST(PoolPriorities, TheLowestPriorityIsNotStarved) {
    thread_pool pool{{.workers = 1}};
    std::latch ready{1};
    pool.post([&] { ready.wait(); });
    std::string order;
    (void)pool.submit({.priority = priority::low}, [&] { order += 'l'; });
    for (int i = 0; i < 200; ++i) pool.post([&] { order += 'n'; });
    ready.count_down();
    pool.shutdown();
    EXPECT_LE(order.find('l'), 16U);
}

TEST(PoolPriorities, HighOnesKeepTheirOrder) {
    std::vector<int> order;
    std::vector<int> submitted;
    thread_pool pool{{.workers = 1}};
    std::latch ready{1};
    pool.post([&] { ready.wait(); });
    for (int i = 0; i < 1000; ++i) {
        submitted.push_back(i);
        (void)pool.submit({.priority = priority::high}, [&order, i] { order.push_back(i); });
    }
    ready.count_down();
    pool.shutdown();
    EXPECT_EQ(order, submitted);
}

TEST(PoolPriorities, WhatATaskSubmitsHasOneToo) {
    thread_pool pool{{.workers = 1}};
    std::string order;
    const auto add = [&](char c) { return [&order, c] { order += c; }; };
    pool.submit([&] {
            (void)pool.submit({.priority = priority::low}, add('l'));
            (void)pool.submit(add('n'));
            pool.post(add('o'));
            (void)pool.submit({.priority = priority::high}, add('h'));
            (void)pool.submit({.priority = priority::high}, add('i'));
        })
        .get();
    pool.shutdown();
    EXPECT_EQ(order, "hinol");
}

/// Runs for ever, each run submitted by the one before: work that never ends.
class flood {
  public:
    flood(thread_pool& pool, priority p, const bool& over) : pool_{&pool}, priority_{p}, over_{&over} {}
    void go_on() {
        (void)pool_->submit({.priority = priority_}, [this] {
            if (!*over_) go_on();
        });
    }

  private:
    thread_pool* pool_;
    priority priority_;
    const bool* over_;
};

plait::task<int> forked(int n) {
    if (n < 2) co_return n;
    const auto [a, b] = co_await plait::gather(forked(n - 1), forked(n - 2));
    co_return a + b;
}

// All that can keep others out does so at the same time; each of those that come once has its turn soon.
TEST(PoolPriorities, NobodyStarves) {
    bool over = false; // read and written on the one worker
    int turns = 0;     // of the one that counts them
    std::string ended;
    std::string ended_by_then;
    std::latch at_the_end{1};
    thread_pool pool{{.workers = 1}};
    plait::async_event event;
    const auto waiting = pool.submit([&]() -> plait::task<> { // resumed from outside: what has begun
        co_await event.wait();
        ended += 'b';
    });
    pool.submit([] {}).get();
    std::latch ready{1};
    pool.post([&] { ready.wait(); });
    std::array floods{flood{pool, priority::high, over}, flood{pool, priority::normal, over},
                      flood{pool, priority::low, over}};
    for (flood& f : floods) f.go_on();
    const std::function<void()> from_outside = [&] { // the same, and its end
        if (++turns == 2000) {
            over = true;
            ended_by_then = ended;
            at_the_end.count_down();
        }
        if (!over) (void)pool.submit({.priority = priority::high}, from_outside);
    };
    (void)pool.submit({.priority = priority::high}, from_outside);
    for (const char c : {'h', 'n', 'l'}) {
        const priority p = c == 'h' ? priority::high : c == 'n' ? priority::normal : priority::low;
        (void)pool.submit({.priority = p}, [&ended, c] { ended += c; });
    }
    (void)pool.submit({.priority = priority::high},
                      [&] { pool.post([&] { ended += 'o'; }); }); // its own queue
    const auto forks = pool.submit([&]() -> plait::task<> {
        co_await forked(5);
        ended += 'f';
    });
    event.set();
    ready.count_down();
    at_the_end.wait();
    pool.shutdown();
    EXPECT_EQ(turns, 2000);
    std::ranges::sort(ended_by_then);
    EXPECT_EQ(ended_by_then, "bfhlno");
}

} // namespace
