// SPDX-License-Identifier: Apache-2.0
// E1 to E9: what submit takes and gives, and what cancel does.
// limit: 120
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/task.hpp>
#include <plait/this_task.hpp>
#include <plait/time.hpp>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using namespace conformance;

template <class E>
struct Submit : ::testing::Test {};
TYPED_TEST_SUITE(Submit, executors, names);

struct point {
    int x = 0;
    int y = 0;
    int sum() const { return x + y; }
};
struct multiplier {
    int factor = 1;
    int operator()(int x) const { return factor * x; }
};
struct explicit_only {
    explicit explicit_only(int v) : value{v} {}
    explicit_only(const explicit_only&) = delete;
    explicit_only(explicit_only&&) = default;
    int value;
};
int add(int a, int b) { return a + b; }
void nothing() {}
std::unique_ptr<int> boxed(int v) { return std::make_unique<int>(v); }
int unboxed(std::unique_ptr<int> p) { return *p; }
plait::task<int> doubled(int v) {
    co_await plait::yield();
    co_return 2 * v;
}
int fails(const std::string& what) { throw std::out_of_range{what}; }
int throws_number() { throw 42; }

TYPED_TEST(Submit, E1_GivesAFutureOfWhatTheCallableReturns) {
    auto ex = make<TypeParam>();
    plait::future<void> none = ex.submit(nothing);
    plait::future<int> sum = ex.submit(add, 20, 22);
    plait::future<std::unique_ptr<int>> box = ex.submit(boxed, 7);
    plait::future<int> functor = ex.submit(multiplier{6}, 7);
    plait::future<std::string> lambda = ex.submit([](std::string s) { return s + "!"; }, std::string{"so"});
    plait::future<int> named = ex.submit({.name = "add"}, add, 1, 2);
    none.get();
    EXPECT_EQ(sum.get(), 42);
    EXPECT_EQ(*box.get(), 7);
    EXPECT_EQ(functor.get(), 42);
    EXPECT_EQ(lambda.get(), "so!");
    EXPECT_EQ(named.get(), 3);
}

TYPED_TEST(Submit, E1_TakesMemberPointersAndWhatOnlyMoves) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        EXPECT_EQ(ex.submit(&point::sum, point{1, 2}).get(), 3);
        EXPECT_EQ(ex.submit(&point::y, point{1, 2}).get(), 2);
        auto held = std::make_unique<int>(5);
        auto f = ex.submit([held = std::move(held)] { return explicit_only{*held}; });
        EXPECT_EQ(f.get().value, 5);
        int local = 1;
        plait::future<int&> reference = ex.submit([&local]() -> int& { return local; });
        EXPECT_EQ(&reference.get(), &local);
    }
}

TYPED_TEST(Submit, E2_ArgumentsAreCopiedOrMovedIn) {
    auto ex = make<TypeParam>();
    EXPECT_EQ(ex.submit(unboxed, std::make_unique<int>(9)).get(), 9);
    std::string text = "before";
    probe p;
    if constexpr (immediate<TypeParam>) // in another way
        p.open();
    auto ex2 = make<TypeParam>();
    const opener at_end{p};
    auto f = ex2.submit(
        [](const token& t, std::string s) {
            pass(t);
            return s;
        },
        p.at(), text);
    text = "after";
    p.open();
    EXPECT_EQ(f.get(), "before");
    if constexpr (in_process<TypeParam>) { // else: own_memory
        int seen = 0;
        ex.submit([](int& out) { out = 3; }, std::ref(seen)).get();
        EXPECT_EQ(seen, 3);
    }
}

TYPED_TEST(Submit, E3_ACoroutineFunctionIsDrivenToItsEnd) {
    auto ex = make<TypeParam>();
    plait::future<int> f = ex.submit(doubled, 21);
    EXPECT_EQ(f.get(), 42);
    plait::future<std::string> g = ex.submit(
        [](std::string s) -> plait::task<std::string> {
            co_await plait::sleep_for(std::chrono::nanoseconds{1});
            co_return s + s;
        },
        std::string{"ab"});
    EXPECT_EQ(g.get(), "abab");
}

