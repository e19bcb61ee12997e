// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Cancellation against unlocks and releases on a pool: a lock or permit is never lost, and never held twice.
#include "support/strands.hpp"

#include <plait/async_condition.hpp>
#include <plait/async_mutex.hpp>
#include <plait/async_semaphore.hpp>
#include <plait/async_shared_mutex.hpp>

#include <atomic>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 300 : 6'000;
constexpr int batch = 64;

/// Tasks that go in and out once; half of them are cancelled at some moment.
template <class Body>
void cancel_some(thread_pool& pool, Body body) {
    int cancels = 0;
    for (int round = 0; round < rounds; ++round) {
        std::vector<future<void>> all;
        for (int i = 0; i < batch; ++i) all.push_back(pool.submit([&body, i] { return body(i); }));
        for (int i = 0; i < batch; i += 2) {
            for (int k = round % 64; k > 0; --k) detail::spin_pause();
            (void)all[static_cast<std::size_t>(i)].cancel();
        }
        for (auto& f : all) cancels += throws_cancelled(f) ? 1 : 0;
    }
    EXPECT_GT(cancels, 0);
    EXPECT_LE(cancels, rounds * batch / 2);
}

TEST(AsyncLockStress, Y8_TheLockIsNeverLostThoughCancelAndUnlockRace) {
    thread_pool pool{{.workers = 2}};
    async_mutex m;
    std::atomic<int> inside{0};
    std::atomic<int> wrong{0};
    cancel_some(pool, [&](int i) -> task<> {
        const auto lock = co_await m.lock();
        if (++inside != 1) ++wrong;
        if (i % 4 == 0) co_await shield(after_yields(1, 0));
        --inside;
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(m.try_lock());
}

TEST(AsyncLockStress, Y10_APermitIsNeverLostThoughCancelAndReleaseRace) {
    thread_pool pool{{.workers = 2}};
    async_semaphore s{2};
    std::atomic<int> inside{0};
    std::atomic<int> wrong{0};
    cancel_some(pool, [&](int i) -> task<> {
        const auto permit = co_await s.acquire();
        if (++inside > 2) ++wrong;
        if (i % 4 == 0) co_await shield(after_yields(1, 0));
        --inside;
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(s.available(), 2);
}

TEST(AsyncLockStress, Y8_ReadersAndWritersThatAreCancelledLeaveNothingBehind) {
    thread_pool pool{{.workers = 2}};
    async_shared_mutex m;
    std::atomic<int> readers{0};
    std::atomic<int> writers{0};
    std::atomic<int> wrong{0};
    cancel_some(pool, [&](int i) -> task<> {
        if (i % 3 == 0) {
            const auto lock = co_await m.lock();
            if (++writers != 1 || readers != 0) ++wrong;
            if (i % 4 == 0) co_await shield(after_yields(1, 0));
            --writers;
        } else {
            const auto lock = co_await m.lock_shared();
            ++readers;
            if (writers != 0) ++wrong;
            if (i % 4 == 0) co_await shield(after_yields(1, 0));
            --readers;
        }
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(m.try_lock());
}

TEST(AsyncLockStress, Y8_ANotificationIsNotUsedUpByACancelledWait) {
    thread_pool pool{{.workers = 2}};
    async_mutex m;
    async_condition c;
    int tokens = 0; // guarded by m: as many as there are tasks that are not cancelled
    for (int round = 0; round < rounds; ++round) {
        const auto take = [&]() -> task<> {
            auto lock = co_await m.lock();
            co_await c.wait(lock, [&] { return tokens > 0; });
            --tokens;
        };
        std::vector<future<void>> all;
        for (int i = 0; i < 4; ++i) all.push_back(pool.submit(take));
        auto give = pool.submit([&]() -> task<> {
            for (int i = 0; i < 4; ++i) {
                const auto lock = co_await m.lock();
                ++tokens;
                c.notify_one();
            }
        });
        for (int k = round % 64; k > 0; --k) detail::spin_pause();
        (void)all[1].cancel();
        give.get();
        int taken = 0;
        for (auto& f : all) taken += throws_cancelled(f) ? 0 : 1;
        ASSERT_GE(taken, 3);
        ASSERT_EQ(tokens, 4 - taken);
        tokens = 0;
    }
}

} // namespace
} // namespace plait::test
