// SPDX-License-Identifier: Apache-2.0
// limit: 120
// What becomes of items, senders and receivers when a wait is cancelled, times out, or an end goes away.
#include "support/strands.hpp"

#include <plait/channel.hpp>
#include <plait/select.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace plait::test {
namespace {

using item = std::unique_ptr<int>;
item make(int n) { return std::make_unique<int>(n); }

/// On a loop whatever is ready has run as far as it can; on a pool it may have.
task<> until_suspended() { co_await after_yields(5, 0); }

template <class E>
class ChannelCancel : public on_executor<E> {};
TYPED_TEST_SUITE(ChannelCancel, executors);

TYPED_TEST(ChannelCancel, Y4_ACancelledReceiveTakesNothing) {
    this->run([]() -> task<> {
        channel<item> c{1};
        auto late = [](channel<item>& from) -> task<> { co_await from.receive(); };
        auto late_many = [](channel<item>& from) -> task<> { (void)co_await from.receive_many(3); };
        for (int i = 0; i < 2; ++i) {
            bool timed_out = false;
            try {
                task<> wait = i == 0 ? late(c) : late_many(c);
                co_await timeout(1ms, std::move(wait));
            } catch (const timeout_error&) {
                timed_out = true;
            }
            EXPECT_TRUE(timed_out);
            co_await c.send(make(i));
            auto got = co_await c.receive();
            EXPECT_EQ(**got, i);
        }
    });
}

TYPED_TEST(ChannelCancel, Y4_WhatWasHandedOverBeforeTheCancelIsDelivered) {
    this->run([]() -> task<> {
        channel<int> c{1};
        int got = 0;
        auto take = [](channel<int>& from, int& into) -> task<> {
            const auto x = co_await from.receive();
            into += *x;
        };
        co_await with_group([&](task_group& group) -> task<> {
            group.spawn(take, std::ref(c), std::ref(got));
            co_await until_suspended();
            co_await c.send(1);
            group.cancel();
        });
        EXPECT_EQ(got + static_cast<int>(c.size()), 1) << "delivered, or still there";
    });
}

TYPED_TEST(ChannelCancel, Y5_ACancelledSendLeavesItsItemWithTheCaller) {
    this->run([]() -> task<> {
        channel<item> c{1};
        co_await c.send(make(0));
        item mine = make(1);
        bool timed_out = false;
        try {
            co_await timeout(1ms, c.send(std::move(mine)));
        } catch (const timeout_error&) {
            timed_out = true;
        }
        EXPECT_TRUE(timed_out);
        EXPECT_TRUE(mine && *mine == 1);
        EXPECT_EQ(c.size(), 1U);
        auto got = co_await c.receive();
        EXPECT_EQ(**got, 0);
        EXPECT_FALSE(c.try_receive());
        c.close();
        bool closed = false;
        try {
            co_await c.send(std::move(mine));
        } catch (const closed_error&) {
            closed = true;
        }
        EXPECT_TRUE(closed && mine);
    });
}

TYPED_TEST(ChannelCancel, Y5_TheSlotThatACancelledSenderWaitedForGoesToTheNext) {
    this->run([]() -> task<> {
        channel<int> c{1};
        co_await c.send(0);
        auto send = [](channel<int>& to, int n) -> task<> { co_await to.send(n); };
        co_await with_group([&](task_group& group) -> task<> {
            auto first = group.spawn(send, std::ref(c), 1);
            co_await until_suspended();
            group.spawn(send, std::ref(c), 2);
            co_await until_suspended();
            first.cancel();
            first.wait_for(0s);
            EXPECT_EQ(co_await c.receive(), 0);
            const auto next = co_await c.receive();
            EXPECT_TRUE(next == 2 || next == 1);
            if (next == 1) {
                EXPECT_EQ(co_await c.receive(), 2);
            }
        });
        EXPECT_EQ(c.size(), 0U);
    });
}

TYPED_TEST(ChannelCancel, C20_TasksThatWaitAtAChannelEndWhenTheyAreCancelled) {
    std::atomic<int> ended{0};
    this->run([&ended]() -> task<> {
        channel<int> full{1};
        channel<int> empty{1};
        co_await full.send(0);
        struct note {
            std::atomic<int>& n;
            ~note() { ++n; }
        };
        auto body = [](channel<int>& f, channel<int>& e, int how, std::atomic<int>& n) -> task<> {
            const note at_end{n};
            int some[2] = {1, 2};
            if (how == 0) co_await f.send(1);
            if (how == 1) co_await e.receive();
            if (how == 2) co_await f.send_many(some);
            if (how == 3) (void)co_await e.receive_many(2);
            if (how == 4) co_await select(e.receive(), f.send(3));
        };
        co_await with_group([&](task_group& group) -> task<> {
            for (int how = 0; how < 5; ++how)
                group.spawn(body, std::ref(full), std::ref(empty), how, std::ref(ended));
            co_await until_suspended();
            group.cancel();
        });
        EXPECT_EQ(full.size(), 1U);
    });
    EXPECT_EQ(ended, 5);
}

TYPED_TEST(ChannelCancel, C20_AStoppedTaskTakesNothingThatIsReady) {
    this->run([]() -> task<> {
        channel<int> c{2};
        co_await c.send(1);
        std::atomic<int> stopped{0};
        auto body = [](channel<int>& from, std::atomic<int>& n) -> task<> {
            for (int i = 0; i < 3; ++i) {
                try {
                    if (i == 0) co_await sleep_for(1h);
                    if (i == 1) co_await from.receive();
                    if (i == 2) co_await select(from.receive());
                } catch (const cancelled&) {
                    ++n;
                }
            }
        };
        co_await with_group([&](task_group& group) -> task<> {
            group.spawn(body, std::ref(c), std::ref(stopped));
            co_await until_suspended();
            group.cancel();
        });
        EXPECT_EQ(stopped, 3);
        EXPECT_EQ(c.size(), 1U);
    });
}

TYPED_TEST(ChannelCancel, C28_AChannelThatIsNeverEmptyStarvesNoTimers) {
    this->run([]() -> task<> {
        channel<int> c{1024};
        std::atomic<bool> stop{false};
        auto pump = [](channel<int>& at, std::atomic<bool>& enough) -> task<> {
            while (!enough) {
                co_await at.send(1);
                co_await at.receive();
            }
        };
        auto timer = [](std::atomic<bool>& enough) -> task<> {
            co_await sleep_for(5ms);
            enough = true;
        };
        co_await gather(pump(c, stop), pump(c, stop), timer(stop));
    });
}

TEST(ChannelEnds, Y6_TheLastSenderGoneEndsTheReceivers) {
    channel<int> c{4};
    std::jthread first{[out = c.make_sender()]() mutable {
        for (int i = 0; i < 10; ++i) out.send_blocking(i);
        out = {};
    }};
    std::jthread second{[out = c.make_sender()]() mutable {
        auto copy = out;
        for (int i = 0; i < 10; ++i) copy.send_blocking(i);
        out = {};
    }};
    int n = 0;
    while (c.receive_blocking()) ++n;
    EXPECT_EQ(n, 20);
}

TEST(ChannelEnds, Y6_ACoroutinesSenderEndsTheReceiversWhenItsTaskEnds) {
    event_loop loop;
    const int n = loop.run([]() -> task<int> {
        channel<int> c{2};
        int got = 0;
        co_await with_group([&](task_group& group) -> task<> {
            for (int s = 0; s < 3; ++s)
                group.spawn(
                    [](channel<int>::sender given) -> task<> {
                        auto out = std::move(given);
                        for (int i = 0; i < 5; ++i) co_await out.send(i);
                    },
                    c.make_sender());
            while (const auto x = co_await c.receive()) ++got;
        });
        co_return got;
    }());
    EXPECT_EQ(n, 15);
}

TEST(ChannelEnds, Y6_TheLastReceiverGoneFailsTheSendersAndTheUnreadIsDestroyedOnce) {
    std::atomic<int> live{0};
    {
        std::optional<channel<counted>> c{std::in_place, 3U};
        auto out = c->make_sender();
        {
            auto in = c->make_receiver();
            auto other = in;
            for (int i = 0; i < 3; ++i) out.send_blocking(counted{live});
            c.reset(); // the handles keep what they share
            EXPECT_TRUE(in.receive_blocking());
            EXPECT_EQ(live, 2);
            out.send_blocking(counted{live});
            EXPECT_EQ(live, 3);
        }
        EXPECT_EQ(live, 0);
        counted mine{live};
        EXPECT_THROW(out.send_blocking(std::move(mine)), closed_error);
        EXPECT_EQ(out.try_send(mine), send_status::closed);
    }
    EXPECT_EQ(live, 0);
    {
        channel<counted> c{5};
        for (int lap = 0; lap < 2; ++lap) {
            c.send_blocking(counted{live});
            (void)c.try_receive();
        }
        for (int i = 0; i < 5; ++i) c.send_blocking(counted{live});
    }
    EXPECT_EQ(live, 0);
}

TEST(ChannelBlocking, Y7_AThreadPairsWithACoroutine) {
    event_loop loop;
    channel<int> there{1};
    channel<int> back{1};
    std::jthread thread{[&] {
        while (const auto x = there.receive_blocking()) back.send_blocking(2 * *x);
        back.close();
    }};
    loop.run([](channel<int>& to, channel<int>& from) -> task<> {
        for (int i = 0; i < 200; ++i) {
            co_await to.send(i);
            EXPECT_EQ(co_await from.receive(), 2 * i);
        }
        to.close();
        EXPECT_EQ(co_await from.receive(), std::nullopt);
    }(there, back));
}

TEST(ChannelBlocking, Y7_OnALoopItThrowsLogicError) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> c{2};
        int some[1] = {1};
        co_await c.send(1); // whether there is something or not
        EXPECT_THROW(c.receive_blocking(), std::logic_error);
        EXPECT_THROW(c.send_blocking(1), std::logic_error);
        EXPECT_THROW((void)c.receive_blocking_for(1ms), std::logic_error);
        EXPECT_THROW((void)c.send_blocking_for(1, 1ms), std::logic_error);
        EXPECT_THROW(c.receive_many_blocking(1), std::logic_error);
        EXPECT_THROW(c.send_many_blocking(some), std::logic_error);
        EXPECT_THROW((void)c.receive_many_blocking_for(1, 1ms), std::logic_error);
        EXPECT_THROW((void)c.send_many_blocking_for(some, 1ms), std::logic_error);
        EXPECT_EQ(c.size(), 1U);
    }());
}

