// SPDX-License-Identifier: Apache-2.0
#include <plait/offload.hpp>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using plait::task;

std::size_t threads_named(const std::string& name) {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::FILE* file = std::fopen((entry.path() / "comm").c_str(), "r");
        if (!file) continue;
        char text[32] = {};
        if (std::fgets(text, sizeof text, file) && text == name + "\n") ++n;
        std::fclose(file);
    }
    return n;
}

TEST(Offload, TheCallRunsElsewhereAndTheTaskGoesOnAtHome) {
    plait::run([]() -> task<void> {
        const auto home = std::this_thread::get_id();
        const auto there = co_await plait::offload([] { return std::this_thread::get_id(); });
        EXPECT_NE(there, home);
        EXPECT_EQ(std::this_thread::get_id(), home);
    }());
}

TEST(Offload, OnAPoolTheTaskGoesOnOnItsPool) {
    plait::thread_pool pool{{.workers = 2}};
    pool.submit([]() -> task<void> {
            const auto* home = plait::detail::current().worker;
            co_await plait::offload([] { EXPECT_EQ(plait::detail::current().worker, nullptr); });
            EXPECT_EQ(plait::detail::current().worker, home);
        })
        .get();
}

TEST(Offload, InSerialItWorksToo) {
    plait::serial here;
    EXPECT_EQ(here.submit([]() -> task<int> { co_return co_await plait::offload([] { return 7; }); }).get(),
              7);
}

TEST(Offload, VoidReferencesMoveOnlyValuesAndExceptionsComeThrough) {
    plait::run([]() -> task<void> {
        int n = 0;
        co_await plait::offload([&n] { n = 1; });
        int& same = co_await plait::offload([&n]() -> int& { return n; });
        EXPECT_EQ(&same, &n);
        const auto owned = co_await plait::offload([] { return std::make_unique<int>(3); });
        EXPECT_EQ(*owned, 3);
        std::string message;
        try {
            co_await plait::offload([] { throw std::runtime_error{"from afar"}; });
        } catch (const std::runtime_error& e) {
            message = e.what();
        }
        EXPECT_EQ(message, "from afar");
    }());
}

TEST(Offload, WhatTheCallOwnsIsMovedInAndDestroyedOnce) {
    auto owned = std::make_shared<int>(5);
    const std::weak_ptr<int> watch = owned;
    const int got = plait::run([](std::shared_ptr<int> mine) -> task<int> {
        auto call = plait::offload([held = std::move(mine)] { return *held; });
        co_return co_await call;
    }(std::move(owned)));
    EXPECT_EQ(got, 5);
    EXPECT_TRUE(watch.expired());
}

TEST(Offload, TheLoopGoesOnWhileACallBlocks) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        std::binary_semaphore let_go{0};
        auto blocked =
            here.submit([&]() -> task<void> { co_await plait::offload([&] { let_go.acquire(); }); });
        for (int i = 0; i < 100; ++i) co_await plait::yield();
        EXPECT_FALSE(blocked.done());
        let_go.release();
        co_await blocked;
    }(loop));
}

TEST(Offload, ManyCallsBlockAtOnceUpToTheBoundAndTheRestFollow) {
    plait::event_loop loop;
    std::mutex mutex;
    std::condition_variable changed;
    int inside = 0;
    int most = 0;
    bool open = false;
    std::vector<plait::future<void>> calls;
    for (int i = 0; i < 100; ++i)
        calls.push_back(loop.submit([&]() -> task<void> {
            co_await plait::offload([&] {
                std::unique_lock lock{mutex};
                most = std::max(most, ++inside);
                changed.notify_all();
                changed.wait(lock, [&] { return open; });
                --inside;
            });
        }));
    {
        std::unique_lock lock{mutex};
        changed.wait(lock, [&] { return inside == 32; });
        open = true;
    }
    changed.notify_all();
    for (auto& c : calls) c.get();
    EXPECT_EQ(most, 32);
}

TEST(Offload, C20_ACallThatHasNotBegunIsDroppedAtOnce) {
    plait::event_loop loop;
    std::counting_semaphore<64> let_go{0};
    std::counting_semaphore<64> begun{0};
    std::vector<plait::future<void>> busy;
    for (int i = 0; i < 32; ++i)
        busy.push_back(loop.submit([&]() -> task<void> {
            co_await plait::offload([&] {
                begun.release();
                let_go.acquire();
            });
        }));
    for (int i = 0; i < 32; ++i) begun.acquire(); // every thread is taken
    std::atomic<bool> ran{false};
    auto queued = loop.submit([&]() -> task<void> { co_await plait::offload([&] { ran = true; }); });
    loop.submit([]() -> task<void> { co_await plait::yield(); }).get(); // it stands in the queue
    queued.cancel();
    EXPECT_THROW(queued.get(), plait::cancelled); // while all threads are still taken
    let_go.release(32);
    for (auto& b : busy) b.get();
    EXPECT_FALSE(ran);
}

TEST(Offload, ACancelledCallThatHasBegunEndsItsWaitWhenItReturnsAndItsValueCounts) {
    plait::event_loop loop;
    std::binary_semaphore begun{0};
    std::binary_semaphore let_go{0};
    std::atomic<bool> asked{false};
    auto f = loop.submit([&]() -> task<int> {
        int local = 0; // of the frame: it must outlive the call
        const int got = co_await plait::offload([&] {
            begun.release();
            let_go.acquire();
            asked = plait::detail::current().scope->stopped(); // what this_task::stop_token() says
            local = 4;
            return local;
        });
        EXPECT_EQ(local, 4);
        bool stopped = false;
        try {
            co_await plait::yield();
        } catch (const plait::cancelled&) {
            stopped = true;
        }
        EXPECT_TRUE(stopped);
        co_return got;
    });
    begun.acquire();
    f.cancel();
    EXPECT_FALSE(f.wait_for(1ms));
    let_go.release();
    EXPECT_EQ(f.get(), 4);
    EXPECT_TRUE(asked);
}

TEST(Offload, AStoppedScopeDoesNotEvenBegin) {
    plait::event_loop loop;
    std::atomic<bool> ran{false};
    auto f = loop.submit([&]() -> task<void> {
        try {
            co_await plait::sleep_for(1h);
        } catch (const plait::cancelled&) {}
        co_await plait::offload([&] { ran = true; });
    });
    loop.submit([]() -> task<void> { co_await plait::yield(); }).get();
    f.cancel();
    EXPECT_THROW(f.get(), plait::cancelled);
    EXPECT_FALSE(ran);
}

TEST(Offload, CancellingAtAnyMomentLosesNothing) {
    plait::thread_pool pool{{.workers = 2}};
    for (int i = 0; i < 500; ++i) {
        auto owned = std::make_shared<int>(i);
        auto f = pool.submit([owned]() -> task<int> {
            auto call = plait::offload([owned] { return *owned; });
            co_return co_await call;
        });
        if (i % 3 == 0) std::this_thread::yield();
        f.cancel();
        try {
            EXPECT_EQ(f.get(), i);
        } catch (const plait::cancelled&) {}
    }
}

TEST(Offload, TheThreadsEndWithTheLastExecutorAndComeAgain) {
    for (int i = 0; i < 20; ++i) {
        plait::run([]() -> task<void> {
            co_await plait::offload([] {});
            EXPECT_GE(threads_named("plait-offload"), 1U);
        }());
        while (threads_named("plait-offload") != 0)
            std::this_thread::yield(); // joined; the kernel may lag behind
    }
}

} // namespace
