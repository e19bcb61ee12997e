// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Trees of forks of every kind, coroutines and functions under each other, some of which wait, fail or are cancelled:
// each comes to what it comes to one step after the other, or is cancelled, and nobody is left behind.
#include "support/strands.hpp"

#include <plait/gather.hpp>
#include <plait/task_group.hpp>

#include <optional>
#include <random>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 1'500 : 2'000;

/// What a node of a tree does: it follows from the node's number alone.
struct shape {
    enum class kind : unsigned char { leaf, gather_two, gather_many, outcomes, group };
    kind what;
    int children;
    bool yields;
    bool fails;

    static shape of(std::uint64_t number, int depth) {
        std::mt19937_64 random{number};
        shape s{};
        s.what = depth == 0 ? kind::leaf : static_cast<kind>(1 + random() % 4);
        s.children = s.what == kind::leaf         ? 0
                     : s.what == kind::gather_two ? 2
                                                  : 1 + static_cast<int>(random() % 4);
        s.yields = random() % 8 == 0;
        s.fails = random() % 128 == 0;
        return s;
    }
};
std::uint64_t child_of(std::uint64_t number, int i) {
    return number * 6364136223846793005U + 2 * static_cast<unsigned>(i) + 1;
}

/// One after the other; empty: it fails.
std::optional<long> expected(std::uint64_t number, int depth) {
    const shape s = shape::of(number, depth);
    if (s.fails) return std::nullopt;
    long sum = 1;
    bool failed = false;
    for (int i = 0; i < s.children; ++i) {
        const auto child = expected(child_of(number, i), depth - 1);
        if (child)
            sum += *child;
        else if (s.what == shape::kind::outcomes)
            sum += 1000;
        else
            failed = true;
    }
    if (failed) return std::nullopt;
    return sum;
}

struct forest {
    thread_pool& pool;
    std::atomic<int> live{0};

    // In functions forks are functions.
    long called(std::uint64_t number, int depth) {
        const counted here{live};
        const shape s = shape::of(number, depth);
        if (s.fails) throw failure{1};
        std::array<long, 4> sums{};
        std::atomic<int> failures{0};
        {
            task_group group{pool};
            for (int i = 0; i < s.children; ++i)
                group.run([&, i] {
                    try {
                        sums[static_cast<std::size_t>(i)] = called(child_of(number, i), depth - 1);
                    } catch (const failure&) {
                        if (s.what == shape::kind::outcomes)
                            sums[static_cast<std::size_t>(i)] = 1000;
                        else
                            ++failures;
                    }
                });
            group.wait();
        }
        if (failures != 0) throw failure{1};
        return 1 + sums[0] + sums[1] + sums[2] + sums[3];
    }

    task<long> grown(std::uint64_t number, int depth) {
        const counted here{live};
        const shape s = shape::of(number, depth);
        if (s.yields) co_await yield();
        if (s.fails) throw failure{1};
        if (s.what == shape::kind::group) co_return called(number, depth);
        long sum = 1;
        if (s.what == shape::kind::gather_two) {
            const auto [a, b] =
                co_await gather(grown(child_of(number, 0), depth - 1), grown(child_of(number, 1), depth - 1));
            co_return sum + a + b;
        }
        std::vector<task<long>> children;
        for (int i = 0; i < s.children; ++i) children.push_back(grown(child_of(number, i), depth - 1));
        if (s.what == shape::kind::outcomes) {
            for (auto& o : co_await gather_outcomes(std::move(children))) sum += o ? *o : 1000;
        } else {
            for (const long part : co_await gather(std::move(children))) sum += part;
        }
        co_return sum;
    }
};

TEST(ForkStress, TreesOfForksComeToWhatTheyComeTo) {
    unheard others; // further failures of the same gather
    thread_pool pool{{.workers = 3, .on_unhandled = others.handler()}};
    forest trees{pool};
    std::mt19937_64 random{7};
    int values = 0;
    int failures = 0;
    for (int round = 0; round < rounds; ++round) {
        std::vector<std::pair<std::uint64_t, future<long>>> all;
        for (int i = 0; i < 4; ++i) {
            const std::uint64_t number = random();
            all.emplace_back(
                number,
                i % 2 == 0 ? pool.submit([&trees, number] { return trees.grown(number, 5); })
                           : future<long>{pool.submit([&trees, number] { return trees.called(number, 5); })});
        }
        for (auto& [number, f] : all) {
            const auto right = expected(number, 5);
            try {
                const long sum = f.get();
                ++values;
                ASSERT_EQ(right, sum) << number;
            } catch (const failure&) {
                ++failures;
                ASSERT_FALSE(right) << number;
            }
        }
        ASSERT_EQ(trees.live, 0);
    }
    EXPECT_GT(values, 0);
    EXPECT_GT(failures, 0);
}

// Outcomes do not keep a cancellation back: they are those of children, and the whole is asked to stop.
TEST(ForkStress, ACancelledTreeHasAValueAFailureOrACancellationAndNothingOfItIsLeft) {
    unheard others; // further failures of the same gather
    thread_pool pool{{.workers = 3, .on_unhandled = others.handler()}};
    forest trees{pool};
    std::mt19937_64 random{8};
    int cancels = 0;
    int values = 0;
    for (int round = 0; round < rounds; ++round) {
        std::vector<future<long>> all;
        for (int i = 0; i < 4; ++i)
            all.push_back(pool.submit([&trees, number = random()] { return trees.grown(number, 5); }));
        for (auto& f : all) {
            for (auto k = random() % 10'000; k > 0; --k) detail::spin_pause();
            (void)f.cancel();
        }
        for (auto& f : all) {
            try {
                (void)f.get();
                ++values;
            } catch (const failure&) {
            } catch (const cancelled&) {
                ++cancels;
            }
        }
        ASSERT_EQ(trees.live, 0);
    }
    EXPECT_GT(cancels, 0);
    EXPECT_GT(values, 0);
}

} // namespace
} // namespace plait::test
