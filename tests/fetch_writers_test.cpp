// SPDX-License-Identifier: Apache-2.0
#include "fetch/writers.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>

using namespace std::chrono_literals;
using plait::task;
using plait::fetch::writers;

namespace {

/// A disk that takes no more until it is told.
struct slow_disk {
    std::counting_semaphore<64> begun{0};
    std::counting_semaphore<64> go_on{0};
    std::atomic<int> written{0};
};

void write(void* disk) noexcept {
    auto& it = *static_cast<slow_disk*>(disk);
    it.begun.release();
    it.go_on.acquire();
    ++it.written;
}

void write_at_once(void* where) noexcept {
    *static_cast<std::thread::id*>(where) = std::this_thread::get_id();
}

} // namespace

TEST(FetchWriters, TheCallIsMadeElsewhereAndTheTaskGoesOnAtHome) {
    writers all;
    auto body = [&]() -> task<void> {
        const auto home = std::this_thread::get_id();
        std::thread::id there;
        co_await all.call(&write_at_once, &there);
        EXPECT_NE(there, home);
        EXPECT_NE(there, std::thread::id{});
        EXPECT_EQ(std::this_thread::get_id(), home);
    };
    plait::run(body());
}

TEST(FetchWriters, ASlowDiskHoldsUpNeitherTimersNorOtherTasks) {
    writers all;
    slow_disk disk;
    plait::event_loop loop;
    auto body = [&]() -> task<void> {
        std::vector<plait::future<void>> files;
        for (int i = 0; i < 5; ++i)
            files.push_back(loop.submit([&]() -> task<void> { co_await all.call(&write, &disk); }));
        for (int i = 0; i < 10; ++i) co_await plait::sleep_for(1ms);
        EXPECT_EQ(disk.written, 0);
        disk.go_on.release(5);
        for (auto& file : files) co_await file;
        EXPECT_EQ(disk.written, 5);
    };
    loop.run(body());
}

TEST(FetchWriters, WhatHasNotBegunIsDroppedWhatHasBegunIsWaitedFor) {
    writers all;
    slow_disk disk;
    plait::event_loop loop;
    auto body = [&]() -> task<void> {
        std::vector<plait::future<void>> begun;
        for (std::size_t i = 0; i < writers::most; ++i)
            begun.push_back(loop.submit([&]() -> task<void> { co_await all.call(&write, &disk); }));
        co_await plait::yield();
        for (std::size_t i = 0; i < writers::most; ++i) disk.begun.acquire();
        auto queued = loop.submit([&]() -> task<void> { co_await all.call(&write, &disk); });
        co_await plait::yield();
        queued.cancel();
        bool dropped = false;
        try {
            co_await queued;
        } catch (const plait::cancelled&) {
            dropped = true;
        }
        EXPECT_TRUE(dropped);
        for (auto& file : begun) file.cancel();
        co_await plait::sleep_for(1ms);
        EXPECT_EQ(disk.written, 0);
        disk.go_on.release(writers::most);
        for (auto& file : begun) co_await file; // done, since it was when the cancel came
        EXPECT_EQ(disk.written, static_cast<int>(writers::most));
    };
    loop.run(body());
}
