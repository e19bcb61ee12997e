// SPDX-License-Identifier: Apache-2.0
// E15 to E22: how many workers, how many tasks, who helps whom.
// limit: 300
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/gather.hpp>
#include <plait/processors.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>

#include <sched.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace conformance;

template <class E>
struct Limits : ::testing::Test {};
TYPED_TEST_SUITE(Limits, executors, names);

int add(int a, int b) { return a + b; }
int same(int a) { return a; }

TYPED_TEST(Limits, E15_FewerThanOneWorkerIsRefused) {
    if constexpr (!sized<TypeParam>) {
        skip_for<TypeParam>(because::no_workers_option);
    } else {
        for (const int n : {0, -1, -1000}) {
            try {
                TypeParam ex{{.workers = n}};
                FAIL() << n << " workers were accepted";
            } catch (const std::invalid_argument& e) {
                EXPECT_NE(std::string{e.what()}.find("workers"), std::string::npos) << e.what();
            }
        }
    }
}

TYPED_TEST(Limits, E15_TheDefaultFollowsTheAffinityMask) {
    if constexpr (!sized<TypeParam>) {
        skip_for<TypeParam>(because::no_workers_option);
    } else {
        cpu_set_t before;
        ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
        std::size_t first = 0;
        while (!CPU_ISSET(first, &before)) ++first;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(first, &one);
        ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
        const std::size_t restricted = TypeParam{}.concurrency();
        ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
        EXPECT_EQ(restricted, 1u);
        EXPECT_EQ(TypeParam{}.concurrency(), plait::available_processors());
    }
}

TYPED_TEST(Limits, E16_AsManyTasksRunAtOnceAsThereAreWorkers) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::one_at_a_time);
    } else {
        probe p;
        auto ex = make<TypeParam>();
        const opener at_end{p};
        const int n = static_cast<int>(ex.concurrency());
        EXPECT_EQ(n, one_worker<TypeParam> ? 1 : 2);
        std::vector<plait::future<int>> all;
        for (int i = 0; i < 15 * n; ++i) all.push_back(ex.submit(hold, p.at(), i));
        p.wait_begun(n);
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        EXPECT_FALSE(p.another_begun()) << "more than " << n << " run at once";
        p.open();
        p.wait_begun(14 * n);
        for (int i = 0; i < 15 * n; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
        EXPECT_FALSE(p.another_begun());
    }
}

TYPED_TEST(Limits, E17_AWaitingTaskRunsWhatItHasSubmitted) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else if constexpr (looping<TypeParam>) {
        skip_for<TypeParam>(because::blocks_loop);
    } else {
        auto ex = make<TypeParam>({.workers = 1});
        struct nest {
            static int down(TypeParam& ex, int levels) {
                if (levels == 0) return 0;
                return 1 + ex.submit(down, std::ref(ex), levels - 1).get();
            }
        };
        EXPECT_EQ(ex.submit(nest::down, std::ref(ex), 1000).get(), 1000);
    }
}

TYPED_TEST(Limits, E17_AWaitingTaskRunsOneOfManyThatItHasSubmitted) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::not_inside);
    } else if constexpr (looping<TypeParam>) {
        skip_for<TypeParam>(because::blocks_loop);
    } else {
        auto ex = make<TypeParam>({.workers = 1});
        const auto children = [&ex] {
            std::vector<plait::future<int>> all;
            for (int i = 0; i < 100; ++i) all.push_back(ex.submit(same, i));
            int sum = 0;
            for (auto at = all.rbegin(); at != all.rend(); ++at) sum += at->get(); // the last one first
            return sum;
        };
        EXPECT_EQ(ex.submit(children).get(), 4950);
        const auto mapped = [&ex] {
            int sum = 0;
            for (int v : ex.map(same, std::vector<int>{1, 2, 3, 4})) sum += v;
            return sum;
        };
        EXPECT_EQ(ex.submit(mapped).get(), 10);
    }
}

TYPED_TEST(Limits, E18_BlockingTheLoopThatHasToProduceThrows) {
    if constexpr (!looping<TypeParam>) {
        skip_for<TypeParam>(because::not_a_loop);
    } else {
        auto ex = make<TypeParam>({.workers = 1});
        auto f = ex.submit([&ex]() -> plait::task<int> {
            auto child = ex.submit(add, 1, 2);
            EXPECT_THROW(child.get(), std::logic_error);
            EXPECT_THROW(child.wait(), std::logic_error);
            EXPECT_THROW(child.wait_for(std::chrono::hours{1}), std::logic_error);
            EXPECT_FALSE(child.wait_for(std::chrono::seconds{0}));
            EXPECT_THROW((void)ex.map(same, std::vector<int>{1}), std::logic_error);
            co_return co_await child;
        });
        EXPECT_EQ(f.get(), 3);
    }
}

