// SPDX-License-Identifier: Apache-2.0
// E10 to E14 and E23: reading a future, promises, failures that nobody awaits.
// limit: 120
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace conformance;
using namespace std::chrono_literals;

template <class E>
struct Futures : ::testing::Test {};
TYPED_TEST_SUITE(Futures, executors, names);

int add(int a, int b) { return a + b; }
int fails(const std::string& what) { throw std::runtime_error{what}; }
int hold_and_fail(const token& t, const std::string& what) {
    hold(t, 0);
    throw std::runtime_error{what};
}

template <class F>
void expect_no_state(F&& call) {
    try {
        call();
        ADD_FAILURE() << "nothing was thrown";
    } catch (const std::future_error& e) {
        EXPECT_EQ(e.code(), std::future_errc::no_state);
    }
}

template <class T>
void expect_all_no_state(plait::future<T>& f) {
    EXPECT_FALSE(f.valid());
    expect_no_state([&] { f.get(); });
    expect_no_state([&] { (void)f.get_outcome(); });
    expect_no_state([&] { f.wait(); });
    expect_no_state([&] { f.wait_for(0s); });
    expect_no_state([&] { f.done(); });
    expect_no_state([&] { f.cancel(); });
    expect_no_state([&] { f.cancelled(); });
    expect_no_state([&] { (void)f.operator co_await(); });
}

/// What the handler for failures that nobody awaits was told.
struct unhandled_log {
    plait::unhandled_handler handler() {
        return [this](const plait::unhandled_failure& f) {
            const std::lock_guard guard{mutex};
            try {
                std::rethrow_exception(f.error);
            } catch (const std::exception& e) {
                texts.emplace_back(e.what());
            } catch (...) {
                texts.emplace_back("?");
            }
        };
    }
    std::mutex mutex;
    std::vector<std::string> texts; // guarded by mutex, until the executor is gone
};

TYPED_TEST(Futures, E10_WaitForPollsAndNeitherCancelsNorConsumes) {
    probe p;
    auto ex = make<TypeParam>();
    const opener at_end{p};
    if constexpr (!immediate<TypeParam>) { // else: runs_in_submit
        auto f = ex.submit(hold, p.at(), 4);
        EXPECT_FALSE(f.wait_for(0s));
        EXPECT_FALSE(f.wait_for(-1h));
        EXPECT_FALSE(f.wait_for(1us));
        EXPECT_FALSE(f.cancelled());
        p.wait_begun(1);
        EXPECT_FALSE(f.wait_for(1us));
        p.open();
        EXPECT_TRUE(f.wait_for(std::chrono::hours::max()));
        EXPECT_TRUE(f.wait_for(0s));
        EXPECT_EQ(f.get(), 4);
    }
    auto g = ex.submit(add, 1, 2);
    EXPECT_TRUE(g.wait_for(std::chrono::nanoseconds::max()));
    EXPECT_TRUE(g.wait_for(std::chrono::duration<double>::max()));
    EXPECT_TRUE(g.wait_for(0s));
    EXPECT_TRUE(g.wait_for(std::chrono::seconds::min()));
    EXPECT_EQ(g.get(), 3);
}

TYPED_TEST(Futures, E11_GetConsumes) {
    auto ex = make<TypeParam>();
    auto f = ex.submit(add, 1, 2);
    EXPECT_TRUE(f.valid());
    EXPECT_EQ(f.get(), 3);
    expect_all_no_state(f);

    auto failed = ex.submit(fails, std::string{"x"});
    EXPECT_THROW(failed.get(), std::runtime_error);
    expect_all_no_state(failed);

    auto from = ex.submit(add, 1, 2);
    plait::future<int> to = std::move(from);
    expect_all_no_state(from);
    EXPECT_EQ(to.get(), 3);

    plait::future<int> never;
    expect_all_no_state(never);
}

TEST(Promise, E12_SetTwiceThrowsAndTheFirstValueStays) {
    plait::promise<int> p;
    auto f = p.get_future();
    EXPECT_THROW((void)p.get_future(), std::future_error);
    EXPECT_FALSE(f.done());
    p.set_value(1);
    for (auto again : {0, 1}) {
        try {
            if (again == 0)
                p.set_value(2);
            else
                p.set_exception(std::make_exception_ptr(std::runtime_error{"x"}));
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::future_error& e) {
            EXPECT_EQ(e.code(), std::future_errc::promise_already_satisfied);
        }
    }
    EXPECT_EQ(f.get(), 1);
}

TEST(Promise, E12_DestroyedUnsetItIsBroken) {
    plait::future<std::string> f;
    {
        plait::promise<std::string> p;
        f = p.get_future();
    }
    EXPECT_TRUE(f.done());
    try {
        f.get();
        FAIL() << "nothing was thrown";
    } catch (const std::future_error& e) {
        EXPECT_EQ(e.code(), std::future_errc::broken_promise);
    }
}

TEST(Promise, E12_SetAfterTheConsumerCancelledIsQuiet) {
    plait::promise<int> p;
    auto f = p.get_future();
    EXPECT_FALSE(p.cancelled());
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(p.cancelled());
    EXPECT_NO_THROW(p.set_value(3));
    EXPECT_THROW(p.set_value(4), std::future_error);
    EXPECT_THROW(f.get(), plait::cancelled);

    plait::promise<std::unique_ptr<int>> dropped;
    { auto gone = dropped.get_future(); }
    EXPECT_NO_THROW(dropped.set_value(std::make_unique<int>(1)));

    plait::promise<void> moved;
    plait::promise<void> to = std::move(moved);
    EXPECT_THROW(moved.set_value(), std::future_error);
    auto g = to.get_future();
    to.set_value();
    g.get();
}

