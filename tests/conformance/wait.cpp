// SPDX-License-Identifier: Apache-2.0
// W1 to W11: wait and as_completed.
// limit: 300
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/gather.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>
#include <plait/wait.hpp>

#include <array>
#include <atomic>
#include <deque>
#include <latch>
#include <list>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace conformance;
using namespace std::chrono_literals;
using plait::wait_until;
using positions = std::vector<std::size_t>;

template <class E>
struct Wait : ::testing::Test {};
TYPED_TEST_SUITE(Wait, executors, names);

int same(int a) { return a; }
int fails(const std::string& what) { throw std::runtime_error{what}; }

TYPED_TEST(Wait, W1_BorrowsAndGivesPositions) {
    probe p;
    auto ex = make<TypeParam>({.workers = 1});
    const opener at_end{p};
    std::vector<plait::future<int>> all;
    all.push_back(ex.submit(same, 0));
    all.push_back(ex.submit(same, 1));
    auto first = plait::wait(all);
    EXPECT_EQ(first.done, (positions{0, 1}));
    EXPECT_EQ(first.pending, positions{});
    if constexpr (!immediate<TypeParam>) { // else: runs_in_submit
        all.push_back(ex.submit(hold, p.at(), 2));
        all.push_back(ex.submit(same, 3));
        p.wait_begun(1);
        auto second = plait::wait(all, {.until = wait_until::first_completed});
        EXPECT_EQ(second.done, (positions{0, 1}));
        EXPECT_EQ(second.pending, (positions{2, 3}));
        p.open();
        auto third = plait::wait(all);
        EXPECT_EQ(third.done, (positions{0, 1, 2, 3}));
    }
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].get(), static_cast<int>(i));
}

TYPED_TEST(Wait, W2_FirstCompletedReturnsAllThatAreDone) {
    auto ex = make<TypeParam>();
    std::deque<plait::future<int>> all;
    plait::promise<int> never;
    all.push_back(never.get_future());
    for (int i = 0; i < 10; ++i) all.push_back(ex.submit(same, i));
    for (auto& f : all)
        if (&f != &all.front()) f.wait();
    auto r = plait::wait(all, {.until = wait_until::first_completed});
    EXPECT_EQ(r.done.size(), 10u);
    EXPECT_EQ(r.pending, positions{0});
}

TYPED_TEST(Wait, W2_FirstCompletedWakesForOne) {
    auto ex = make<TypeParam>();
    std::vector<plait::future<int>> all;
    plait::promise<int> never;
    all.push_back(never.get_future());
    for (int round = 0; round < 1000; ++round) {
        all.push_back(ex.submit(same, round));
        auto r = plait::wait(all, {.until = wait_until::first_completed});
        ASSERT_EQ(r.done, positions{1});
        ASSERT_EQ(all.back().get(), round);
        all.pop_back();
    }
}

TYPED_TEST(Wait, W3_ACancelledFutureIsDoneForEveryMode) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        probe p;
        auto ex = make<TypeParam>({.workers = 1});
        const opener at_end{p};
        auto running = ex.submit(hold, p.at(), 1);
        p.wait_begun(1);
        for (auto mode :
             {wait_until::all_completed, wait_until::first_completed, wait_until::first_exception}) {
            std::vector<plait::future<int>> all;
            all.push_back(ex.submit(same, 1));
            EXPECT_TRUE(all[0].cancel());
            EXPECT_EQ(plait::wait(all, {.until = mode}).done, positions{0});
        }
        p.open();
        EXPECT_EQ(running.get(), 1);
    }
}

TYPED_TEST(Wait, W4_FirstExceptionReturnsAtTheFirstFailure) {
    probe p;
    auto ex = make<TypeParam>({.workers = 1});
    const opener at_end{p};
    plait::promise<int> never;
    std::vector<plait::future<int>> all;
    all.push_back(never.get_future());
    all.push_back(ex.submit(same, 1));
    all.push_back(ex.submit(fails, std::string{"x"}));
    auto r = plait::wait(all, {.until = wait_until::first_exception});
    EXPECT_EQ(r.done, (positions{1, 2}));
    EXPECT_EQ(r.pending, positions{0});
    r = plait::wait(all, {.until = wait_until::first_exception}); // one has failed already: at once
    EXPECT_EQ(r.pending, positions{0});
    EXPECT_THROW(all[2].get(), std::runtime_error);
}

TYPED_TEST(Wait, W4_CancellationsAreNoFailuresAndWithoutAnyItWaitsForAll) {
    auto ex = make<TypeParam>();
    plait::promise<int> cancelled;
    std::vector<plait::future<int>> all;
    all.push_back(cancelled.get_future());
    all[0].cancel();
    for (int i = 0; i < 20; ++i) all.push_back(ex.submit(same, i));
    EXPECT_EQ(plait::wait(all, {.until = wait_until::first_exception}).done.size(), 21u);
}

