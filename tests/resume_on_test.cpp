// SPDX-License-Identifier: Apache-2.0
// resume_on: where a task is afterwards, and who waits for it.
// limit: 120
#include <gtest/gtest.h>

#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/resume_on.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <chrono>
#include <latch>
#include <stdexcept>
#include <thread>
#include <type_traits>

namespace {

using namespace std::chrono_literals;

template <class From, class To>
plait::task<bool> there_and_back(From& from, To& to) {
    const auto before = std::this_thread::get_id();
    co_await plait::resume_on(to);
    const auto moved = std::this_thread::get_id();
    co_await plait::sleep_for(1ms);
    const bool stayed = std::this_thread::get_id() == moved; // one thread in each
    co_await plait::yield();
    co_await plait::resume_on(from);
    co_return stayed&& moved != before&& std::this_thread::get_id() == before;
}

template <class E>
E make() {
    if constexpr (std::is_same_v<E, plait::event_loop>)
        return E{};
    else
        return E{{.workers = 1}};
}

template <class From, class To>
void move_between() {
    From from = make<From>();
    To to = make<To>();
    for (int i = 0; i < 20; ++i) {
        auto f = from.submit([&] { return there_and_back(from, to); });
        EXPECT_TRUE(f.get()) << "round " << i;
    }
}

TEST(ResumeOn, MovesATaskAndItStaysThere) {
    move_between<plait::event_loop, plait::thread_pool>();
    move_between<plait::thread_pool, plait::event_loop>();
    move_between<plait::loop_pool, plait::thread_pool>();
    move_between<plait::event_loop, plait::loop_pool>();
    move_between<plait::event_loop, plait::event_loop>();
    move_between<plait::thread_pool, plait::thread_pool>();
}

TEST(ResumeOn, SerialTakesItsOwnTaskBack) {
    plait::serial serial;
    plait::thread_pool pool{{.workers = 1}};
    const auto here = std::this_thread::get_id();
    auto f = serial.submit([&]() -> plait::task<bool> {
        co_await plait::resume_on(pool);
        const bool away = std::this_thread::get_id() != here;
        co_await plait::resume_on(serial);
        co_return away&& std::this_thread::get_id() == here;
    });
    EXPECT_TRUE(f.get());
}

TEST(ResumeOn, SerialHasNoThreadForAStrangersTask) {
    plait::serial serial;
    plait::thread_pool pool{{.workers = 1}};
    auto f = pool.submit([&]() -> plait::task<> { co_await plait::resume_on(serial); });
    EXPECT_THROW(f.get(), std::logic_error);
}

TEST(ResumeOn, ACancelledTaskMovesAndThenThrows) {
    plait::event_loop loop;
    plait::thread_pool pool{{.workers = 1}};
    std::latch moving{1};
    std::latch cancelled{1};
    std::thread::id seen;
    auto f = loop.submit([&]() -> plait::task<> {
        moving.count_down();
        cancelled.wait();
        try {
            co_await plait::resume_on(pool);
        } catch (const plait::cancelled&) {
            seen = std::this_thread::get_id();
            throw;
        }
        ADD_FAILURE() << "the code after the await has run";
    });
    moving.wait();
    f.cancel();
    cancelled.count_down();
    EXPECT_THROW(f.get(), plait::cancelled);
    EXPECT_EQ(seen, pool.submit([] { return std::this_thread::get_id(); }).get());
}

TEST(ResumeOn, TheSubmittersShutdownWaitsForTheTask) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch gate{1};
    plait::future<int> f;
    {
        plait::event_loop loop;
        f = loop.submit([&]() -> plait::task<int> {
            co_await plait::resume_on(pool);
            gate.wait();
            co_return 7;
        });
        pool.post([] {});
        gate.count_down();
    }
    EXPECT_TRUE(f.done());
    EXPECT_EQ(f.get(), 7);
}

} // namespace