TYPED_TEST(Submit, E3_ALambdasCapturesOutliveItsCoroutine) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        auto value = std::make_shared<std::string>("captured");
        std::weak_ptr<std::string> watch = value;
        auto f = ex.submit([value = std::move(value)]() -> plait::task<std::size_t> {
            for (int i = 0; i < 10; ++i) co_await plait::yield();
            co_return value->size();
        });
        EXPECT_EQ(f.get(), 8u);
        EXPECT_TRUE(watch.expired());
    }
}

struct counted {
    explicit counted(std::atomic<int>& n) : live{&n} { ++*live; }
    counted(const counted& o) : live{o.live} { ++*live; }
    counted(counted&& o) noexcept : live{o.live} { ++*live; }
    counted& operator=(const counted&) = delete;
    ~counted() { --*live; }
    std::atomic<int>* live;
};

TYPED_TEST(Submit, E4_NothingOfTheTaskIsLeftWhenGetReturns) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        std::atomic<int> live{0};
        auto ex = make<TypeParam>();
        for (int round = 0; round < 1000; ++round) {
            ex.submit([c = counted{live}](const counted&) {}, counted{live}).get();
            ASSERT_EQ(live, 0);
            EXPECT_THROW(ex.submit([c = counted{live}] { throw std::runtime_error{"x"}; }).get(),
                         std::runtime_error);
            ASSERT_EQ(live, 0);
            auto f = ex.submit([c = counted{live}](counted) -> plait::task<> { co_await plait::yield(); },
                               counted{live});
            f.get();
            ASSERT_EQ(live, 0);
        }
    }
}

TYPED_TEST(Submit, E4_NothingOfTheTaskIsLeftWhenNobodyKeepsTheFuture) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        std::atomic<int> live{0};
        {
            auto ex = make<TypeParam>();
            for (int round = 0; round < 1000; ++round)
                (void)ex.submit([c = counted{live}](const counted& d) { return d; }, counted{live});
        }
        EXPECT_EQ(live, 0);
    }
}

TYPED_TEST(Submit, E4_ACancelledTaskFreesItsCallableAtOnce) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        std::atomic<int> live{0};
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto blocking = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        auto f = ex.submit([c = counted{live}] {});
        EXPECT_EQ(live, 1);
        EXPECT_TRUE(f.cancel());
        EXPECT_EQ(live, 0);
    }
}

TYPED_TEST(Submit, E5_GetRethrowsWhatTheTaskThrew) {
    auto ex = make<TypeParam>();
    auto f = ex.submit(fails, std::string{"the text"});
    try {
        f.get();
        FAIL() << "nothing was thrown";
    } catch (const std::out_of_range& e) {
        EXPECT_STREQ(e.what(), "the text");
    }
    auto first = ex.submit(fails, std::string{"1"});
    auto second = ex.submit(fails, std::string{"2"});
    auto third = ex.submit(add, 1, 2);
    const auto text = [](plait::future<int>& from) -> std::string {
        try {
            from.get();
            return "value";
        } catch (const std::out_of_range& e) {
            return e.what();
        }
    };
    EXPECT_EQ(text(third), "value");
    EXPECT_EQ(text(second), "2");
    EXPECT_EQ(text(first), "1");
}

TYPED_TEST(Submit, E5_TheExceptionIsTheSameObject) {
    if constexpr (separate<TypeParam>) {
        skip_for<TypeParam>(because::copies_errors);
    } else if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        EXPECT_THROW(ex.submit(throws_number).get(), int);
        const std::exception_ptr made = std::make_exception_ptr(std::runtime_error{"mine"});
        auto f = ex.submit([made] { std::rethrow_exception(made); });
        plait::outcome<void> o = f.get_outcome();
        ASSERT_FALSE(o);
        EXPECT_EQ(o.error(), made);
    }
}