TYPED_TEST(Wait, W4_ALostWorkerIsAFailure) {
    if constexpr (!separate<TypeParam>) {
        skip_for<TypeParam>(because::no_processes);
    } else {
        auto ex = make<TypeParam>();
        plait::promise<void> never;
        std::vector<plait::future<void>> all;
        all.push_back(never.get_future());
        all.push_back(ex.submit([] { ::_exit(3); }));
        auto r = plait::wait(all, {.until = wait_until::first_exception});
        EXPECT_EQ(r.done, positions{1});
        EXPECT_THROW(all[1].get(), plait::worker_lost);
    }
}

TYPED_TEST(Wait, W5_ATimeoutReturnsWhatIsDone) {
    auto ex = make<TypeParam>();
    plait::promise<int> never;
    std::vector<plait::future<int>> all;
    all.push_back(ex.submit(same, 1));
    all.push_back(never.get_future());
    all[0].wait();
    for (auto mode : {wait_until::all_completed, wait_until::first_exception}) {
        auto r = plait::wait(all, {.until = mode, .timeout = 1us});
        EXPECT_EQ(r.done, positions{0});
        EXPECT_EQ(r.pending, positions{1});
        r = plait::wait(all, {.until = mode, .timeout = 0s});
        EXPECT_EQ(r.pending, positions{1});
    }
    EXPECT_FALSE(all[1].cancelled());
    std::vector<plait::future<int>> none;
    EXPECT_TRUE(plait::wait(none).done.empty());
    EXPECT_TRUE(plait::wait(none, {.until = wait_until::first_completed}).done.empty());
    for (auto&& f : plait::as_completed(none)) FAIL() << f.valid();
}

TYPED_TEST(Wait, W6_NoWakeUpIsLost) {
    auto ex = make<TypeParam>();
    const int rounds = scaled(10'000);
    std::vector<plait::future<int>> all;
    for (int round = 0; round < rounds; ++round) {
        all.clear();
        for (int i = 0; i < 100; ++i) all.push_back(ex.submit(same, i));
        ASSERT_EQ(plait::wait(all).done.size(), 100u);
    }
}

plait::task<> passes(plait::future<void> gate) { co_await gate; }

TYPED_TEST(Wait, W6_NorOfAHundredThatAreReleasedTogether) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::closed_by_use);
    } else {
        auto ex = make<TypeParam>();
        const int rounds = scaled(10'000);
        for (int round = 0; round < rounds; ++round) {
            std::array<plait::promise<void>, 100> gates;
            std::vector<plait::future<void>> all;
            for (auto& gate : gates) all.push_back(ex.submit(passes, gate.get_future()));
            std::thread opener{[&gates] {
                for (auto& gate : gates) gate.set_value();
            }};
            EXPECT_EQ(plait::wait(all).done.size(), 100u);
            opener.join();
        }
    }
}

TYPED_TEST(Wait, W6_NoWakeUpIsLostForOneAfterTheOther) {
    auto ex = make<TypeParam>();
    const int rounds = scaled(10'000);
    for (int round = 0; round < rounds; ++round) ASSERT_EQ(ex.submit(same, round).get(), round);
}

TYPED_TEST(Wait, W7_FuturesOfAllKindsMix) {
    probe p;
    auto ex = make<TypeParam>();
    plait::thread_pool threads{{.workers = 1}};
    plait::event_loop loop;
    plait::process_pool processes{{.workers = 1}};
    plait::promise<int> bare;
    std::array<plait::future<int>, 5> all{ex.submit(same, 0), threads.submit(same, 1), loop.submit(same, 2),
                                          processes.submit(same, 3), bare.get_future()};
    std::thread setter{[&bare] { bare.set_value(4); }};
    EXPECT_EQ(plait::wait(all).done.size(), 5u);
    setter.join();
    int sum = 0;
    for (auto&& f : plait::as_completed(std::move(all))) sum += f.get();
    EXPECT_EQ(sum, 10);
}

TYPED_TEST(Wait, W8_AsCompletedYieldsInFinishingOrder) {
    auto ex = make<TypeParam>();
    std::array<plait::promise<int>, 4> promises;
    std::vector<plait::future<int>> all;
    for (auto& p : promises) all.push_back(p.get_future());
    all.push_back(ex.submit(same, 4));
    all[4].wait(); // finished already: first
    promises[2].set_value(2);
    std::vector<int> order;
    auto range = plait::as_completed(all);
    for (auto at = range.begin(); at != range.end(); ++at) {
        order.push_back((*at).get());
        if (order.size() == 2) {
            promises[3].set_value(3);
            promises[0].set_value(0);
            promises[1].set_value(1);
        }
    }
    ASSERT_EQ(order.size(), 5u);
    EXPECT_EQ((std::set<int>{order[0], order[1]}), (std::set<int>{2, 4}));
    EXPECT_EQ((std::vector<int>{order.begin() + 2, order.end()}), (std::vector<int>{3, 0, 1}));
}

TYPED_TEST(Wait, W8_EachComesOnceAndAnRvalueRangeIsOwned) {
    auto ex = make<TypeParam>();
    const auto submit_all = [&ex] {
        std::list<plait::future<int>> all;
        for (int i = 0; i < 1000; ++i) all.push_back(ex.submit(same, i));
        return all;
    };
    std::vector<int> seen(1000);
    for (auto&& f : plait::as_completed(submit_all())) ++seen[static_cast<std::size_t>(f.get())];
    EXPECT_EQ(seen, std::vector<int>(1000, 1));
}

TYPED_TEST(Wait, W9_TheTimeoutsTextHasBothCounts) {
    auto ex = make<TypeParam>();
    std::array<plait::promise<int>, 2> never;
    std::vector<plait::future<int>> all;
    for (auto& p : never) all.push_back(p.get_future());
    for (int i = 0; i < 2; ++i) all.push_back(ex.submit(same, i));
    all[2].wait();
    all[3].wait();
    int finished = 0;
    try {
        for (auto&& f : plait::as_completed(all, {.timeout = 1us})) {
            EXPECT_TRUE(f.done());
            ++finished;
        }
        FAIL() << "no time-out";
    } catch (const plait::timeout_error& e) {
        EXPECT_NE(std::string{e.what()}.find("2 of 4 unfinished"), std::string::npos) << e.what();
    }
    EXPECT_EQ(finished, 2);
    EXPECT_FALSE(all[0].cancelled());
}

TYPED_TEST(Wait, W10_LeavingEarlyLeavesTheRestValid) {
    auto ex = make<TypeParam>();
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 100; ++i) all.push_back(ex.submit(same, i));
    int yielded = 0;
    for (auto&& f : plait::as_completed(all)) {
        (void)f.get();
        if (++yielded == 3) break;
    }
    int rest = 0;
    for (auto& f : all)
        if (f.valid()) {
            (void)f.get();
            ++rest;
        }
    EXPECT_EQ(rest, 97);
}

