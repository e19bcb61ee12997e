// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Parallel loops of random sizes, nested, failing, cancelled from outside, several at once on one pool: each item
// is done once or not at all, nobody is inside afterwards, and every caller comes back.
#include "support/strands.hpp"

#include <plait/parallel.hpp>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 300 : 3'000;

enum class end : unsigned char { whole, failed, cancelled };

/// One loop, perhaps with loops inside of it, and what came of it.
class loop {
  public:
    loop(thread_pool& pool, unsigned seed, int depth) : pool_{pool}, random_{seed}, depth_{depth} {}

    end run() {
        const std::size_t n = random_() % (depth_ > 0 ? 20 : 3000);
        const std::size_t fails_at = random_() % 4 == 0 && n != 0 ? random_() % n : n;
        const parallel_options options{.grain = random_() % 3 == 0 ? random_() % 50 : 0,
                                       .schedule =
                                           random_() % 4 == 0 ? schedule::fixed : schedule::automatic};
        const auto seed = static_cast<unsigned>(random_());
        const std::unique_ptr<std::atomic<int>[]> seen{new std::atomic<int>[n + 1]()};
        std::atomic<int> inside{0};
        end how = end::whole;
        try {
            for_each(
                pool_, index_space{n},
                [&](std::size_t i) {
                    ++inside;
                    const std::unique_ptr<std::atomic<int>, void (*)(std::atomic<int>*)> leaves{
                        &inside, [](std::atomic<int>* count) { --*count; }};
                    ++seen[i];
                    if (i == fails_at) throw failure{1};
                    if (depth_ > 0 &&
                        loop{pool_, seed + static_cast<unsigned>(i), depth_ - 1}.run() == end::cancelled)
                        throw cancelled{};
                },
                options);
        } catch (const failure&) {
            how = end::failed;
        } catch (const cancelled&) {
            how = end::cancelled;
        }
        EXPECT_EQ(inside, 0);
        std::size_t done = 0;
        for (std::size_t i = 0; i < n; ++i) {
            EXPECT_LE(seen[i], 1);
            done += static_cast<std::size_t>(seen[i].load());
        }
        if (how == end::whole) {
            EXPECT_EQ(done, n);
            EXPECT_EQ(fails_at, n);
        }
        if (how == end::failed) {
            EXPECT_LT(fails_at, n);
        }
        return how;
    }

  private:
    thread_pool& pool_;
    std::mt19937 random_;
    int depth_;
};

TEST(ParallelStress, LoopsEndWhateverHappensToThem) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    for (const int workers : {1, 2, 5}) {
        unheard late; // failures of items that were under way
        thread_pool pool{{.workers = workers, .on_unhandled = late.handler()}};
        thread_pool callers{{.workers = 3}};
        std::mt19937 random{seed + static_cast<unsigned>(workers)};
        for (int round = 0; round < rounds; ++round) {
            std::vector<future<void>> all;
            for (int i = 0; i < 3; ++i) {
                thread_pool& from = random() % 2 == 0 ? pool : callers;
                const auto of_loop = static_cast<unsigned>(random());
                const int depth = static_cast<int>(random() % 3);
                all.push_back(from.submit([&pool, of_loop, depth] { loop{pool, of_loop, depth}.run(); }));
            }
            if (random() % 2 == 0) {
                for (auto spin = random() % 20'000; spin > 0; --spin) detail::spin_pause();
                all[random() % all.size()].cancel();
            }
            for (auto& f : all) {
                try {
                    f.get();
                } catch (const cancelled&) { // before it began
                }
            }
        }
    }
}

TEST(ParallelStress, ManyShortLoopsComeBack) {
    for (const int workers : {1, 2, 8}) {
        thread_pool pool{{.workers = workers}};
        std::atomic<std::size_t> count{0};
        for (int i = 0; i < 20 * rounds; ++i)
            for_each(pool, index_space{i % 5},
                     [&](std::size_t) { count.fetch_add(1, std::memory_order_relaxed); });
        EXPECT_EQ(count, static_cast<std::size_t>(20 * rounds / 5 * 10));
    }
}

} // namespace
} // namespace plait::test