TYPED_TEST(Limits, E19_AMillionTasksBeforeAnythingIsRead) {
    auto ex = make<TypeParam>();
    const int n = scaled(1'000'000);
    std::vector<plait::future<int>> all;
    all.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) all.push_back(ex.submit(same, i));
    long long sum = 0;
    for (auto& f : all) sum += f.get();
    EXPECT_EQ(sum, static_cast<long long>(n) * (n - 1) / 2);
}

template <class E>
plait::task<int> serve_while_a_process_works(E& ex, probe& p) {
    const auto here = std::this_thread::get_id();
    auto f = ex.submit(hold, p.at(), 7);
    bool waiting = false;
    const auto wait = [&]() -> plait::task<int> {
        waiting = true;
        const int got = co_await f; // a wait that blocked the loop would keep the gate shut
        EXPECT_EQ(std::this_thread::get_id(), here);
        waiting = false;
        co_return got;
    };
    const auto open = [&]() -> plait::task<int> {
        for (int turn = 0; turn < 100; ++turn) co_await plait::yield();
        EXPECT_TRUE(waiting);
        p.open();
        co_return 0;
    };
    const auto [got, opened] = co_await plait::gather(wait(), open());
    co_return got + opened;
}
template <class E>
plait::task<int> sum_here(E& ex) {
    const auto here = std::this_thread::get_id();
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
        sum += co_await ex.submit(same, i);
        EXPECT_EQ(std::this_thread::get_id(), here);
    }
    co_return sum;
}

TYPED_TEST(Limits, E20_AwaitResumesOnTheAwaitersOwnExecutor) {
    if constexpr (!in_process<TypeParam>) { // in another way
        // As the producer: the loop that awaits it serves others meanwhile.
        probe p;
        auto ex = make<TypeParam>();
        const opener at_end{p};
        plait::event_loop loop;
        EXPECT_EQ(loop.run(serve_while_a_process_works(ex, p)), 7);
    } else {
        auto ex = make<TypeParam>();
        auto other = make<plait::thread_pool>();
        // A coroutine of `ex` awaits what a pool produces ...
        auto f = ex.submit([&other]() -> plait::task<int> {
            int sum = 0;
            for (int i = 0; i < 200; ++i) {
                sum += co_await other.submit(same, i);
                EXPECT_TRUE(plait::detail::current().scope->home->is_current());
            }
            co_return sum;
        });
        EXPECT_EQ(f.get(), 19900);
        // ... or a process, or nobody's task ...
        plait::process_pool processes{{.workers = 1}};
        plait::promise<int> bare;
        const auto waits = [&]() -> plait::task<int> {
            const int of_process = co_await processes.submit(same, 3);
            EXPECT_TRUE(plait::detail::current().scope->home->is_current());
            const int of_promise = co_await bare.get_future();
            EXPECT_TRUE(plait::detail::current().scope->home->is_current());
            co_return of_process + of_promise;
        };
        std::thread setter{[&bare] { bare.set_value(4); }};
        EXPECT_EQ(ex.submit(waits).get(), 7);
        setter.join();
        // ... and one of a loop awaits what `ex` produces.
        plait::event_loop loop;
        EXPECT_EQ(loop.run(sum_here(ex)), 19900);
    }
}

TYPED_TEST(Limits, E21_SerialHasRunTheTaskWhenSubmitReturns) {
    if constexpr (!immediate<TypeParam>) {
        skip_for<TypeParam>(because::only_serial);
    } else {
        auto ex = make<TypeParam>();
        int ran = 0;
        auto f = ex.submit([&ran] { ++ran; });
        EXPECT_EQ(ran, 1);
        EXPECT_TRUE(f.done());
        auto coroutine = ex.submit([&ran]() -> plait::task<> {
            co_await plait::sleep_for(std::chrono::nanoseconds{1});
            ++ran;
        });
        EXPECT_EQ(ran, 2);
        EXPECT_TRUE(coroutine.done());
        plait::future<int> failed;
        EXPECT_NO_THROW(failed = ex.submit([]() -> int { throw std::runtime_error{"x"}; }));
        EXPECT_TRUE(failed.done());
        EXPECT_THROW(failed.get(), std::runtime_error);
        auto nested = ex.submit([&ex, &ran] {
            auto inner = ex.submit([&ran] { return ++ran; });
            EXPECT_TRUE(inner.done());
            return inner.get();
        });
        EXPECT_EQ(nested.get(), 3);
    }
}

TEST(AnyExecutor, E22_AnUnknownNameListsTheKnownOnes) {
    try {
        (void)plait::any_executor::make("nope");
        FAIL() << "it was accepted";
    } catch (const std::invalid_argument& e) {
        for (const char* name : {"nope", "serial", "threads", "loop", "loops", "processes"})
            EXPECT_NE(std::string{e.what()}.find(name), std::string::npos) << e.what();
    }
    for (const char* name : {"serial", "threads", "loop", "loops", "processes"}) {
        auto ex = plait::any_executor::make(name, {.workers = 2});
        EXPECT_EQ(ex.name(), name);
        EXPECT_EQ(ex.submit(same, 7).get(), 7);
    }
}

} // namespace
