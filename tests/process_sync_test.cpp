// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Events, semaphores and barriers between processes.
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/pipe.hpp>
#include <plait/process_sync.hpp>
#include <plait/shared_array.hpp>

#include <atomic>
#include <filesystem>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::pipe;
using plait::pipe_sender;
using plait::process_barrier;
using plait::process_event;
using plait::process_pool;
using plait::process_semaphore;
using plait::shared_array;
using plait::task;

using numbers = shared_array<int>;
int add_to(const numbers& a, std::size_t i, int n) { return std::atomic_ref{a[i]}.fetch_add(n) + n; }
int now(const numbers& a, std::size_t i) { return std::atomic_ref{a[i]}.load(); }

// ---- event
// -------------------------------------------------------------------------------------------------------------

TEST(ProcessEvent, WakesWaitersInAllProcessesThreadsAndTasks) {
    process_event go;
    EXPECT_FALSE(go.is_set());
    EXPECT_FALSE(go.wait_blocking_for(1ms));
    process_pool pool{{.workers = 3}};
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 2; ++i)
        all.push_back(pool.submit(
            [](const process_event& e) {
                e.wait_blocking();
                return 1;
            },
            go));
    all.push_back(pool.submit(
        [](process_event e) -> task<int> {
            co_await e.wait();
            co_return 1;
        },
        go));
    std::thread here{[go] { go.wait_blocking(); }};
    EXPECT_FALSE(all[0].wait_for(1ms));
    go.set();
    go.set();
    for (auto& f : all) EXPECT_EQ(f.get(), 1);
    here.join();
    EXPECT_TRUE(go.is_set());
    EXPECT_TRUE(go.wait_blocking_for(0s));
    go.reset();
    EXPECT_FALSE(go.is_set());
    pool.submit([](const process_event& e) { e.set(); }, go).get();
    EXPECT_TRUE(go.is_set());
}

TEST(ProcessEvent, ACancelledWaitChangesNothing) {
    process_event e;
    const auto body = [](process_event ev) -> task<bool> {
        bool timed_out = false;
        try {
            co_await plait::timeout(1ms, ev.wait());
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        ev.set();
        co_await ev.wait();
        co_return timed_out;
    };
    EXPECT_TRUE(plait::run(body(e)));
}

// ---- semaphore
// ---------------------------------------------------------------------------------------------------------

int most_at_once(const process_semaphore& s, const numbers& counts) {
    int most = 0;
    for (int i = 0; i < 200; ++i) {
        const auto mine = s.acquire_blocking();
        most = std::max(most, add_to(counts, 0, 1));
        std::this_thread::yield();
        add_to(counts, 0, -1);
    }
    return most;
}

TEST(ProcessSemaphore, NoMoreThanItsPermitsAreInsideInAllProcesses) {
    process_semaphore two{2};
    numbers counts{1};
    process_pool pool{{.workers = 4}};
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 4; ++i) all.push_back(pool.submit(most_at_once, two, counts));
    int most = most_at_once(two, counts);
    for (auto& f : all) most = std::max(most, f.get());
    EXPECT_LE(most, 2);
    EXPECT_EQ(now(counts, 0), 0);
    auto a = two.try_acquire();
    auto b = two.try_acquire();
    EXPECT_TRUE(a && b);
    EXPECT_FALSE(two.try_acquire());
    EXPECT_FALSE(two.acquire_blocking_for(1ms));
    a = {};
    EXPECT_TRUE(two.try_acquire());
    EXPECT_THROW(process_semaphore{0}, std::invalid_argument);
}

TEST(ProcessSemaphore, ThreadsOfOneProcessExcludeEachOther) {
    process_semaphore one{1};
    int inside = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 100; ++i) {
                const auto mine = one.acquire_blocking();
                ++inside;
            }
        });
    for (auto& t : threads) t.join();
    EXPECT_EQ(inside, 400);
}

TEST(ProcessSemaphore, APermitOfADeadProcessComesBack) {
    process_semaphore one{1};
    process_pool pool{{.workers = 2}};
    for (int round = 0; round < 5; ++round) {
        auto [out, in] = pipe<int>::one_way();
        auto f = pool.submit(
            [](const process_semaphore& s, const pipe_sender<int>& o) {
                const auto mine = s.acquire_blocking();
                o.send_blocking(1);
                spin();
            },
            one, std::move(out));
        EXPECT_EQ(in.receive_blocking(), 1);
        EXPECT_FALSE(one.try_acquire());
        auto waiting = pool.submit(
            [](process_semaphore s) -> task<bool> {
                auto mine = co_await s.acquire();
                co_return static_cast<bool>(mine);
            },
            one);
        f.cancel(plait::cancel_mode::kill);
        EXPECT_TRUE(waiting.get());
        EXPECT_TRUE(one.acquire_blocking());
    }
}

TEST(ProcessSemaphore, ACancelledWaitHasTakenNone) {
    process_semaphore one{1};
    const auto body = [](process_semaphore s) -> task<int> {
        auto held = co_await s.acquire();
        int timed_out = 0;
        try {
            auto second = co_await plait::timeout(50ms, s.acquire());
        } catch (const plait::timeout_error&) {
            ++timed_out;
        }
        held = {};
        auto third = co_await s.acquire();
        co_return timed_out + (third ? 1 : 0);
    };
    EXPECT_EQ(plait::run(body(one)), 2);
    EXPECT_TRUE(one.try_acquire());
}