TEST(ChannelBlocking, Y7_OnAPoolAnotherThreadTakesThePlaceOfOneThatWaits) {
    thread_pool pool{{.workers = 1}};
    channel<int> c{1};
    auto waits = pool.submit([&c] { return *c.receive_blocking(); });
    pool.submit([&c] { c.send_blocking(5); }).get();
    EXPECT_EQ(waits.get(), 5);
}

TEST(ChannelBlocking, Y2_TimedFormsTellWhyTheyEnded) {
    channel<item> c{1};
    const auto none = c.receive_blocking_for(1ms);
    EXPECT_FALSE(none);
    EXPECT_FALSE(none.closed());
    EXPECT_EQ(c.send_blocking_for(make(1), 1h), send_status::sent);
    item mine = make(2);
    EXPECT_EQ(c.send_blocking_for(std::move(mine), 1ms), send_status::full);
    EXPECT_TRUE(mine);
    std::jthread closer{[&c] { c.close(); }};
    EXPECT_EQ(c.send_blocking_for(std::move(mine), 1h), send_status::closed);
    EXPECT_TRUE(mine);
    EXPECT_EQ(**c.receive_blocking_for(0s), 1);
    EXPECT_TRUE(c.receive_blocking_for(1h).closed());
}

TEST(Select, Y1_CommitsOnExactlyOneCase) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> numbers{4};
        channel<std::string> words{4};
        channel<item> out{1};
        co_await numbers.send(1);
        co_await words.send("one");
        auto first = co_await select(numbers.receive(), words.receive());
        auto second = co_await select(numbers.receive(), words.receive());
        EXPECT_NE(first.index(), second.index()) << "each begins with another case, and takes one only";
        item mine = make(1);
        auto third = co_await select(numbers.receive(), out.send(std::move(mine)));
        EXPECT_EQ(third.index(), 1U);
        EXPECT_FALSE(mine);
        mine = make(2);
        auto waits = [](channel<int>& from, channel<item>& to, item& x) -> task<std::size_t> {
            auto got = co_await select(from.receive(), to.send(std::move(x)));
            co_return got.index();
        };
        auto send = [](channel<int>& to) -> task<> { co_await to.send(7); };
        auto [which, nothing] = co_await gather(waits(numbers, out, mine), send(numbers));
        static_cast<void>(nothing);
        EXPECT_EQ(which, 0U);
        EXPECT_TRUE(mine) << "the other case was not done";
    }());
}

TEST(Select, Y3_SeesTheEndOfAChannelAndClosedErrorForASend) {
    event_loop loop;
    loop.run([]() -> task<> {
        channel<int> a{1};
        channel<int> b{1};
        auto close = [](channel<int>& c) -> task<> {
            co_await yield();
            c.close();
        };
        auto end = [](channel<int>& x, channel<int>& y) -> task<bool> {
            auto got = co_await select(x.receive(), y.receive());
            co_return got.index() == 1 && !std::get<1>(got);
        };
        auto [seen, nothing] = co_await gather(end(a, b), close(b));
        static_cast<void>(nothing);
        EXPECT_TRUE(seen);
        bool failed = false;
        try {
            co_await select(b.send(1));
        } catch (const closed_error&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
    }());
}

} // namespace
} // namespace plait::test