TYPED_TEST(Futures, E13_DestroyingAFutureNeitherBlocksNorCancels) {
    if constexpr (immediate<TypeParam>) {
        skip_for<TypeParam>(because::runs_in_submit);
    } else {
        unhandled_log log;
        probe p;
        {
            auto ex = make<TypeParam>({.workers = 1, .on_unhandled = log.handler()});
            const opener at_end{p};
            {
                auto gone = ex.submit(hold_and_fail, p.at(), std::string{"dropped while it ran"});
                p.wait_begun(1);
            }
            (void)ex.submit(fails, std::string{"dropped while it was queued"});
            (void)ex.submit(mark, p.at(), 'x');
            EXPECT_EQ(p.log(), "") << "the first one still holds the only worker";
            p.open();
        }
        EXPECT_EQ(p.log(), "x");
        EXPECT_EQ(log.texts,
                  (std::vector<std::string>{"dropped while it ran", "dropped while it was queued"}));
    }
}

TYPED_TEST(Futures, E13_AFailureThatIsThereAlreadyIsToldWhenTheFutureGoes) {
    unhandled_log log;
    plait::future<int> outlives;
    {
        auto ex = make<TypeParam>({.workers = 1, .on_unhandled = log.handler()});
        auto read = ex.submit(fails, std::string{"read"});
        EXPECT_THROW(read.get(), std::runtime_error);
        auto dropped = ex.submit(fails, std::string{"dropped when it had failed"});
        dropped.wait();
        outlives = ex.submit(fails, std::string{"dropped when the executor was gone"});
        outlives.wait();
        EXPECT_EQ(log.texts, std::vector<std::string>{});
    }
    EXPECT_EQ(log.texts, std::vector<std::string>{"dropped when it had failed"});
    outlives = {};
    EXPECT_EQ(log.texts,
              (std::vector<std::string>{"dropped when it had failed", "dropped when the executor was gone"}));
}

TYPED_TEST(Futures, E14_APostedFailureReachesTheHandlerAndTheWorkerGoesOn) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::no_post);
    } else {
        constexpr int rounds = 1000;
        unhandled_log log;
        std::atomic<int> ran{0};
        {
            auto ex = make<TypeParam>({.workers = 2, .on_unhandled = log.handler()});
            for (int i = 0; i < rounds; ++i) {
                ex.post([] { throw std::runtime_error{"posted"}; });
                ex.post([&ran] { ++ran; });
            }
            EXPECT_EQ(ex.submit(add, 1, 2).get(), 3);
        }
        EXPECT_EQ(ran, rounds);
        EXPECT_EQ(log.texts, std::vector<std::string>(rounds, "posted"));
    }
}

TYPED_TEST(Futures, E14_APostedCoroutinesFailureReachesTheHandler) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::no_post);
    } else {
        unhandled_log log;
        {
            auto ex = make<TypeParam>({.workers = 2, .on_unhandled = log.handler()});
            ex.post([]() -> plait::task<> {
                co_await plait::yield();
                throw std::runtime_error{"from a coroutine"};
            });
        }
        EXPECT_EQ(log.texts, std::vector<std::string>{"from a coroutine"});
    }
}

TYPED_TEST(Futures, E14_WithoutAHandlerItIsOneLineOnStderr) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::no_post);
    } else {
        ::testing::internal::CaptureStderr();
        {
            auto ex = make<TypeParam>();
            ex.post([] { throw std::runtime_error{"nobody awaits this"}; });
        }
        const std::string text = ::testing::internal::GetCapturedStderr();
        EXPECT_NE(text.find("nobody awaits this"), std::string::npos) << text;
        EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    }
}

// E23: what can be moved, copied, thrown.
template <class... T>
constexpr bool moves_quietly =
    ((std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>) && ...);
template <class... T>
constexpr bool never_copied = ((!std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>) && ...);
template <class... T>
constexpr bool never_moved = ((!std::is_move_constructible_v<T> && !std::is_move_assignable_v<T>) && ...);
template <class... T>
constexpr bool destroyed_quietly = (std::is_nothrow_destructible_v<T> && ...);

TEST(Types, E23_MoveQuietlyAndAreNotCopied) {
    using string = std::string;
    static_assert(moves_quietly<plait::future<void>, plait::future<string>, plait::promise<void>,
                                plait::promise<string>, plait::outcome<void>, plait::outcome<string>,
                                plait::task<void>, plait::task<string>>);
    static_assert(never_copied<plait::future<void>, plait::future<string>, plait::promise<void>,
                               plait::promise<string>, plait::task<void>, plait::task<string>>);
    static_assert(never_copied<plait::serial, plait::thread_pool, plait::event_loop, plait::loop_pool,
                               plait::process_pool, plait::any_executor>);
    static_assert(never_moved<plait::serial, plait::thread_pool, plait::event_loop, plait::loop_pool,
                              plait::process_pool, plait::any_executor>);
    static_assert(destroyed_quietly<plait::future<string>, plait::promise<string>, plait::outcome<string>,
                                    plait::task<string>, plait::serial, plait::thread_pool, plait::event_loop,
                                    plait::loop_pool, plait::process_pool, plait::any_executor,
                                    plait::cancelled, plait::error_group>);
    static_assert(plait::executor<plait::serial> && plait::executor<plait::thread_pool> &&
                  plait::executor<plait::event_loop> && plait::executor<plait::loop_pool> &&
                  plait::executor<plait::process_pool> && plait::executor<plait::any_executor>);
    static_assert(!std::is_base_of_v<std::exception, plait::cancelled>);
}

} // namespace
