// SPDX-License-Identifier: Apache-2.0
#include "support/strands.hpp"

#include <plait/async_condition.hpp>
#include <plait/async_mutex.hpp>
#include <plait/async_shared_mutex.hpp>
#include <plait/once.hpp>

#include <stdexcept>

namespace plait::test {
namespace {

task<> settle() { co_await after_yields(5, 0); }

template <class E>
class AsyncMutex : public on_executor<E> {};
TYPED_TEST_SUITE(AsyncMutex, executors);

TYPED_TEST(AsyncMutex, Y8_OnlyOneIsInsideAtATime) {
    constexpr int tasks = 20;
    constexpr int rounds = 100;
    int counter = 0; // guarded by the mutex alone
    this->run([&counter]() -> task<> {
        async_mutex m;
        auto body = [](async_mutex& mutex, int& n) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                const auto lock = co_await mutex.lock();
                const int before = n;
                if (i % 10 == 0) co_await yield();
                n = before + 1;
            }
        };
        std::vector<task<>> all;
        for (int i = 0; i < tasks; ++i) all.push_back(body(m, counter));
        co_await gather(std::move(all));
    });
    EXPECT_EQ(counter, tasks * rounds);
}

TEST(AsyncMutexOrder, Y8_FirstComeFirstServedAndACancelledOneIsSkipped) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_mutex m;
        std::vector<int> order;
        auto wait = [](async_mutex& mutex, std::vector<int>& seen, int n) -> task<> {
            const auto lock = co_await mutex.lock();
            seen.push_back(n);
        };
        co_await with_group([&](task_group& group) -> task<> {
            auto held = co_await m.lock();
            std::vector<future<void>> all;
            for (int i = 0; i < 5; ++i) all.push_back(group.spawn(wait, std::ref(m), std::ref(order), i));
            co_await settle();
            all[1].cancel();
            all[3].cancel();
            co_await settle();
            EXPECT_FALSE(m.try_lock());
            held.unlock();
            EXPECT_FALSE(m.try_lock()) << "it was handed over, nobody overtakes";
        });
        EXPECT_EQ(order, (std::vector{0, 2, 4}));
        EXPECT_TRUE(m.try_lock());
    }());
}

TEST(AsyncMutexOrder, Y9_UnlockingWhatIsNotLockedThrowsAndGuardsUnlockOnce) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_mutex m;
        EXPECT_THROW(m.unlock(), std::logic_error);
        try {
            const auto lock = co_await m.lock();
            throw failure{1};
        } catch (const failure&) {}
        auto lock = m.try_lock();
        EXPECT_TRUE(lock);
        lock.unlock();
        EXPECT_THROW(lock.unlock(), std::logic_error);
        EXPECT_THROW(m.unlock(), std::logic_error);
        lock = co_await m.lock();
        EXPECT_EQ(lock.release(), &m);
        EXPECT_FALSE(m.try_lock());
        m.unlock();
        EXPECT_TRUE(m.try_lock());
    }());
}

TYPED_TEST(AsyncMutex, C20_TasksThatWaitForALockEndWhenTheyAreCancelled) {
    this->run([]() -> task<> {
        async_mutex m;
        async_shared_mutex s;
        async_condition c;
        async_mutex of_c;
        std::atomic<int> relocked{0};
        auto body = [](async_mutex& mutex, async_shared_mutex& shared, int how) -> task<> {
            if (how == 0) (void)co_await mutex.lock();
            if (how == 1) (void)co_await shared.lock();
            if (how == 2) (void)co_await shared.lock_shared();
        };
        auto waits = [](async_condition& condition, async_mutex& mutex, std::atomic<int>& n) -> task<> {
            auto lock = co_await mutex.lock();
            try {
                co_await condition.wait(lock);
            } catch (const cancelled&) {
                if (lock && !mutex.try_lock()) ++n;
                throw;
            }
        };
        co_await with_group([&](task_group& group) -> task<> {
            const auto held = co_await m.lock();
            const auto writing = co_await s.lock();
            for (int how = 0; how < 3; ++how) group.spawn(body, std::ref(m), std::ref(s), how);
            for (int i = 0; i < 2; ++i) group.spawn(waits, std::ref(c), std::ref(of_c), std::ref(relocked));
            // Both have waited once both have unlocked.
            co_await settle();
            group.cancel();
        });
        EXPECT_TRUE(m.try_lock());
        EXPECT_TRUE(s.try_lock());
        EXPECT_TRUE(of_c.try_lock());
    });
}