TYPED_TEST(Submit, E6_DoneAndCancelledFollowTheTruthTable) {
    probe p;
    auto ex = make<TypeParam>({.workers = 1});
    const opener at_end{p};
    const auto is = [](const auto& f, bool done, bool cancelled) {
        return f.done() == done && f.cancelled() == cancelled;
    };
    if constexpr (!immediate<TypeParam>) { // else: runs_in_submit
        auto running = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        auto queued = ex.submit(add, 1, 2);
        auto cancelled = ex.submit(add, 1, 2);
        cancelled.cancel();
        EXPECT_TRUE(is(queued, false, false));
        EXPECT_TRUE(is(running, false, false));
        EXPECT_TRUE(is(cancelled, true, true));
        p.open();
        running.wait();
        EXPECT_TRUE(is(running, true, false));
    }
    auto failed = ex.submit(fails, std::string{"x"});
    auto valued = ex.submit(add, 1, 2);
    failed.wait();
    valued.wait();
    EXPECT_TRUE(is(failed, true, false));
    EXPECT_TRUE(is(valued, true, false));
    EXPECT_THROW(failed.get(), std::out_of_range);
}

TYPED_TEST(Submit, E7_CancelOnQueuedMeansItNeverRuns) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto running = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        auto first = ex.submit(mark, p.at(), 'a');
        auto queued = ex.submit(mark, p.at(), 'b');
        auto last = ex.submit(mark, p.at(), 'c');
        EXPECT_TRUE(queued.cancel());
        EXPECT_TRUE(queued.done());
        EXPECT_TRUE(queued.cancelled());
        EXPECT_FALSE(queued.cancel()) << "it was done already";
        p.open();
        EXPECT_EQ(first.get(), 'a');
        EXPECT_EQ(last.get(), 'c');
        EXPECT_EQ(running.get(), 1);
        EXPECT_THROW(queued.get(), plait::cancelled);
        EXPECT_EQ(p.log(), "ac");
    }
}

TYPED_TEST(Submit, E7_CancelOnFinishedKeepsTheValue) {
    auto ex = make<TypeParam>();
    auto f = ex.submit(add, 1, 2);
    f.wait();
    EXPECT_FALSE(f.cancel());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(f.get(), 3);
}

TYPED_TEST(Submit, E8_CancelOnRunningAsksForAStop) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else if constexpr (separate<TypeParam>) {
        skip_for<TypeParam>(because::cannot_stop);
    } else if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        std::latch begun{1};
        auto f = ex.submit([&begun] {
            begun.count_down();
            while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
            plait::this_task::checkpoint();
            return 1;
        });
        begun.wait();
        EXPECT_TRUE(f.cancel());
        EXPECT_THROW(f.get(), plait::cancelled);

        std::latch begun_too{1};
        auto ignores = ex.submit([&begun_too] {
            begun_too.count_down();
            while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
            return 1;
        });
        begun_too.wait();
        EXPECT_TRUE(ignores.cancel());
        ignores.wait();
        EXPECT_FALSE(ignores.cancelled());
        EXPECT_EQ(ignores.get(), 1);
    }
}

TYPED_TEST(Submit, E8_AStopThatIsIgnoredLeavesTheValue) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>();
        const opener at_end{p};
        auto f = ex.submit(hold, p.at(), 5);
        p.wait_begun(1);
        EXPECT_TRUE(f.cancel());
        EXPECT_FALSE(f.done());
        EXPECT_FALSE(f.cancelled());
        p.open();
        EXPECT_EQ(f.get(), 5);
    }
}

TYPED_TEST(Submit, E9_ABlockedGetIsWokenByACancel) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto running = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        for (int round = 0; round < 200; ++round) {
            auto f = ex.submit(add, 1, 2);
            std::latch ready{2};
            std::thread canceller{[&] {
                ready.arrive_and_wait();
                EXPECT_TRUE(f.cancel());
            }};
            ready.arrive_and_wait();
            EXPECT_THROW((void)f.get_outcome().value(), plait::cancelled);
            canceller.join();
        }
        p.open();
        EXPECT_EQ(running.get(), 1);
    }
}

} // namespace
