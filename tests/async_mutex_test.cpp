// SPDX-License-Identifier: Apache-2.0
#include "support/strands.hpp"

#include <plait/async_mutex.hpp>
#include <plait/async_shared_mutex.hpp>

#include <stdexcept>

namespace plait::test {
namespace {

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
        auto body = [](async_mutex& mutex, async_shared_mutex& shared, int how) -> task<> {
            if (how == 0) (void)co_await mutex.lock();
            if (how == 1) (void)co_await shared.lock();
            if (how == 2) (void)co_await shared.lock_shared();
        };
        co_await with_group([&](task_group& group) -> task<> {
            const auto held = co_await m.lock();
            const auto writing = co_await s.lock();
            for (int how = 0; how < 3; ++how) group.spawn(body, std::ref(m), std::ref(s), how);
            co_await settle();
            group.cancel();
        });
        EXPECT_TRUE(m.try_lock());
        EXPECT_TRUE(s.try_lock());
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

} // namespace
} // namespace plait::test
