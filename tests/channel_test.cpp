// SPDX-License-Identifier: Apache-2.0
// limit: 120
#include "support/strands.hpp"

#include <plait/channel.hpp>

#include <latch>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

namespace plait::test {
namespace {

/// A value that can be lost or doubled, and says so.
using item = std::unique_ptr<int>;
item make(int n) { return std::make_unique<int>(n); }

task<> send_all(channel<int>& c, int first, int n, std::atomic<int>& sent) {
    for (int i = first; i < first + n; ++i) {
        co_await c.send(i);
        ++sent;
    }
}

TEST(Channel, Y1_TheThirdSendToACapacityOfTwoSuspends) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> c{2};
        std::atomic<int> sent{0};
        auto drain = [](channel<int>& from, std::atomic<int>& n) -> task<> {
            for (int k = 0; k < 10; ++k) co_await yield();
            EXPECT_EQ(n, 2);
            for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await from.receive(), i);
        };
        co_await gather(send_all(c, 0, 3, sent), drain(c, sent));
        EXPECT_EQ(sent, 3);
    }());
}

TEST(Channel, Y1_SuspendedSendersAreServedInTheOrderInWhichTheyCame) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> c{1};
        co_await c.send(0);
        co_await with_group([&c](task_group& group) -> task<> {
            for (int i = 1; i <= 5; ++i)
                group.spawn([](channel<int>& to, int n) -> task<> { co_await to.send(n); }, std::ref(c), i);
            for (int k = 0; k < 3; ++k) co_await yield();
            for (int i = 0; i <= 5; ++i) EXPECT_EQ(co_await c.receive(), i);
        });
    }());
}

TEST(Channel, Y1_SuspendedReceiversAreServedInTheOrderInWhichTheyCame) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> c{4};
        std::vector<int> got(5);
        co_await with_group([&](task_group& group) -> task<> {
            for (int& mine : got)
                group.spawn(
                    [](channel<int>& from, int& to) -> task<> { to = (co_await from.receive()).value(); },
                    std::ref(c), std::ref(mine));
            for (int k = 0; k < 3; ++k) co_await yield();
            for (int i = 1; i <= 5; ++i) co_await c.send(i);
        });
        EXPECT_EQ(got, (std::vector{1, 2, 3, 4, 5}));
    }());
}

/// What n senders send, and m receivers receive, on threads and on loops.
struct traffic {
    static constexpr int senders = 4;
    static constexpr int each = sanitized ? 5'000 : 40'000;

    channel<std::pair<int, int>> c{7};
    std::atomic<int> senders_left{senders};
    std::vector<std::atomic<int>> seen = std::vector<std::atomic<int>>(senders * each);
    std::atomic<int> disorder{0};

    void done() {
        if (--senders_left == 0) c.close();
    }
    void note(const std::pair<int, int>& got, std::vector<int>& last) {
        auto [sender, n] = got;
        ++seen[static_cast<std::size_t>(sender * each + n)];
        if (n <= last[static_cast<std::size_t>(sender)]) ++disorder;
        last[static_cast<std::size_t>(sender)] = n;
    }
    task<> send(int sender) {
        for (int i = 0; i < each; ++i) co_await c.send({sender, i});
        done();
    }
    void send_blocking(int sender) {
        for (int i = 0; i < each; ++i) c.send_blocking({sender, i});
        done();
    }
    task<> receive() {
        std::vector<int> last(senders, -1);
        while (auto got = co_await c.receive()) note(*got, last);
    }
    void receive_blocking() {
        std::vector<int> last(senders, -1);
        while (auto got = c.receive_blocking()) note(*got, last);
    }
};

TEST(Channel, Y1_ThreadsAndCoroutinesOnSeveralLoopsGetEachItemOnceAndInOrder) {
    traffic t;
    loop_pool loops{{.workers = 2}};
    thread_pool pool{{.workers = 2}};
    {
        std::vector<future<void>> all;
        all.push_back(loops.submit([&t] { return t.send(0); }));
        all.push_back(pool.submit([&t] { return t.send(1); }));
        all.push_back(loops.submit([&t] { return t.receive(); }));
        all.push_back(pool.submit([&t] { return t.receive(); }));
        std::jthread third{[&t] { t.send_blocking(2); }};
        std::jthread fourth{[&t] { t.send_blocking(3); }};
        std::jthread receiver{[&t] { t.receive_blocking(); }};
        for (auto& f : all) f.get();
    }
    EXPECT_EQ(t.disorder, 0);
    for (auto& n : t.seen) ASSERT_EQ(n, 1);
}

