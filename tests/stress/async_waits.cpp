// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Events, latches, barriers and generators on a pool, against cancellation: nobody waits for ever, and nobody goes on too
// soon.
#include "support/strands.hpp"

#include <plait/async_barrier.hpp>
#include <plait/async_event.hpp>
#include <plait/async_latch.hpp>
#include <plait/generator.hpp>

#include <thread>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 15'000 : 40'000;

TEST(AsyncWaitStress, Y11_ASetWakesAllThatAreNotCancelled) {
    thread_pool pool{{.workers = 2}};
    for (int round = 0; round < rounds; ++round) {
        async_event e;
        int published = 0; // by the event alone
        std::vector<future<int>> all;
        for (int i = 0; i < 16; ++i)
            all.push_back(pool.submit([&]() -> task<int> {
                co_await e.wait();
                co_return published;
            }));
        stagger(round);
        for (std::size_t i = 0; i < all.size(); i += 4) (void)all[i].cancel();
        published = 1;
        e.set();
        for (std::size_t i = 0; i < all.size(); ++i) {
            try {
                EXPECT_EQ(all[i].get(), 1);
            } catch (const cancelled&) {
                EXPECT_EQ(i % 4, 0U);
            }
        }
    }
}

TEST(AsyncWaitStress, Y13_ALatchOpensWhenAllHaveCountedDown) {
    thread_pool pool{{.workers = 2}};
    for (int round = 0; round < rounds; ++round) {
        async_latch latch{8};
        std::array<int, 8> published{};
        std::vector<future<int>> waiting;
        for (int i = 0; i < 8; ++i)
            waiting.push_back(pool.submit([&]() -> task<int> {
                co_await latch.wait();
                int sum = 0;
                for (const int p : published) sum += p;
                co_return sum;
            }));
        std::vector<future<void>> counting;
        for (int& p : published)
            counting.push_back(pool.submit([&latch, &p] {
                p = 1;
                latch.count_down();
            }));
        stagger(round);
        (void)waiting[0].cancel();
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            try {
                EXPECT_EQ(waiting[i].get(), 8);
            } catch (const cancelled&) {
                EXPECT_EQ(i, 0U);
            }
        }
        for (auto& f : counting) f.get();
    }
}

TEST(AsyncWaitStress, Y12_ABarrierWaitsForAnotherOneInThePlaceOfACancelledOne) {
    thread_pool pool{{.workers = 3}};
    for (int round = 0; round < rounds; ++round) {
        async_barrier barrier{4};
        std::atomic<int> lasts{0};
        const auto arrive = [&]() -> task<> {
            if (co_await barrier.arrive_and_wait()) ++lasts;
        };
        auto gives_up = pool.submit(arrive);
        std::vector<future<void>> all;
        for (int i = 0; i < 7; ++i) all.push_back(pool.submit(arrive));
        stagger(round);
        (void)gives_up.cancel();
        // Eight are two rounds; without the one that gave up before its round was full, one is missing.
        if (throws_cancelled(gives_up)) all.push_back(pool.submit(arrive));
        for (auto& f : all) f.get();
        EXPECT_EQ(lasts, 2);
    }
}

async_generator<int> on_whatever_thread(int n) {
    for (int i = 0; i < n; ++i) {
        co_await yield();
        co_yield i;
    }
}

TEST(AsyncWaitStress, AnAsyncGeneratorAndAMapOverItGiveEachItemOnceOrAreCancelled) {
    thread_pool pool{{.workers = 3}};
    int cancels = 0;
    for (int round = 0; round < rounds / 10; ++round) {
        std::vector<future<long>> all;
        for (int i = 0; i < 4; ++i)
            all.push_back(pool.submit([&pool]() -> task<long> {
                auto doubled =
                    pool.map([](int x) { return 2 * x; }, on_whatever_thread(40), map_options{.window = 5});
                long sum = 0;
                while (const int* const x = co_await doubled.next()) sum += *x;
                co_return sum;
            }));
        stagger(round);
        (void)all[0].cancel();
        for (auto& f : all) {
            try {
                EXPECT_EQ(f.get(), 40 * 39);
            } catch (const cancelled&) {
                ++cancels;
            }
        }
    }
    EXPECT_LE(cancels, rounds / 10);
}

} // namespace
} // namespace plait::test
