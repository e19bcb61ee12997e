// SPDX-License-Identifier: Apache-2.0
// for_each and invoke on every executor; cancellation, failures, nesting. Reductions: parallel_reduce_test.
// limit: 120
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/parallel.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include "support/strands.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <limits>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using plait::index_space;
using plait::parallel_options;
using plait::schedule;

/// How often each item has been visited.
class visits {
  public:
    explicit visits(std::size_t n) : counts_(n) {}
    void operator()(std::size_t i) { counts_[i].fetch_add(1, std::memory_order_relaxed); }
    std::size_t total() const {
        std::size_t n = 0;
        for (const auto& c : counts_) n += static_cast<std::size_t>(c.load());
        return n;
    }
    bool each_once() const {
        for (const auto& c : counts_)
            if (c != 1) return false;
        return true;
    }

  private:
    std::vector<std::atomic<int>> counts_;
};

const parallel_options all_options[] = {{},
                                        {.grain = 1},
                                        {.grain = 7},
                                        {.grain = 1000},
                                        {.schedule = schedule::fixed},
                                        {.grain = 16, .schedule = schedule::fixed}};

template <class E>
void visits_each_once(E& ex) {
    for (const parallel_options& options : all_options)
        for (const std::size_t n : {0u, 1u, 2u, 3u, 17u, 1000u, 65'537u}) {
            visits seen{n};
            plait::for_each(ex, index_space{n}, [&](std::size_t i) { seen(i); }, options);
            ASSERT_TRUE(seen.each_once()) << n << " items, grain " << options.grain;
        }
}

TEST(Parallel, ForEachVisitsEachItemOnceOnEveryExecutor) {
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        visits_each_once(pool);
    }
    plait::serial serial;
    visits_each_once(serial);
    plait::event_loop loop;
    visits_each_once(loop);
    plait::loop_pool loops{{.workers = 3}};
    visits_each_once(loops);
}

