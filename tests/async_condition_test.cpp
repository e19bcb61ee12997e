// SPDX-License-Identifier: Apache-2.0
#include "support/strands.hpp"

#include <plait/async_condition.hpp>

#include <stdexcept>

namespace plait::test {
namespace {

template <class E>
class AsyncCondition : public on_executor<E> {};
TYPED_TEST_SUITE(AsyncCondition, executors);

TYPED_TEST(AsyncCondition, Y8_AConditionPassesABatonOn) {
    constexpr int rounds = 200;
    this->run([]() -> task<> {
        async_mutex m;
        async_condition changed;
        int turn = 0;
        auto player = [](async_mutex& mutex, async_condition& c, int& whose, int me) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                auto lock = co_await mutex.lock();
                co_await c.wait(lock, [&] { return whose == me; });
                whose = (whose + 1) % 3;
                c.notify_all();
            }
        };
        co_await gather(player(m, changed, turn, 0), player(m, changed, turn, 1),
                        player(m, changed, turn, 2));
        EXPECT_EQ(turn, 0);
        async_mutex::guard none;
        bool refused = false;
        try {
            co_await changed.wait(none);
        } catch (const std::logic_error&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

// Waits once, and says how it went on.
task<> wait_once(async_condition& condition, async_mutex& mutex, std::vector<std::string>& seen,
                 std::string name) {
    auto lock = co_await mutex.lock();
    try {
        co_await condition.wait(lock);
        seen.push_back(name);
    } catch (const cancelled&) {
        // Nobody else is inside, and it is this task's to unlock.
        seen.push_back(name + (lock && !mutex.try_lock() ? " cancelled and locked" : " cancelled"));
        throw;
    }
}

TEST(AsyncConditionOrder, C20_ACancelledWaitHasTheMutexAgain) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_mutex m;
        async_condition c;
        std::vector<std::string> seen;
        co_await with_group([&](task_group& group) -> task<> {
            auto waiting = group.spawn(wait_once, std::ref(c), std::ref(m), std::ref(seen), "a");
            co_await settle();
            auto held = co_await m.lock(); // so that it has to wait for it
            waiting.cancel();
            co_await settle();
            EXPECT_TRUE(seen.empty()) << "it went on without the mutex";
            held.unlock();
            co_await settle();
        });
        EXPECT_EQ(seen, (std::vector<std::string>{"a cancelled and locked"}));
        EXPECT_TRUE(m.try_lock());
    }());
}

TEST(AsyncConditionOrder, NotifyOneWakesTheOneThatHasWaitedLongestAndNoCancelledOne) {
    event_loop loop;
    loop.run([]() -> task<> {
        async_mutex m;
        async_condition c;
        std::vector<std::string> seen;
        co_await with_group([&](task_group& group) -> task<> {
            c.notify_one(); // nobody waits: it is gone
            std::vector<future<void>> all;
            for (const char* const name : {"a", "b", "c", "d"})
                all.push_back(group.spawn(wait_once, std::ref(c), std::ref(m), std::ref(seen), name));
            co_await settle();
            EXPECT_TRUE(seen.empty());
            all[1].cancel();
            co_await settle();
            c.notify_one();
            c.notify_one();
            co_await settle();
            EXPECT_EQ(seen, (std::vector<std::string>{"b cancelled and locked", "a", "c"}));
            c.notify_one();
        });
        EXPECT_EQ(seen.back(), "d");
    }());
}

} // namespace
} // namespace plait::test
