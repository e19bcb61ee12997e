// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <plait/any_executor.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>
#include <ranges>
#include <stdexcept>
#include <string>

namespace {

using plait::any_executor;
static_assert(plait::executor<any_executor>);
static_assert(plait::executor<plait::process_pool>);

int twice(int x) { return 2 * x; }
int refuse(int) { throw std::out_of_range{"refused"}; }
plait::task<int> later(int x) {
    co_await plait::yield();
    co_return x + 1;
}

TEST(AnyExecutor, TheSameCodeRunsOnEveryExecutor) {
    for (const char* name : {"serial", "threads", "loop", "loops", "processes"}) {
        SCOPED_TRACE(name);
        auto ex = any_executor::make(name, {.workers = 2});
        EXPECT_EQ(ex.name(), name);
        EXPECT_EQ(ex.submit(twice, 21).get(), 42);
        EXPECT_EQ(ex.submit({.name = "later"}, later, 41).get(), 42);
        EXPECT_THROW(ex.submit(refuse, 1).get(), std::out_of_range);
        int i = 0;
        for (const int x : ex.map(twice, std::views::iota(0, 200))) EXPECT_EQ(x, 2 * i++);
        EXPECT_EQ(i, 200);
        const std::string which{name};
        EXPECT_EQ(ex.concurrency(), which == "serial" || which == "loop" ? 1U : 2U);
        ex.shutdown();
        EXPECT_THROW((void)ex.submit(twice, 1), plait::shutdown_error);
    }
}

TEST(AnyExecutor, E22_AnUnknownNameListsTheKnownOnes) {
    try {
        (void)any_executor::make("nope");
        FAIL();
    } catch (const std::invalid_argument& e) {
        const std::string text = e.what();
        EXPECT_NE(text.find("'nope'"), std::string::npos) << text;
        for (const char* name : {"serial", "threads", "loop", "loops", "processes"})
            EXPECT_NE(text.find(name), std::string::npos) << text;
    }
    EXPECT_THROW((void)any_executor::make("threads", {.workers = 0}), std::invalid_argument);
}

} // namespace
