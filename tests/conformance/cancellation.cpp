// SPDX-License-Identifier: Apache-2.0
// limit: 120
// What a cancelled task sees, and what it may still do.
#include "support/strands.hpp"

#include <plait/io.hpp>
#include <plait/wait.hpp>

namespace plait::test {
namespace {

using namespace conformance;

template <class E>
class Cancel : public on_executor<E> {};
TYPED_TEST_SUITE(Cancel, executors, conformance::names);

/// Tests that cancel by hand need a submit that returns before the task has ended.
template <class E>
class CancelByHand : public on_executor<E> {
  protected:
    void SetUp() override {
        if constexpr (immediate<E>) skip_for<E>(because::runs_in_submit);
    }
};
TYPED_TEST_SUITE(CancelByHand, executors, conformance::names);

/// Runs `t` and fails beside it once `ready` says so: `t` is cancelled then.
template <class Ready>
task<> cancel_once(task<> t, Ready ready) {
    const auto stop = [](Ready is_ready) -> task<> {
        while (!is_ready()) co_await yield();
        throw failure{1};
    };
    try {
        co_await gather(std::move(t), stop(std::move(ready)));
        ADD_FAILURE();
    } catch (const failure&) {}
}

TYPED_TEST(Cancel, C8_ACancelledWaitThrowsAndSoDoesEveryLaterOne) {
    int thrown = 0;
    bool went_on = false;
    std::atomic<bool> began{false};
    this->run([&]() -> task<> {
        const auto stubborn = [&]() -> task<> {
            began = true;
            const auto count = [&](auto wait) -> task<> {
                try {
                    co_await wait();
                    went_on = true;
                } catch (const cancelled&) {
                    ++thrown;
                }
            };
            promise<void> never;
            promise<void> done;
            done.set_value();
            auto pending = never.get_future();
            auto ready = done.get_future();
            co_await count([] { return sleep_for(1h); });
            co_await count([] { return sleep_for(0s); });
            co_await count([] { return yield(); });
            co_await count([&] { return std::move(pending).operator co_await(); });
            co_await count([&] { return std::move(ready).operator co_await(); });
            co_await count([] { return timeout(1h, forever()); });
            co_await count([] { return gather(forever(), forever()); });
            co_await count([] { return gather_outcomes(forever()); });
            co_await count([] { return with_group([](task_group&) -> task<> { co_await forever(); }); });
        };
        co_await cancel_once(stubborn(), [&] { return began.load(); });
    });
    EXPECT_EQ(thrown, 9);
    EXPECT_FALSE(went_on);
}

TYPED_TEST(Cancel, C9_CancelsTheFutureThatIsAwaited) {
    promise<void> never;
    auto f = never.get_future();
    std::atomic<bool> began{false};
    this->run([&]() -> task<> {
        const auto wait = [&]() -> task<> {
            began = true;
            co_await f;
        };
        co_await cancel_once(wait(), [&] { return began.load(); });
    });
    EXPECT_TRUE(never.cancelled());
    never.set_value(); // a quiet no-op
}

TYPED_TEST(CancelByHand, C9_AlsoWhereItIsARunningTask) {
    witness w;
    this->run([&]() -> task<> {
        auto inner = this->ex.submit([&w]() -> task<> { co_await w.wait(); });
        std::atomic<bool> waits{false};
        const auto wait = [&]() -> task<> {
            waits = true; // a child that is stopped before it begins never awaits anything
            co_await inner;
        };
        co_await cancel_once(wait(), [&] { return waits && w.began == 1; });
    });
    this->ex.shutdown(); // the inner one has been asked, not waited for
    EXPECT_EQ(w.cancelled, 1);
}

TYPED_TEST(CancelByHand, C9_AlsoWhereItIsStoppedBeforeItComesToTheAwait) {
    std::atomic<bool> began{false};
    std::atomic<bool> asked{false};
    promise<void> never;
    auto f = this->ex.submit([&]() -> task<> {
        auto other = never.get_future();
        began = true;
        while (!asked) std::this_thread::yield();
        co_await other;
    });
    while (!began) std::this_thread::yield();
    EXPECT_TRUE(f.cancel());
    asked = true;
    EXPECT_TRUE(throws_cancelled(f));
    EXPECT_TRUE(never.cancelled());
}

TYPED_TEST(CancelByHand, C9_ALongChainOfFuturesIsCancelledToItsEnd) {
    // Each awaits the next one's future; the last one waits for ever.
    constexpr int length = 20'000;
    witness w;
    struct link {
        static task<> make(TypeParam& ex, int left, witness& last) {
            if (left == 0) co_return co_await last.wait();
            auto next = ex.submit(make, std::ref(ex), left - 1, std::ref(last));
            co_await next;
        }
    };
    on_small_stack([&] {
        auto first = this->ex.submit(link::make, std::ref(this->ex), length, std::ref(w));
        while (w.began == 0) std::this_thread::yield();
        EXPECT_TRUE(first.cancel());
        EXPECT_TRUE(throws_cancelled(first));
    });
    this->ex.shutdown();
    EXPECT_EQ(w.cancelled, 1);
}

TYPED_TEST(Cancel, C9_WithShieldTheInnerGoesOnAndItsValueComes) {
    std::atomic<bool> began{false};
    std::atomic<bool> listens{false};
    std::atomic<bool> stopped{false};
    int value = 0;
    bool next_threw = false;
    promise<int> p;
    auto shielded_future = p.get_future();
    this->run([&]() -> task<> {
        const auto inner = [&]() -> task<int> {
            began = true;
            co_await until(stopped);
            co_await sleep_for(1us);
            co_return 8;
        };
        const auto outer = [&]() -> task<> {
            value = co_await shield(inner());
            value += co_await shield(std::move(shielded_future));
            try {
                co_await yield();
            } catch (const cancelled&) {
                next_threw = true;
            }
        };
        const auto notice = [&]() -> task<> {
            listens = true; // who is cancelled before it has begun never runs (C10)
            try {
                co_await forever();
            } catch (const cancelled&) {}
            stopped = true;
            p.set_value(100);
        };
        const auto both = [&]() -> task<> { co_await gather(outer(), notice()); };
        co_await cancel_once(both(), [&] { return began && listens; });
    });
    EXPECT_EQ(value, 108);
    EXPECT_TRUE(next_threw);
}

TYPED_TEST(CancelByHand, C10_BeforeItsFirstResumeItNeverRuns) {
    std::atomic<bool> go{false};
    std::atomic<bool> ran{false};
    std::vector<future<void>> blockers;
    for (std::size_t i = 0; i < this->ex.concurrency(); ++i)
        blockers.push_back(this->ex.submit([&go] {
            while (!go) std::this_thread::yield();
        }));
    auto f = this->ex.submit([&]() -> task<> {
        ran = true;
        co_return;
    });
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(f.done());
    go = true;
    this->ex.shutdown();
    EXPECT_FALSE(ran);
    EXPECT_TRUE(throws_cancelled(f));
}

TYPED_TEST(CancelByHand, C10_DuringACpuStretchAtTheNextAwait) {
    std::atomic<bool> began{false};
    std::atomic<bool> asked{false};
    std::atomic<bool> stretch_ended{false};
    std::atomic<bool> went_on{false};
    auto f = this->ex.submit([&]() -> task<> {
        began = true;
        while (!asked) std::this_thread::yield();
        stretch_ended = true;
        co_await yield();
        went_on = true;
    });
    while (!began) std::this_thread::yield();
    EXPECT_TRUE(f.cancel());
    EXPECT_FALSE(f.done());
    asked = true;
    EXPECT_TRUE(throws_cancelled(f));
    EXPECT_TRUE(stretch_ended);
    EXPECT_FALSE(went_on);
}

TYPED_TEST(Cancel, C10_AfterItsEndItHasNoEffect) {
    auto f = this->ex.submit([]() -> task<int> { co_return 3; });
    f.wait();
    EXPECT_FALSE(f.cancel());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(f.get(), 3);
}

TYPED_TEST(Cancel, C11_CleanUpInsideShieldAwaitsNormally) {
    std::atomic<bool> began{false};
    std::vector<std::string> steps;
    this->run([&]() -> task<> {
        const auto clean_up = [&]() -> task<> {
            co_await yield();
            steps.emplace_back("yield");
            co_await sleep_for(1us);
            steps.emplace_back("sleep");
            try {
                co_await timeout(1us, forever());
            } catch (const timeout_error&) {
                steps.emplace_back("timeout");
            }
            auto [a, b] = co_await gather(after_yields(1, 1), after_yields(2, 2));
            EXPECT_EQ(a + b, 3);
            steps.emplace_back("gather");
            co_await with_group([](task_group& group) -> task<> {
                group.spawn(after_yields(1, 1));
                co_return;
            });
            steps.emplace_back("group");
        };
        const auto body = [&]() -> task<> {
            bool stopped = false;
            began = true;
            try {
                co_await forever();
            } catch (const cancelled&) {
                stopped = true;
            }
            if (stopped) co_await shield(clean_up());
        };
        co_await cancel_once(body(), [&] { return began.load(); });
    });
    EXPECT_EQ(steps, (std::vector<std::string>{"yield", "sleep", "timeout", "gather", "group"}));
}

// C20: everything that a task can wait for. Each is waited for twice: stopped through its scope, and by its
// future.
constexpr std::size_t kinds_of_wait = 12;
using waits = std::vector<std::pair<const char*, std::function<task<>()>>>;

task<> into_group() {
    co_await with_group([](task_group& group) -> task<> {
        group.spawn(forever());
        co_return;
    });
}
task<> into_gather() { co_await gather(forever(), forever()); }
task<> into_outcomes() { (void)co_await gather_outcomes(forever(), forever()); }
task<> into_race() { co_await race(forever(), forever()); }
task<> into_timeout() { co_await timeout(1h, forever()); }
task<> into_future(future<void> f) { co_await f; }

task<> into_wait(promise<void>& never) {
    std::vector<future<void>> all;
    all.push_back(never.get_future());
    (void)co_await wait_async(all);
}
task<> into_as_completed(promise<void>& never) {
    std::vector<future<void>> all;
    all.push_back(never.get_future());
    auto done = as_completed_async(all);
    (void)co_await done.next();
}

task<> into_accept() {
    auto door = io::listen("127.0.0.1", 0);
    (void)co_await door.accept();
}
task<> into_socket() {
    auto [here, there] = io::connected_pair();
    std::byte byte{};
    (void)co_await here.read(std::span{&byte, 1});
}
task<> into_full_socket() {
    auto [here, there] = io::connected_pair();
    const std::vector<std::byte> much(1 << 20);
    for (;;) co_await here.write_all(much);
}

waits all_waits(promise<void>& never) {
    return {{"sleep", [] { return forever(); }},
            {"future", [&never] { return into_future(never.get_future()); }},
            {"gather", [] { return into_gather(); }},
            {"gather_outcomes", [] { return into_outcomes(); }},
            {"race", [] { return into_race(); }},
            {"group", [] { return into_group(); }},
            {"timeout", [] { return into_timeout(); }},
            {"wait_async", [&never] { return into_wait(never); }},
            {"as_completed_async", [&never] { return into_as_completed(never); }},
            {"accept", [] { return into_accept(); }},
            {"socket, reading", [] { return into_socket(); }},
            {"socket, writing", [] { return into_full_socket(); }}};
}

TYPED_TEST(Cancel, C20_WakesChildrenInEveryKindOfWait) {
    for (std::size_t i = 0; i < kinds_of_wait; ++i) {
        promise<void> never;
        const auto all = all_waits(never);
        ASSERT_EQ(all.size(), kinds_of_wait);
        std::atomic<bool> began{false};
        bool woken = false;
        this->run([&]() -> task<> {
            const auto child = [&]() -> task<> {
                began = true;
                try {
                    co_await all[i].second();
                    ADD_FAILURE() << all[i].first;
                } catch (const cancelled&) {
                    woken = true;
                    throw;
                }
            };
            co_await cancel_once(child(), [&] { return began.load(); });
        });
        EXPECT_TRUE(woken) << all[i].first;
    }
}

TYPED_TEST(CancelByHand, C20_TheSameByItsFutureFromAnotherThread) {
    for (std::size_t i = 0; i < kinds_of_wait; ++i) {
        promise<void> never;
        const auto all = all_waits(never);
        std::atomic<bool> began{false};
        auto f = this->ex.submit([&]() -> task<> {
            began = true;
            co_await all[i].second();
        });
        while (!began) std::this_thread::yield();
        EXPECT_TRUE(f.cancel()) << all[i].first;
        EXPECT_TRUE(throws_cancelled(f)) << all[i].first;
    }
}

} // namespace
} // namespace plait::test
