// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Posts from several threads while the pool is shut down in between: what was let in runs or is dropped,
// exactly once, and the pool ends.
#include "support/strands.hpp"

#include <barrier>
#include <cstdint>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 300 : 3'000;
constexpr int posters = 3;
constexpr int posts = 200; // of each poster, at most

struct tally {
    std::atomic<std::int64_t> accepted{0}, ran{0}, gone{0};
};

/// What is posted: counts its run and its end.
class probe {
  public:
    explicit probe(tally& t) noexcept : tally_{&t} {}
    probe(probe&& other) noexcept : tally_{std::exchange(other.tally_, nullptr)} {}
    ~probe() {
        if (tally_) ++tally_->gone;
    }
    void operator()() const { ++tally_->ran; }

  private:
    tally* tally_;
};

bool post_probe(thread_pool& pool, tally& count) {
    try {
        pool.post(probe{count});
    } catch (const shutdown_error&) {
        --count.gone; // the refused one's end
        return false;
    }
    ++count.accepted;
    return true;
}

/// Probes, and now and then a task that posts one too, until it is refused.
void post_until_refused(thread_pool& pool, tally& count) {
    for (int i = 0; i < posts; ++i) {
        if (!post_probe(pool, count)) return;
        if (i % 16 != 0) continue;
        try {
            pool.post([&pool, &count] { post_probe(pool, count); });
        } catch (const shutdown_error&) {
            return;
        }
    }
}

void race(bool cancel) {
    for (int r = 0; r < rounds; ++r) {
        tally count;
        {
            thread_pool pool{{.workers = 1 + r % 3}};
            std::barrier start{posters + 1};
            std::vector<std::thread> threads;
            for (int i = 0; i < posters; ++i)
                threads.emplace_back([&] {
                    start.arrive_and_wait();
                    post_until_refused(pool, count);
                });
            start.arrive_and_wait();
            for (int i = (r % 64) * 32; i > 0; --i) detail::spin_pause();
            pool.shutdown({.wait = r % 2 == 0, .cancel_pending = cancel});
            for (std::thread& t : threads) t.join();
        }
        ASSERT_EQ(count.gone, count.accepted) << "round " << r;
        if (cancel)
            ASSERT_LE(count.ran, count.accepted) << "round " << r;
        else
            ASSERT_EQ(count.ran, count.accepted) << "round " << r;
    }
}

TEST(PoolPosts, S2_WhatWasLetInRunsOnce) { race(false); }

TEST(PoolPosts, S3_WhatWasLetInRunsOrIsDroppedOnce) { race(true); }

// Trickles: the workers fall asleep and are woken again and again; a lost wake would hang.
TEST(PoolPosts, NoWakeIsLost) {
    constexpr int trips = sanitized ? 5'000 : 50'000;
    thread_pool pool{{.workers = 3}};
    std::vector<std::thread> threads;
    for (int i = 0; i < posters; ++i)
        threads.emplace_back([&pool] {
            for (int t = 0; t < trips; ++t) {
                std::atomic<bool> ran{false};
                pool.post([&ran] { ran = true; });
                pool.submit([] {}).get();
                for (unsigned round = 0; !ran; ++round) detail::system_policy::pause(round);
            }
        });
    for (std::thread& t : threads) t.join();
}

} // namespace
} // namespace plait::test