constexpr int total = 10'000;

TEST(Channel, Y1_BatchesKeepTheOrderAndAreNeverSplitUpByLosses) {
    channel<int> c{8};
    std::jthread sender{[&c] {
        std::vector<int> all(total);
        std::iota(all.begin(), all.end(), 0);
        for (std::span<int> rest{all}; !rest.empty();)
            rest = rest.subspan(c.send_many_blocking(rest.first(std::min<std::size_t>(rest.size(), 13))));
        c.close();
    }};
    event_loop loop;
    loop.run([](channel<int>& from) -> task<> {
        int expected = 0;
        for (;;) {
            const std::vector<int> some = co_await from.receive_many(5);
            if (some.empty()) break;
            EXPECT_LE(some.size(), 5U);
            for (const int x : some) EXPECT_EQ(x, expected++);
        }
        EXPECT_EQ(expected, total);
    }(c));
}

TEST(Channel, Y1_ABatchThatDoesNotFitIsSentInPart) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<item> c{3};
        std::vector<item> some;
        for (int i = 0; i < 5; ++i) some.push_back(make(i));
        EXPECT_EQ(co_await c.send_many(some), 3U);
        EXPECT_FALSE(some[2]);
        EXPECT_TRUE(some[3]);
        auto rest = [](channel<item>& to, std::span<item> items) -> task<std::size_t> {
            co_return co_await to.send_many(items);
        };
        auto all = [](channel<item>& from) -> task<std::size_t> {
            const auto got = co_await from.receive_many(100);
            co_return got.size();
        };
        auto [sent, got] = co_await gather(rest(c, std::span{some}.subspan(3)), all(c));
        EXPECT_EQ(sent + 3, got + c.size());
        EXPECT_THROW((void)c.receive_many(0), std::invalid_argument);
        EXPECT_EQ(co_await c.send_many({}), 0U);
    }());
}

TEST(Channel, Y2_ManyThatDoNotWaitAreToldApartFromClosedToo) {
    channel<item> c{2};
    EXPECT_FALSE(c.try_receive_many(9));
    EXPECT_FALSE(c.try_receive_many(9).closed());
    item some[4] = {make(1), make(2), make(3), make(4)};
    EXPECT_EQ(c.try_send_many(some), 2U);
    EXPECT_EQ(c.try_send_many(std::span{some}.last(2)), 0U);
    EXPECT_TRUE(some[2]);
    EXPECT_EQ(**c.try_receive_many(1)->begin(), 1);
    EXPECT_EQ(c.try_send_many(std::span{some}.last(2)), 1U);
    c.close();
    EXPECT_THROW((void)c.try_send_many(std::span{some}.last(1)), closed_error);
    EXPECT_TRUE(some[3]);
    const auto left = *c.try_receive_many(9);
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(*left[1], 3);
    EXPECT_TRUE(c.try_receive_many(9).closed());
    EXPECT_THROW((void)c.try_receive_many(0), std::invalid_argument);
    EXPECT_EQ(c.try_send_many({}), 0U);
}

TEST(Channel, Y2_TimedFormsOfManyTellWhyTheyEnded) {
    channel<item> c{2};
    const auto none = c.receive_many_blocking_for(9, 1ms);
    EXPECT_FALSE(none);
    EXPECT_FALSE(none.closed());
    item mine[3] = {make(1), make(2), make(3)};
    EXPECT_EQ(c.send_many_blocking_for(mine, 1h), 2U);
    EXPECT_EQ(c.send_many_blocking_for(std::span{mine}.last(1), 1ms), 0U);
    EXPECT_TRUE(mine[2]);
    std::jthread closer{[&c] { c.close(); }};
    EXPECT_THROW((void)c.send_many_blocking_for(std::span{mine}.last(1), 1h), closed_error);
    EXPECT_TRUE(mine[2]);
    EXPECT_EQ(c.receive_many_blocking_for(9, 0s)->size(), 2U);
    EXPECT_TRUE(c.receive_many_blocking_for(9, 1h).closed());
    EXPECT_THROW((void)c.receive_many_blocking_for(0, 1h), std::invalid_argument);
    EXPECT_EQ(c.send_many_blocking_for({}, 1h), 0U);
}

