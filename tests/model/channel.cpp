// SPDX-License-Identifier: Apache-2.0
// The channel between threads: every item arrives once, whole, in its sender's order; nobody sleeps for nothing.
#include "tasks.hpp"

#include <plait/channel.hpp>
#include <plait/errors.hpp>

#include <array>
#include <chrono>
#include <vector>

using namespace std::chrono_literals;
using plait::testing::check;
using plait::testing::thread;

namespace {

using channel = plait::channel<payload>;

TEST(Model, Channel_OneSenderOneReceiver) {
    explored("channel: two items through one slot", [] {
        channel c{1};
        thread sender{"sender", [&c] {
                          c.send_blocking(payload{1});
                          c.send_blocking(payload{2});
                      }};
        check(c.receive_blocking()->value() == 1);
        check(c.receive_blocking()->value() == 2);
        sender.join();
    });
}

// It can be interrupted while it is moved.
struct long_item {
    explicit long_item(int n) noexcept : value{n} {}
    long_item(long_item&& other) noexcept : value{other.look()} {}
    long_item& operator=(long_item&&) = delete;
    ~long_item() = default;
    int look() const noexcept {
        step.load(std::memory_order_relaxed);
        return value;
    }

    const int value;
    plait::testing::atomic<int> step{0};
};

TEST(Model, Channel_ASlotIsFreeWhenItsItemHasBeenTakenOut) {
    explored("channel: two items that take long to be moved, one slot", [] {
        plait::channel<long_item> c{1};
        thread sender{"sender", [&c] {
                          c.send_blocking(long_item{1});
                          c.send_blocking(long_item{2});
                      }};
        check(c.receive_blocking()->value == 1);
        check(c.receive_blocking()->value == 2);
        sender.join();
    });
}

TEST(Model, Channel_TwoSenders) {
    explored("channel: two senders, one slot", [] {
        channel c{1};
        const auto send = [&c](int value) { return [&c, value] { c.send_blocking(payload{value}); }; };
        thread one{"one", send(1)};
        thread two{"two", send(2)};
        const int sum = c.receive_blocking()->value() + c.receive_blocking()->value();
        check(sum == 3);
        one.join();
        two.join();
    });
}

TEST(Model, Channel_TwoReceivers) {
    explored("channel: two receivers", [] {
        channel c{2};
        std::array<int, 2> got{};
        thread one{"one", [&] { got[0] = c.receive_blocking()->value(); }};
        thread two{"two", [&] { got[1] = c.receive_blocking()->value(); }};
        c.send_blocking(payload{1});
        c.send_blocking(payload{2});
        one.join();
        two.join();
        check(got[0] + got[1] == 3);
    });
}

TEST(Model, Channel_CloseWakesEverybody) {
    explored("channel: close against receive and send", [] {
        channel c{1};
        c.send_blocking(payload{1});
        bool sent = false;
        thread sender{"sender", [&] {
                          try {
                              c.send_blocking(payload{2});
                              sent = true;
                          } catch (const plait::closed_error&) {}
                      }};
        c.close();
        int items = 0;
        while (c.receive_blocking()) ++items;
        sender.join();
        check(items == (sent ? 2 : 1), "an item was lost");
    });
}

TEST(Model, Channel_CloseEndsWhoWaits) {
    explored("channel: close against a receiver and a sender that wait", [] {
        channel c{1};
        channel full{1};
        full.send_blocking(payload{1});
        thread receiver{"receiver", [&c] { check(!c.receive_blocking()); }};
        thread sender{"sender", [&full] {
                          payload item{2};
                          try {
                              full.send_blocking(std::move(item));
                              check(false, "sent into a closed channel");
                          } catch (const plait::closed_error&) {
                              check(item.value() == 2, "the item is gone");
                          }
                      }};
        c.close();
        full.close();
        receiver.join();
        sender.join();
    });
}

TEST(Model, Channel_CloseEndsAllWhoWait) {
    explored("channel: close against two receivers that wait", [] {
        channel c{1};
        const auto receive = [&c] { check(!c.receive_blocking()); };
        thread one{"one", receive};
        thread two{"two", receive};
        c.close();
        one.join();
        two.join();
    });
}

TEST(Model, Channel_ATimedReceiveLosesNothing) {
    explored("channel: receive_for against send", [] {
        channel c{1};
        thread sender{"sender", [&c] { c.send_blocking(payload{1}); }};
        auto first = c.receive_blocking_for(1ms);
        if (first)
            check(first->value() == 1);
        else
            check(c.receive_blocking()->value() == 1);
        sender.join();
        check(!c.try_receive());
    });
}

TEST(Model, Channel_ManyAtOnce) {
    explored("channel: send_many against receive", [] {
        channel c{2};
        thread receiver{"receiver", [&c] {
                            for (int i = 1; i <= 3; ++i) check(c.receive_blocking()->value() == i);
                        }};
        std::array<payload, 3> items{payload{1}, payload{2}, payload{3}};
        for (std::size_t sent = 0; sent < items.size();)
            sent += c.send_many_blocking(std::span{items}.subspan(sent));
        receiver.join();
    });
}

TEST(Model, Channel_ACancelledReceiveTakesNothing) {
    explored_tasks("channel: send against the cancellation of a receive", [] {
        channel c{1};
        bool got = false;
        const auto receive = [&]() -> model_task {
            try {
                const auto item = co_await c.receive();
                check(item->value() == 1);
                got = true;
            } catch (const plait::cancelled&) {}
        };
        waiting_task t{receive()};
        thread canceller{"canceller", [&] { t.scope().stop(); }};
        c.send_blocking(payload{1});
        canceller.join();
        t.join();
        check(got != static_cast<bool>(c.try_receive()), "the item is lost, or there twice");
    });
}

TEST(Model, Channel_ACancelledSendHasNotSent) {
    explored_tasks("channel: receive against the cancellation of a send", [] {
        channel c{1};
        c.send_blocking(payload{1});
        bool sent = false;
        const auto send = [&]() -> model_task {
            payload item{2};
            try {
                co_await c.send(std::move(item));
                sent = true;
            } catch (const plait::cancelled&) {
                check(item.value() == 2, "the item is gone, and was not sent");
            }
        };
        waiting_task t{send()};
        thread canceller{"canceller", [&] { t.scope().stop(); }};
        check(c.receive_blocking()->value() == 1);
        canceller.join();
        t.join();
        auto second = c.try_receive();
        check(sent == static_cast<bool>(second), "the item was sent and cancelled, or neither");
        if (second) check(second->value() == 2);
    });
}

} // namespace