// ---- barrier
// -----------------------------------------------------------------------------------------------------------

int meet(const process_barrier& all, const numbers& counts, int rounds) {
    int wrong = 0;
    for (int i = 1; i <= rounds; ++i) {
        add_to(counts, 0, 1);
        all.arrive_and_wait_blocking();
        wrong += now(counts, 0) < i * static_cast<int>(all.parties());
        all.arrive_and_wait_blocking();
    }
    return wrong;
}
task<int> meet_async(process_barrier all, numbers counts, int rounds) {
    int wrong = 0;
    for (int i = 1; i <= rounds; ++i) {
        add_to(counts, 0, 1);
        co_await all.arrive_and_wait();
        wrong += now(counts, 0) != i * static_cast<int>(all.parties());
        co_await all.arrive_and_wait();
    }
    co_return wrong;
}

TEST(ProcessBarrier, NobodyGoesOnBeforeAllHaveCome) {
    for (const std::size_t n : {1U, 2U, 5U}) {
        numbers counts{1};
        process_pool pool{{.workers = 5}};
        auto parties = process_barrier::make(n);
        std::vector<plait::future<int>> all;
        for (std::size_t p = 1; p < n; ++p)
            all.push_back(p % 2 == 0 ? pool.submit(meet, std::move(parties[p]), counts, 50)
                                     : pool.submit(meet_async, std::move(parties[p]), counts, 50));
        EXPECT_EQ(parties[0].parties(), n);
        EXPECT_EQ(meet(parties[0], counts, 50), 0);
        for (auto& f : all) EXPECT_EQ(f.get(), 0);
        EXPECT_EQ(now(counts, 0), 50 * static_cast<int>(n));
    }
    EXPECT_THROW(static_cast<void>(process_barrier::make(0)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(process_barrier::make(65)), std::invalid_argument);
}

TEST(ProcessBarrier, SixtyFourTasksMeetOnOneLoop) {
    numbers counts{1};
    auto parties = process_barrier::make(64);
    const auto all = [&]() -> task<int> {
        std::vector<task<int>> tasks;
        for (auto& p : parties) tasks.push_back(meet_async(std::move(p), counts, 3));
        int wrong = 0;
        auto results = co_await plait::gather(std::move(tasks));
        for (const int r : results) wrong += r;
        co_return wrong;
    };
    EXPECT_EQ(plait::run(all()), 0);
}

TEST(ProcessBarrier, ADeadPartyIsReportedAndNotWaitedFor) {
    process_pool pool{{.workers = 3}};
    for (int round = 0; round < 5; ++round) {
        auto parties = process_barrier::make(4);
        auto dying = pool.submit(
            [](const process_barrier& b) {
                b.arrive_and_wait_blocking();
                die_by(SIGKILL);
            },
            std::move(parties[2]));
        const auto twice = [](const process_barrier& b) {
            b.arrive_and_wait_blocking();
            b.arrive_and_wait_blocking();
        };
        auto first = pool.submit(twice, std::move(parties[0]));
        auto second = pool.submit(
            [](process_barrier b) -> task<void> {
                co_await b.arrive_and_wait();
                co_await b.arrive_and_wait();
            },
            std::move(parties[1]));
        parties[3].arrive_and_wait_blocking();
        for (int again = 0; again < 2; ++again) {
            try {
                parties[3].arrive_and_wait_blocking();
                FAIL() << "party 2 is dead";
            } catch (const plait::closed_error& e) {
                if (again == 0) {
                    EXPECT_NE(std::string{e.what()}.find("party 2 of 4"), std::string::npos) << e.what();
                }
            }
        }
        EXPECT_THROW(dying.get(), plait::worker_lost);
        EXPECT_THROW(first.get(), plait::closed_error);
        EXPECT_THROW(second.get(), plait::closed_error);
    }
}

TEST(ProcessBarrier, APartyThatLeavesAfterItsLastRoundHoldsNobodyUp) {
    auto parties = process_barrier::make(3);
    std::thread early{[p = std::move(parties[0])] { p.arrive_and_wait_blocking(); }};
    std::thread late{[p = std::move(parties[1])] { p.arrive_and_wait_blocking(); }};
    parties[2].arrive_and_wait_blocking();
    early.join();
    late.join();
}

TEST(ProcessBarrier, ACancelledWaitHasArrived) {
    auto parties = process_barrier::make(2);
    const auto body = [](process_barrier a, process_barrier b) -> task<bool> {
        bool timed_out = false;
        try {
            co_await plait::timeout(1ms, a.arrive_and_wait());
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        co_await b.arrive_and_wait(); // `a` has arrived
        co_await a.arrive_and_wait(); // the rest of that round
        co_return timed_out;
    };
    EXPECT_TRUE(plait::run(body(std::move(parties[0]), std::move(parties[1]))));
}

TEST(ProcessSync, LeavesNoDescriptorsBehind) {
    const auto count = [] {
        std::size_t n = 0;
        for (const auto& e : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !e.path().empty();
        return n;
    };
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    const std::size_t before = count();
    {
        process_event e;
        process_semaphore s{3};
        auto parties = process_barrier::make(8);
        const auto mine = s.acquire_blocking();
        pool.submit(
                [](const process_event& ev, const process_semaphore& se) {
                    const auto other = se.acquire_blocking();
                    ev.set();
                },
                e, s)
            .get();
        e.wait_blocking();
    }
    EXPECT_EQ(count(), before);
}

} // namespace
