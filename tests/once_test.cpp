// SPDX-License-Identifier: Apache-2.0
#include "support/strands.hpp"

#include <plait/once.hpp>

#include <plait/async_event.hpp>

namespace plait::test {
namespace {

template <class E>
class Once : public on_executor<E> {};
TYPED_TEST_SUITE(Once, executors);

TYPED_TEST(Once, IsDoneOnceAndTriedAgainAfterAFailure) {
    std::atomic<int> runs{0};
    std::atomic<int> failures{0};
    this->run([&]() -> task<> {
        once first;
        auto body = [](once& o, std::atomic<int>& ran, std::atomic<int>& failed) -> task<> {
            try {
                co_await o.call([&ran]() -> task<> {
                    const int n = ++ran;
                    co_await yield();
                    if (n == 1) throw failure{n};
                });
                EXPECT_TRUE(o.done());
                EXPECT_EQ(ran, 2);
            } catch (const failure&) {
                ++failed;
            }
        };
        std::vector<task<>> all;
        for (int i = 0; i < 8; ++i) all.push_back(body(first, runs, failures));
        co_await gather(std::move(all));
        co_await first.call([&runs] { ++runs; });
    });
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(failures, 1);
}

TEST(OnceOrder, C20_ACancelledWaiterLeavesAndACancelledRunIsTriedAgain) {
    event_loop loop;
    loop.run([]() -> task<> {
        once opened;
        async_event go;
        std::string ran;
        auto body = [](once& o, async_event& event, std::string& order, char name) -> task<> {
            co_await o.call([&]() -> task<> {
                order += name;
                co_await event.wait();
            });
        };
        co_await with_group([&](task_group& group) -> task<> {
            std::vector<future<void>> all;
            for (const char name : {'a', 'b', 'c'})
                all.push_back(group.spawn(body, std::ref(opened), std::ref(go), std::ref(ran), name));
            co_await settle();
            EXPECT_EQ(ran, "a");
            all[1].cancel(); // it waits: it leaves
            co_await settle();
            EXPECT_TRUE(all[1].cancelled());
            all[0].cancel(); // it runs: it was not done
            co_await settle();
            EXPECT_TRUE(all[0].cancelled());
            EXPECT_EQ(ran, "ac");
            EXPECT_FALSE(opened.done());
            go.set();
        });
        EXPECT_TRUE(opened.done());
        EXPECT_EQ(ran, "ac");
    }());
}

} // namespace
} // namespace plait::test
