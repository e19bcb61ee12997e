// SPDX-License-Identifier: Apache-2.0
#include "support/strands.hpp"

#include <plait/generator.hpp>

#include <memory>
#include <numeric>
#include <string>

namespace plait::test {
namespace {

generator<int> count(int n) {
    for (int i = 0; i < n; ++i) co_yield i; // an lvalue: copied
}
generator<int> naturals() {
    for (int i = 0;; ++i) co_yield i + 0;
}

TEST(Generator, GoesThroughARangeForOnce) {
    std::vector<int> got;
    for (const int x : count(5)) got.push_back(x);
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
    for (const int x : count(0)) got.push_back(x);
    EXPECT_EQ(got.size(), 5U);
    static_assert(std::ranges::input_range<generator<int>>);
    static_assert(std::ranges::input_range<generator<const std::string&>>);
}

TEST(Generator, AnEndlessOneMakesOnlyWhatIsTaken) {
    int sum = 0;
    for (const int x : naturals()) {
        if (x > 10) break;
        sum += x;
    }
    EXPECT_EQ(sum, 55);
}

TEST(Generator, ItemsCanBeMovedOutAndReferencesAreWhatWasYielded) {
    auto owned = []() -> generator<std::unique_ptr<int>> {
        for (int i = 0; i < 3; ++i) co_yield std::make_unique<int>(i);
    };
    std::vector<std::unique_ptr<int>> all;
    for (auto&& p : owned()) all.push_back(std::move(p));
    EXPECT_EQ(*all[2], 2);

    std::vector<std::string> words{"a", "b"};
    auto each = [](std::vector<std::string>& of) -> generator<std::string&> {
        for (std::string& w : of) co_yield w;
    };
    for (std::string& w : each(words)) w += "!";
    EXPECT_EQ(words[1], "b!");
}

TEST(Generator, AnExceptionComesOutAndEndsIt) {
    auto fails = []() -> generator<int> {
        co_yield 1;
        throw failure{2};
    };
    auto g = fails();
    auto at = g.begin();
    EXPECT_EQ(*at, 1);
    EXPECT_THROW(++at, failure);
    EXPECT_TRUE(at == g.end());
}

TEST(Generator, DestroyedInTheMiddleItDestroysItsVariables) {
    std::atomic<int> live{0};
    {
        auto body = [](std::atomic<int>& n) -> generator<int> {
            const counted one{n};
            co_yield 1;
            co_yield 2;
        };
        auto g = body(live);
        EXPECT_EQ(live, 0) << "lazy";
        EXPECT_EQ(*g.begin(), 1);
        EXPECT_EQ(live, 1);
    }
    EXPECT_EQ(live, 0);
}

template <class E>
class Generators : public on_executor<E> {};
TYPED_TEST_SUITE(Generators, executors);

TYPED_TEST(Generators, FeedMap) {
    int sum = 0;
    for (const int y : this->ex.map([](int x) { return 2 * x; }, count(100))) sum += y;
    EXPECT_EQ(sum, 9900);
    int taken = 0;
    for (const int y : this->ex.map([](int x) { return x; }, naturals(), map_options{.window = 8})) {
        EXPECT_EQ(y, taken);
        if (++taken == 20) break;
    }
}

async_generator<int> slowly(int n) {
    for (int i = 0; i < n; ++i) {
        if (i % 3 == 0) co_await yield();
        co_yield i;
    }
}

TYPED_TEST(Generators, AsyncOnesAwaitInBetween) {
    const int sum = this->run([]() -> task<int> {
        int total = 0;
        auto g = slowly(10);
        while (const int* x = co_await g.next()) total += *x;
        EXPECT_EQ(co_await g.next(), nullptr) << "the end stays";
        co_return total;
    });
    EXPECT_EQ(sum, 45);
}

TYPED_TEST(Generators, AsyncOnesNestAndNeedNoStack) {
    const int n = this->run([]() -> task<int> {
        auto doubled = [](async_generator<int> of) -> async_generator<std::unique_ptr<int>> {
            while (const int* x = co_await of.next()) co_yield std::make_unique<int>(2 * *x);
        };
        int seen = 0;
        auto g = doubled(slowly(100'000));
        while (auto* x = co_await g.next()) {
            EXPECT_EQ(**x, 2 * seen);
            ++seen;
        }
        co_return seen;
    });
    EXPECT_EQ(n, 100'000);
}

TYPED_TEST(Generators, AnAsyncOnesFailureComesOutOfNext) {
    this->run([]() -> task<> {
        auto fails = []() -> async_generator<int> {
            co_yield 1;
            co_await yield();
            throw failure{2};
        };
        auto g = fails();
        const int* first = co_await g.next();
        EXPECT_EQ(*first, 1);
        bool failed = false;
        try {
            co_await g.next();
        } catch (const failure&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
        EXPECT_EQ(co_await g.next(), nullptr);
    });
}

TYPED_TEST(Generators, C20_ACancelledNextEndsTheWaitInside) {
    this->run([]() -> task<> {
        std::atomic<int> live{0};
        auto waits = [](std::atomic<int>& n) -> async_generator<int> {
            const counted one{n};
            co_yield 1;
            co_await forever();
            co_yield 2;
        };
        {
            auto g = waits(live);
            EXPECT_NE(co_await g.next(), nullptr);
            bool timed_out = false;
            try {
                (void)co_await timeout(1ms, g.next());
            } catch (const timeout_error&) {
                timed_out = true;
            }
            EXPECT_TRUE(timed_out);
            EXPECT_EQ(live, 0) << "it is at its end";
            EXPECT_EQ(co_await g.next(), nullptr);
        }
    });
}

} // namespace
} // namespace plait::test