TYPED_TEST(Wait, W10_HoldsNothingThatItHasYielded) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        std::vector<plait::future<std::shared_ptr<int>>> all;
        for (int i = 0; i < 10; ++i) all.push_back(ex.submit([i] { return std::make_shared<int>(i); }));
        for (auto&& f : plait::as_completed(std::move(all))) {
            const std::shared_ptr<int> value = f.get();
            EXPECT_EQ(value.use_count(), 1);
        }
    }
}

TYPED_TEST(Wait, W10_FuturesMayDieBeforeTheRange) {
    auto ex = make<TypeParam>();
    std::optional<std::vector<plait::future<int>>> all{std::in_place};
    for (int i = 0; i < 100; ++i) all->push_back(ex.submit(same, i));
    {
        auto range = plait::as_completed(*all);
        auto at = range.begin();
        EXPECT_NE(at, range.end());
        all.reset();
    }
    EXPECT_EQ(ex.submit(same, 1).get(), 1);
}

plait::task<int> sum_of(std::vector<plait::future<int>> all) {
    int sum = 0;
    auto done = plait::as_completed_async(all);
    while (auto* f = co_await done.next()) sum += co_await *f;
    co_return sum;
}

plait::task<> wait_for_ever(const std::vector<plait::future<int>>& all, bool as_completed) {
    if (as_completed) {
        auto done = plait::as_completed_async(all);
        (void)co_await done.next();
    } else {
        (void)co_await plait::wait_async(all);
    }
}

TYPED_TEST(Wait, W11_CoroutinesWaitToo) {
    auto ex = make<TypeParam>();
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 100; ++i) all.push_back(ex.submit(same, i));
    plait::event_loop loop;
    const auto r = loop.run(plait::wait_async(all));
    EXPECT_EQ(r.done.size(), 100u);
    EXPECT_TRUE(r.pending.empty());
    EXPECT_EQ(loop.run(sum_of(std::move(all))), 4950);

    std::vector<plait::future<int>> mixed;
    plait::promise<int> never;
    mixed.push_back(never.get_future());
    mixed.push_back(ex.submit(same, 1));
    EXPECT_EQ(loop.run(plait::wait_async(mixed, {.until = wait_until::first_completed})).pending,
              positions{0});
    EXPECT_EQ(loop.run(plait::wait_async(mixed, {.timeout = 1us})).pending, positions{0});
}

TYPED_TEST(Wait, W11_CancellingTheWaitLeavesTheFuturesRunning) {
    auto ex = make<TypeParam>();
    for (bool as_completed : {false, true}) {
        plait::promise<int> later;
        std::vector<plait::future<int>> all;
        all.push_back(later.get_future());
        plait::event_loop loop;
        auto waiting = loop.submit(wait_for_ever, std::ref(all), as_completed);
        loop.submit([]() -> plait::task<> { co_await plait::yield(); }).get(); // it waits by now
        EXPECT_TRUE(waiting.cancel());
        EXPECT_THROW(waiting.get(), plait::cancelled);
        EXPECT_FALSE(all[0].cancelled());
        later.set_value(ex.submit(same, 6).get());
        EXPECT_EQ(all[0].get(), 6);
    }
}

} // namespace