TEST(Parallel, ForEachChangesARangeInPlace) {
    plait::thread_pool pool{{.workers = 2}};
    std::vector<int> v(10'000);
    std::iota(v.begin(), v.end(), 0);
    plait::for_each(pool, v, [](int& x) { x *= 2; });
    for (std::size_t i = 0; i < v.size(); ++i) ASSERT_EQ(v[i], 2 * static_cast<int>(i));
    std::vector<bool> bits(100);
    plait::serial serial; // neighbours share a word
    plait::for_each(serial, bits, [](auto&& bit) { bit = true; });
    EXPECT_EQ(std::count(bits.begin(), bits.end(), true), 100);
}

template <class E>
void visits_spaces_whole(E& ex) {
    for (const auto& [a, b, c] :
         {std::array{0, 5, 3}, {1, 1, 1}, {3, 0, 2}, {7, 11, 13}, {100, 1, 3}, {1, 1, 1000}}) {
        const auto rows = static_cast<std::size_t>(a);
        const auto columns = static_cast<std::size_t>(b);
        const auto depth = static_cast<std::size_t>(c);
        for (const parallel_options& options : all_options) {
            visits flat{rows * columns};
            plait::for_each(
                ex, index_space{a, b},
                [&](std::size_t i, std::size_t j) {
                    ASSERT_TRUE(i < rows && j < columns);
                    flat(i * columns + j);
                },
                options);
            ASSERT_TRUE(flat.each_once());
            visits deep{rows * columns * depth};
            plait::for_each(
                ex, index_space{a, b, c},
                [&](std::size_t i, std::size_t j, std::size_t k) {
                    ASSERT_TRUE(i < rows && j < columns && k < depth);
                    deep((i * columns + j) * depth + k);
                },
                options);
            ASSERT_TRUE(deep.each_once());
        }
    }
}

TEST(Parallel, SpacesOfTwoAndThreeDimensionsAreVisitedWholeOnEveryExecutor) {
    plait::thread_pool pool{{.workers = 2}};
    visits_spaces_whole(pool);
    plait::serial serial;
    visits_spaces_whole(serial);
    plait::event_loop loop;
    visits_spaces_whole(loop);
    plait::loop_pool loops{{.workers = 2}};
    visits_spaces_whole(loops);
}

TEST(Parallel, AnIndexSpaceThatCannotBeIsRefused) {
    EXPECT_THROW((index_space{3, -1}), std::invalid_argument);
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    EXPECT_THROW((index_space{huge, 2}), std::invalid_argument);
    EXPECT_EQ((index_space{huge, std::size_t{0}, huge}.size()), 0U);
}

TEST(Parallel, SpacesBeyond32BitsAreHandedOutInLargerUnits) {
    plait::thread_pool pool{{.workers = 2}};
    constexpr std::size_t n = (std::size_t{1} << 33) + 5;
    std::atomic<std::size_t> pieces_end{0};
    std::atomic<std::size_t> seen{0};
    auto piece = [&](std::size_t, std::size_t from, std::size_t to) {
        seen += to - from;
        for (std::size_t end = pieces_end; to > end && !pieces_end.compare_exchange_weak(end, to);) {}
    };
    for (const parallel_options& options :
         {parallel_options{}, {.grain = 1U << 30}, {.schedule = schedule::fixed}}) {
        pieces_end = seen = 0;
        plait::detail::run_loop(pool, n, options, "test", plait::detail::piece_function{piece});
        EXPECT_EQ(seen, n);
        EXPECT_EQ(pieces_end, n);
    }
}

TEST(Parallel, AFixedScheduleGivesEachWorkerOneEqualPart) {
    plait::thread_pool pool{{.workers = 4}};
    std::mutex mutex;
    std::vector<std::pair<std::size_t, std::size_t>> pieces;
    auto piece = [&](std::size_t, std::size_t from, std::size_t to) {
        const std::lock_guard guard{mutex};
        pieces.emplace_back(from, to);
    };
    plait::detail::run_loop(pool, 1000, {.schedule = schedule::fixed}, "test",
                            plait::detail::piece_function{piece});
    std::sort(pieces.begin(), pieces.end());
    EXPECT_EQ(pieces, (std::vector<std::pair<std::size_t, std::size_t>>{
                          {0, 250}, {250, 500}, {500, 750}, {750, 1000}}));
}

TEST(Parallel, ABigItemDoesNotKeepOthersFromTheRest) {
    plait::thread_pool pool{{.workers = 2}};
    constexpr std::size_t n = 1000;
    std::atomic<std::size_t> done{0};
    // The first one ends when all others have been done, by whoever else is there.
    plait::for_each(pool, index_space{n}, [&](std::size_t i) {
        if (i == 0)
            for (std::size_t others = done; others != n - 1; others = done) std::this_thread::yield();
        else
            ++done;
    });
    EXPECT_EQ(done, n - 1);
}

TEST(Parallel, LoopsNestOnAnyNumberOfThreads) {
    for (const int workers : {1, 2, 8}) {
        plait::thread_pool pool{{.workers = workers}};
        std::atomic<int> count{0};
        plait::for_each(pool, index_space{20}, [&](std::size_t) {
            plait::for_each(pool, index_space{20}, [&](std::size_t) {
                plait::for_each(pool, index_space{20}, [&](std::size_t) { ++count; });
            });
        });
        EXPECT_EQ(count, 8000);
    }
    plait::serial serial;
    int count = 0;
    plait::for_each(serial, index_space{20}, [&](std::size_t) {
        plait::for_each(serial, index_space{20}, [&](std::size_t) { ++count; });
    });
    EXPECT_EQ(count, 400);
}

TEST(Parallel, ACallerOnThePoolTakesPart) {
    plait::thread_pool pool{{.workers = 1}};
    const bool same = pool.submit([&] {
                              const auto here = std::this_thread::get_id();
                              bool all = true;
                              plait::for_each(pool, index_space{100}, [&](std::size_t) {
                                  all = all && std::this_thread::get_id() == here;
                              });
                              return all;
                          })
                          .get();
    EXPECT_TRUE(same);
}

TEST(Parallel, ParticipantsThatComeTooLateAreNotWaitedFor) {
    plait::thread_pool pool{{.workers = 2}};
    std::latch gate{1};
    std::latch held{1};
    auto other = pool.submit([&] {
        held.count_down();
        gate.wait(); // the other worker cannot come before the loop is over
    });
    held.wait();
    std::atomic<int> count{0};
    pool.submit([&] { plait::for_each(pool, index_space{1000}, [&](std::size_t) { ++count; }); }).get();
    EXPECT_EQ(count, 1000);
    gate.count_down();
    other.get();
}

TEST(Parallel, ALoopOnItselfIsRefused) {
    plait::event_loop loop;
    const auto on = [](auto& ex) {
        int calls = 0;
        EXPECT_THROW(plait::for_each(ex, index_space{3}, [&](std::size_t) { ++calls; }), std::logic_error);
        return calls;
    };
    EXPECT_EQ(loop.submit([&] { return on(loop); }).get(), 0);
    plait::loop_pool loops{{.workers = 2}};
    EXPECT_EQ(loops.submit([&] { return on(loops); }).get(), 0);
    plait::serial serial;
    std::atomic<int> count{0};
    loop.submit([&] { plait::for_each(serial, index_space{3}, [&](std::size_t) { ++count; }); }).get();
    EXPECT_EQ(count, 3);
}

TEST(Parallel, ALoopsOtherTasksHaveTheirTurnsMeanwhile) {
    plait::event_loop loop;
    std::atomic<bool> other_ran{false};
    std::atomic<bool> posted{false};
    const auto item = [&](std::size_t) {
        if (!posted.exchange(true)) loop.post([&] { other_ran = true; });
        if (other_ran) throw plait::test::failure{1}; // or this test takes as long as there are items
    };
    EXPECT_THROW(plait::for_each(loop, index_space{10'000'000'000}, item), plait::test::failure);
}

TEST(Parallel, AfterShutdownNothingRuns) {
    const auto refused = [](auto& ex) {
        ex.shutdown();
        int calls = 0;
        EXPECT_THROW(plait::for_each(ex, index_space{3}, [&](std::size_t) { ++calls; }),
                     plait::shutdown_error);
        EXPECT_THROW(plait::for_each(ex, index_space{0}, [&](std::size_t) { ++calls; }),
                     plait::shutdown_error);
        EXPECT_EQ(calls, 0);
    };
    plait::thread_pool pool{{.workers = 2}};
    refused(pool);
    plait::serial serial;
    refused(serial);
    plait::event_loop loop;
    refused(loop);
    plait::loop_pool loops{{.workers = 2}};
    refused(loops);
}

TEST(Parallel, AShutdownLetsALoopThatHasBegunEnd) {
    for (int round = 0; round < 200; ++round) {
        plait::thread_pool pool{{.workers = 2}};
        std::latch begun{1};
        std::thread ending{[&] {
            begun.wait();
            pool.shutdown({.cancel_pending = round % 2 == 0});
        }};
        visits seen{1000};
        try {
            std::atomic<bool> first{true};
            plait::for_each(pool, index_space{1000}, [&](std::size_t i) {
                if (first.exchange(false)) begun.count_down();
                seen(i);
            });
        } catch (...) {
            ADD_FAILURE() << "it had begun";
            if (seen.total() == 0) begun.count_down();
        }
        EXPECT_TRUE(seen.each_once());
        ending.join();
    }
}

TEST(Parallel, ALoopThatNobodyHasBegunIsCancelledByAShutdown) {
    plait::thread_pool pool{{.workers = 1}};
    std::latch gate{1};
    std::latch held{1};
    auto busy = pool.submit([&] {
        held.count_down();
        gate.wait();
    });
    held.wait();
    std::thread ending{[&] {
        pool.shutdown({.wait = false, .cancel_pending = true});
        gate.count_down();
    }};
    // Refused before it is posted, taken out of the queue, or refused when its turn comes.
    try {
        plait::for_each(pool, index_space{1000}, [&](std::size_t) { ADD_FAILURE(); });
        ADD_FAILURE();
    } catch (const plait::cancelled&) {
    } catch (const plait::shutdown_error&) {}
    ending.join();
    busy.get();
}

} // namespace
