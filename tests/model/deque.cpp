// SPDX-License-Identifier: Apache-2.0
// The work-stealing deque: what is pushed is taken once, whole, by the owner or by one thief. Each model twice: with
// seq_cst operations on both sides, and with sleepers that pay for the order of a push.
#include "support.hpp"

#include <plait/detail/deque.hpp>

#include <array>

using plait::detail::system_policy;
using plait::testing::check;
using plait::testing::label;
using plait::testing::thread;

namespace {

struct item {
    payload content;
    int taken = 0;
    void take() {
        check(content.value() == 7, "an item that its pusher had not finished");
        check(++taken == 1, "an item was taken twice");
    }
};

// Its first ring has room for two, so that borders are within reach.
struct deque : plait::detail::deque<item, system_policy, 2> {
    explicit deque(bool sleepers_pay) {
        if (sleepers_pay) let_sleepers_pay();
    }
};

template <class F>
void explored_both(const std::string& name, F test) {
    explored(name.c_str(), [&test] { test(false); });
    explored((name + ", sleepers pay").c_str(), [&test] { test(true); });
}

void push(deque& d, item& i) {
    i.content = payload{7};
    check(d.push(i));
}

TEST(Model, Deque_OwnerAndThiefMeetAtTheLastItem) {
    explored_both("deque: one item, owner and thief", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        label(d, "deque");
        item only;
        push(d, only);
        thread thief{"thief", [&] {
                         if (item* i = d.steal()) i->take();
                     }};
        if (item* i = d.pop()) i->take();
        thief.join();
        check(only.taken == 1, "an item was lost");
        check(!d.pop() && !d.steal() && d.empty());
    });
}

// Who comes before the first push may see the end of what it had, and nothing of the ring.
TEST(Model, Deque_AThiefComesBeforeTheFirstPush) {
    explored_both("deque: push and pop, and a thief from the beginning", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        item only;
        thread thief{"thief", [&] {
                         if (item* i = d.steal()) i->take();
                     }};
        push(d, only);
        if (item* i = d.pop()) i->take();
        thief.join();
        check(only.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_TwoItemsTwoThieves) {
    explored_both("deque: two items, owner and two thieves", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        std::array<item, 2> items;
        for (item& i : items) push(d, i);
        const auto steal = [&d] {
            if (item* i = d.steal()) i->take();
        };
        thread one{"one", steal};
        thread two{"two", steal};
        while (item* i = d.pop()) i->take();
        one.join();
        two.join();
        for (const item& i : items) check(i.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_PushesBetweenPopsAndSteals) {
    explored_both("deque: push, pop, push against two steals", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        std::array<item, 3> items;
        push(d, items[0]);
        thread thief{"thief", [&] {
                         for (int n = 0; n < 2; ++n)
                             if (item* i = d.steal()) i->take();
                     }};
        push(d, items[1]);
        if (item* i = d.pop()) i->take();
        push(d, items[2]);
        while (item* i = d.pop()) i->take();
        thief.join();
        while (item* i = d.pop()) i->take();
        for (const item& i : items) check(i.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_TheRingComesRoundAndGrows) {
    explored_both("deque: four pushes into a ring of two, against two steals", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        std::array<item, 4> items;
        push(d, items[0]);
        push(d, items[1]);
        thread thief{"thief", [&] {
                         for (int n = 0; n < 2; ++n)
                             if (item* i = d.steal()) i->take();
                     }};
        push(d, items[2]); // in the place of the first, or a larger ring
        push(d, items[3]);
        thief.join();
        while (item* i = d.pop()) i->take();
        for (const item& i : items) check(i.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_WhatIsPoppedByItsAddressIsTakenOnce) {
    explored_both("deque: pop by address, against two steals", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        std::array<item, 2> items;
        for (item& i : items) push(d, i);
        check(!d.pop_if(items[0]), "another one is on top");
        thread thief{"thief", [&d] {
                         for (int n = 0; n < 2; ++n)
                             if (item* i = d.steal()) i->take();
                     }};
        for (item* i : {&items[1], &items[0]})
            if (d.pop_if(*i)) i->take();
        thief.join();
        while (item* i = d.pop()) i->take();
        for (const item& i : items) check(i.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_WhatIsPoppedAtItsPositionIsThatItem) {
    explored_both("deque: pop by position, against two steals", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        std::array<item, 3> items;
        push(d, items[0]);
        thread thief{"thief", [&d] {
                         for (int n = 0; n < 2; ++n)
                             if (item* i = d.steal()) i->take();
                     }};
        const std::int64_t second = d.position();
        push(d, items[1]);
        const std::int64_t third = d.position();
        push(d, items[2]);
        check(!d.pop_at(second), "another one is on top");
        if (d.pop_at(third)) items[2].take();
        if (d.pop_at(second)) items[1].take();
        thief.join();
        while (item* i = d.pop()) i->take();
        for (const item& i : items) check(i.taken == 1, "an item was lost");
    });
}

TEST(Model, Deque_WhoSleepsHasSeenNothingToTake) {
    // What a pool does: the owner pushes and looks for sleepers, a thief announces itself and looks once more.
    explored_both("deque: push against going to sleep", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        plait::testing::atomic<int> sleepers{0};
        label(sleepers, "sleepers");
        label(d, "deque");
        item only;
        bool woken = false;
        bool slept = false;
        push(d, only);
        check(d.pop() == &only);
        thread thief{"thief", [&] {
                         sleepers.fetch_add(1);
                         if (sleepers_pay && d.used()) system_policy::heavy_barrier();
                         slept = d.empty();
                     }};
        push(d, only);
        woken = sleepers.load() != 0;
        thief.join();
        check(woken || !slept, "the pusher saw no sleeper, and the sleeper no item");
    });
}

TEST(Model, Deque_WhoSleepsBeforeTheFirstPushIsSeen) {
    // Nobody has forked yet, so the sleeper spares itself the barrier.
    explored_both("deque: the first push against going to sleep", [](bool sleepers_pay) {
        deque d{sleepers_pay};
        plait::testing::atomic<int> sleepers{0};
        item only;
        bool slept = false;
        thread thief{"thief", [&] {
                         sleepers.fetch_add(1);
                         if (sleepers_pay && d.used()) system_policy::heavy_barrier();
                         slept = d.empty();
                     }};
        push(d, only);
        const bool woken = sleepers.load() != 0;
        thief.join();
        check(woken || !slept, "the pusher saw no sleeper, and the sleeper no item");
    });
}

} // namespace