TEST(Channel, Y2_ATimedReceiveOfManyGetsWhatComesMeanwhile) {
    channel<int> c{4};
    std::jthread sender{[&c] {
        int some[3] = {1, 2, 3};
        for (std::span<int> rest{some}; !rest.empty();)
            rest = rest.subspan(c.send_many_blocking_for(rest, 1h));
    }};
    std::vector<int> got;
    while (got.size() < 3) {
        const std::vector<int> more = *c.receive_many_blocking_for(9, 1h);
        got.insert(got.end(), more.begin(), more.end());
    }
    EXPECT_EQ(got, (std::vector{1, 2, 3}));
}

TEST(Channel, Y2_FullAndEmptyAreToldApartFromClosed) {
    channel<item> c{2};
    EXPECT_FALSE(c.try_receive());
    EXPECT_FALSE(c.try_receive().closed());
    EXPECT_EQ(c.try_send(make(1)), send_status::sent);
    EXPECT_EQ(c.try_send(make(2)), send_status::sent);
    EXPECT_EQ(c.size(), 2U);
    item third = make(3);
    EXPECT_EQ(c.try_send(std::move(third)), send_status::full);
    EXPECT_TRUE(third);
    c.close();
    EXPECT_EQ(c.try_send(std::move(third)), send_status::closed);
    EXPECT_TRUE(third);
    for (int i = 1; i <= 2; ++i) {
        auto got = c.try_receive();
        ASSERT_TRUE(got);
        EXPECT_EQ(**got, i);
    }
    EXPECT_TRUE(c.try_receive().closed());
}

TEST(Channel, Y2_ImpossibleCapacitiesAreRefused) {
    EXPECT_THROW(channel<int>{0}, std::invalid_argument);
    EXPECT_THROW(channel<int>{~std::size_t{0}}, std::invalid_argument);
    for (const std::size_t n : {1U, 2U, 3U, 5U, 8U}) {
        channel<int> c{n};
        for (int lap = 0; lap < 5; ++lap) {
            for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(c.try_send(lap), send_status::sent);
            EXPECT_EQ(c.try_send(lap), send_status::full);
            EXPECT_EQ(c.size(), n);
            for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(*c.try_receive(), lap);
            EXPECT_FALSE(c.try_receive());
        }
    }
}

TEST(Channel, Y3_CloseLetsReceiversDrainAndWakesThoseThatWait) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> c{4};
        co_await c.send(1);
        c.close();
        c.close();
        EXPECT_TRUE(c.closed());
        EXPECT_EQ(co_await c.receive(), 1);
        EXPECT_EQ(co_await c.receive(), std::nullopt);
        channel<int> empty{4};
        auto end = [](channel<int>& from) -> task<bool> { co_return !(co_await from.receive()); };
        auto close = [](channel<int>& which) -> task<> {
            co_await yield();
            which.close();
        };
        auto [a, b, nothing] = co_await gather(end(empty), end(empty), close(empty));
        static_cast<void>(nothing);
        EXPECT_TRUE(a && b);
    }());
}

TEST(Channel, Y3_BlockedSendersWakeWithClosedErrorAndKeepTheirItem) {
    channel<item> c{1};
    c.send_blocking(make(0));
    std::atomic<int> began{0};
    std::atomic<int> kept{0};
    thread_pool pool{{.workers = 2}};
    const auto blocked = [&]() -> task<> {
        item mine = make(1);
        bool failed = false;
        ++began;
        try {
            co_await c.send(std::move(mine));
        } catch (const closed_error&) {
            failed = true;
        }
        if (failed && mine && *mine == 1) ++kept;
    };
    std::vector<future<void>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(pool.submit(blocked));
    std::jthread thread{[&] {
        item mine = make(2);
        EXPECT_THROW(c.send_blocking(std::move(mine)), closed_error);
        if (mine && *mine == 2) ++kept;
    }};
    while (began < 3) std::this_thread::yield(); // whether they wait by then or not: the channel is full
    c.close();
    for (auto& f : tasks) f.get();
    thread.join();
    EXPECT_EQ(kept, 4);
    EXPECT_EQ(**c.receive_blocking(), 0);
    EXPECT_FALSE(c.receive_blocking());
}

} // namespace
} // namespace plait::test
