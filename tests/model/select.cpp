// SPDX-License-Identifier: Apache-2.0
// select: one of its cases is done and no other, whoever tells it; what it was told of and did not take is somebody else's.
#include "tasks.hpp"

#include <plait/cancelled.hpp>
#include <plait/channel.hpp>
#include <plait/select.hpp>

using plait::testing::check;
using plait::testing::thread;

namespace {

using channel = plait::channel<payload>;

// It begins with the case after the last one's, and that is kept from run to run.
void begin_with_the_first_case_of_two() {
    while (plait::detail::next_select_turn() % 2 == 0) {}
}

// Of two channels, in a task; counts what it takes.
struct two_channels {
    model_task select_one() {
        try {
            const auto got = co_await plait::select(first.receive(), second.receive());
            const auto& item = got.index() == 0 ? std::get<0>(got) : std::get<1>(got);
            check(item->value() == static_cast<int>(got.index()));
            ++taken;
        } catch (const plait::cancelled&) {}
    }
    int left() { return (first.try_receive() ? 1 : 0) + (second.try_receive() ? 1 : 0); }

    channel first{1};
    channel second{1};
    int taken = 0;
};

TEST(Model, Select_TakesOneOfTwo) {
    explored_tasks(
        "select: two channels, a sender to each",
        [] {
            begin_with_the_first_case_of_two();
            two_channels both;
            waiting_task t{both.select_one()};
            thread sender{"sender", [&both] { both.first.send_blocking(payload{0}); }};
            both.second.send_blocking(payload{1});
            sender.join();
            t.join();
            check(both.taken == 1 && both.left() == 1, "it took both, or lost one");
        },
        2);
}

TEST(Model, Select_EntersWhileOneIsSent) {
    explored_tasks(
        "select: one of two channels is sent to while it enters",
        [] {
            begin_with_the_first_case_of_two();
            two_channels both;
            thread sender{"sender", [&both] { both.first.send_blocking(payload{0}); }};
            model_worker w;
            model_task t = both.select_one();
            t.start(w);
            w.run(1);
            sender.join();
            check(both.taken == 1 && both.left() == 0);
        },
        2);
}

TEST(Model, Select_ACancelledOneTakesNothing) {
    explored_tasks(
        "select: send against the cancellation of a select",
        [] {
            begin_with_the_first_case_of_two();
            two_channels both;
            waiting_task t{both.select_one()};
            thread canceller{"canceller", [&t] { t.scope().stop(); }};
            both.first.send_blocking(payload{0});
            canceller.join();
            t.join();
            check(both.taken + both.left() == 1, "the item is lost, or there twice");
        },
        2);
}

// It was told of the item, and does not take it: whoever stands behind it has to be told too.
TEST(Model, Select_WhoStandsBehindACancelledOneIsServed) {
    explored_tasks(
        "select: one that is cancelled, and a receiver behind it",
        [] {
            channel c{1};
            int taken = 0;
            const auto select_alone = [&]() -> model_task {
                try {
                    const auto got = co_await plait::select(c.receive());
                    taken += std::get<0>(got)->value();
                } catch (const plait::cancelled&) {}
            };
            waiting_task t{select_alone()};
            thread receiver{"receiver", [&c] { check(c.receive_blocking()->value() == 1); }};
            c.send_blocking(payload{1});
            t.scope().stop();
            t.join();
            if (taken != 0) c.send_blocking(payload{1});
            receiver.join();
        },
        2);
}

// The same by a thread, which may not go while somebody is about to wake it.
TEST(Model, Select_AThreadTakesOneOfTwo) {
    explored_tasks(
        "select: a thread, two channels, a sender to each",
        [] {
            begin_with_the_first_case_of_two();
            two_channels both;
            thread selecting{"selecting", [&both] {
                                 const auto got =
                                     plait::select_blocking(both.first.receive(), both.second.receive());
                                 const auto& item = got.index() == 0 ? std::get<0>(got) : std::get<1>(got);
                                 check(item->value() == static_cast<int>(got.index()));
                                 ++both.taken;
                             }};
            thread sender{"sender", [&both] { both.first.send_blocking(payload{0}); }};
            both.second.send_blocking(payload{1});
            sender.join();
            selecting.join();
            check(both.taken == 1 && both.left() == 1, "it took both, or lost one");
        },
        2);
}

TEST(Model, Select_AThreadIsToldWhileItEnters) {
    explored_tasks(
        "select: a thread, one of two channels is sent to while it enters",
        [] {
            begin_with_the_first_case_of_two();
            two_channels both;
            thread sender{"sender", [&both] { both.second.send_blocking(payload{1}); }};
            const auto got = plait::select_blocking(both.first.receive(), both.second.receive());
            check(got.index() == 1 && std::get<1>(got)->value() == 1);
            sender.join();
            check(both.left() == 0);
        },
        2);
}

} // namespace