TEST(AsyncSharedMutex, ReadersShareAndWritersDoNot) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_shared_mutex m;
        {
            const auto one = co_await m.lock_shared();
            const auto two = co_await m.lock_shared();
            EXPECT_TRUE(m.try_lock_shared());
            EXPECT_FALSE(m.try_lock());
        }
        const auto alone = co_await m.lock();
        EXPECT_FALSE(m.try_lock_shared());
        EXPECT_FALSE(m.try_lock());
    }());
}

TEST(AsyncSharedMutex, AReaderWaitsBehindAWriterAndGoesInWhenThatIsCancelled) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_shared_mutex m;
        std::vector<char> order;
        auto write = [](async_shared_mutex& mutex, std::vector<char>& seen) -> task<> {
            const auto lock = co_await mutex.lock();
            seen.push_back('w');
        };
        auto read = [](async_shared_mutex& mutex, std::vector<char>& seen) -> task<> {
            const auto lock = co_await mutex.lock_shared();
            seen.push_back('r');
        };
        co_await with_group([&](task_group& group) -> task<> {
            auto held = co_await m.lock_shared();
            auto writer = group.spawn(write, std::ref(m), std::ref(order));
            co_await settle();
            group.spawn(read, std::ref(m), std::ref(order));
            co_await settle();
            EXPECT_TRUE(order.empty());
            EXPECT_FALSE(m.try_lock_shared());
            writer.cancel();
            co_await settle();
            EXPECT_EQ(order, (std::vector{'r'}));
            group.spawn(write, std::ref(m), std::ref(order));
            co_await settle();
            group.spawn(read, std::ref(m), std::ref(order));
            co_await settle();
            EXPECT_EQ(order.size(), 1U);
            held = {};
        });
        EXPECT_EQ(order, (std::vector{'r', 'w', 'r'}));
    }());
}

TYPED_TEST(AsyncMutex, Y8_AConditionPassesABatonOn) {
    constexpr int rounds = 200;
    this->run([]() -> task<> {
        async_mutex m;
        async_condition changed;
        int turn = 0;
        auto player = [](async_mutex& mutex, async_condition& c, int& whose, int me) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                auto lock = co_await mutex.lock();
                co_await c.wait(lock, [&] { return whose == me; });
                whose = (whose + 1) % 3;
                c.notify_all();
            }
        };
        co_await gather(player(m, changed, turn, 0), player(m, changed, turn, 1),
                        player(m, changed, turn, 2));
        EXPECT_EQ(turn, 0);
        async_mutex::guard none;
        bool refused = false;
        try {
            co_await changed.wait(none);
        } catch (const std::logic_error&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

TYPED_TEST(AsyncMutex, OnceIsDoneOnceAndTriedAgainAfterAFailure) {
    std::atomic<int> runs{0};
    std::atomic<int> failures{0};
    this->run([&]() -> task<> {
        once first;
        auto body = [](once& o, std::atomic<int>& ran, std::atomic<int>& failed) -> task<> {
            try {
                co_await o.call([&ran]() -> task<> {
                    const int n = ++ran;
                    co_await yield();
                    if (n == 1) throw failure{n};
                });
                EXPECT_TRUE(o.done());
                EXPECT_EQ(ran, 2);
            } catch (const failure&) {
                ++failed;
            }
        };
        std::vector<task<>> all;
        for (int i = 0; i < 8; ++i) all.push_back(body(first, runs, failures));
        co_await gather(std::move(all));
        co_await first.call([&runs] { ++runs; });
    });
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(failures, 1);
}

} // namespace
} // namespace plait::test
