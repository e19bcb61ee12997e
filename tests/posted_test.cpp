// SPDX-License-Identifier: Apache-2.0
// Functions that are posted are lighter than tasks with a future; but for that they are the same.
#include "support/strands.hpp"

#include <plait/loop_pool.hpp>
#include <plait/this_task.hpp>
#include <plait/trace.hpp>

#include <array>
#include <cstdio>
#include <future>
#include <memory>

namespace plait::test {
namespace {

/// Keeps the one worker of a pool busy until it is told.
class held_worker {
  public:
    explicit held_worker(thread_pool& pool) {
        std::promise<void> begun;
        pool.post([this, &begun] {
            begun.set_value();
            gate_.get_future().wait();
        });
        begun.get_future().wait();
    }
    void release() { gate_.set_value(); }

  private:
    std::promise<void> gate_;
};

template <class E>
class Posted : public ::testing::Test {};
using in_process = ::testing::Types<serial, thread_pool, event_loop, loop_pool>;
TYPED_TEST_SUITE(Posted, in_process);

TYPED_TEST(Posted, ItIsATaskWhileItRuns) {
    std::promise<bool> possible;
    {
        TypeParam ex;
        ex.post([&] { possible.set_value(this_task::stop_token().stop_possible()); });
    }
    EXPECT_TRUE(possible.get_future().get());
    EXPECT_FALSE(this_task::stop_token().stop_possible());
}

TYPED_TEST(Posted, ItInheritsTheDeadlineOfTheTaskThatPostsIt) {
    using clock = std::chrono::steady_clock;
    std::promise<clock::time_point> inherited;
    clock::time_point mine;
    {
        TypeParam ex;
        mine = ex.submit({.timeout = 1h}, [&] {
                     ex.post([&] { inherited.set_value(this_task::deadline()); });
                     return this_task::deadline();
                 }).get();
    }
    EXPECT_EQ(inherited.get_future().get(), mine);
    EXPECT_NE(mine, clock::time_point::max());
}

TYPED_TEST(Posted, ItsCallableIsGoneWhenTheExecutorIs) {
    auto token = std::make_shared<std::atomic<int>>(0);
    std::array<char, 200> large{};
    {
        TypeParam ex;
        ex.post([token] { ++*token; });
        ex.post([token, large] { *token += 1 + large[7]; });
        ex.post([token] {
            ++*token;
            throw cancelled{}; // of no interest to anybody
        });
    }
    EXPECT_EQ(*token, 3);
    EXPECT_EQ(token.use_count(), 1);
}

TYPED_TEST(Posted, ACallableThatCannotBeCopiedInLeavesNothingBehind) {
    struct refuses {
        refuses() = default;
        refuses(const refuses&) { throw failure{1}; }
        void operator()() const {}
    };
    TypeParam ex;
    const refuses f;
    EXPECT_THROW(ex.post(f), failure);
    ex.shutdown(); // would wait for ever for one that had been counted in
}

TEST(PostedToAPool, CancelPendingDropsWhatHasNotBegunAndTellsNobody) {
    test::unheard unheard;
    auto token = std::make_shared<int>(0);
    thread_pool pool{{.workers = 1, .on_unhandled = unheard.handler()}};
    held_worker held{pool};
    for (int i = 0; i < 100; ++i) pool.post([token] { ++*token; });
    pool.shutdown({.wait = false, .cancel_pending = true});
    EXPECT_EQ(token.use_count(), 1);
    EXPECT_THROW(pool.post([token] { ++*token; }), shutdown_error);
    held.release();
    pool.shutdown();
    EXPECT_EQ(*token, 0);
    EXPECT_EQ(unheard.count(), 0U);
}

TEST(PostedToAPool, ItsPriorityIsNormal) {
    std::vector<int> seen;
    {
        thread_pool pool{{.workers = 1}};
        held_worker held{pool};
        auto low = pool.submit({.priority = priority::low}, [&] { seen.push_back(3); });
        pool.post([&] { seen.push_back(2); });
        auto high = pool.submit({.priority = priority::high}, [&] { seen.push_back(1); });
        held.release();
        pool.shutdown();
    }
    EXPECT_EQ(seen, (std::vector{1, 2, 3}));
}

TEST(PostedToAPool, ABrokenPoolReportsIt) {
    test::unheard unheard;
    thread_pool pool{
        {.workers = 1, .initializer = [] { throw failure{1}; }, .on_unhandled = unheard.handler()}};
    bool ran = false;
    pool.post([&ran] { ran = true; });
    pool.shutdown();
    EXPECT_FALSE(ran);
    EXPECT_EQ(unheard.count(), 1U);
}

TEST(PostedToAPool, WhatATaskPostsRunsToo) {
    constexpr int many = 10'000;
    std::atomic<int> ran{0};
    thread_pool pool{{.workers = 3}};
    pool.submit([&] {
            for (int i = 0; i < many; ++i) pool.post([&ran] { ++ran; });
        })
        .get();
    pool.shutdown();
    EXPECT_EQ(ran, many);
}

TEST(PostedToAPool, ItShowsAmongTheLiveTasksAsAChildOfItsPoster) {
    std::FILE* const out = std::tmpfile();
    ASSERT_NE(out, nullptr);
    thread_pool pool{{.workers = 2}};
    pool.submit({.name = "poster"},
                [&] {
                    std::promise<void> shown;
                    pool.post([&] {
                        dump_tasks(::fileno(out));
                        shown.set_value();
                    });
                    shown.get_future().wait();
                })
        .get();
    pool.shutdown();
    std::rewind(out);
    std::string text(4096, ' ');
    text.resize(std::fread(text.data(), 1, text.size(), out));
    std::fclose(out);
    const std::size_t poster = text.find("'poster' running");
    ASSERT_NE(poster, std::string::npos) << text;
    EXPECT_NE(text.find("\n  #", poster), std::string::npos) << text;
    EXPECT_NE(text.find("posted_test.cpp", text.find("\n  #", poster)), std::string::npos) << text;
}

} // namespace
} // namespace plait::test
