// SPDX-License-Identifier: Apache-2.0
// The inbox: many push, one takes all, and sleeps when there is nothing.
#include "support.hpp"

#include "base/inbox.hpp"
#include "sys/futex.hpp"

#include <array>

using plait::detail::inbox;
using plait::testing::check;
using plait::testing::label;
using plait::testing::thread;

namespace {

struct node {
    plait::testing::plain<node*> next_{nullptr};
    payload content;
    int from = 0;
};
using box = inbox<node>;

void post(box& b, node& n, int from) {
    n.content = payload{7};
    n.from = from;
    const std::uint32_t* const word = b.word();
    if (b.push(n)) plait::detail::futex_wake(word);
}

// As a loop does: until `wanted` have come.
void take(box& b, int wanted, std::array<int, 2>& last) {
    int came = 0;
    while (came < wanted) {
        node* n = b.take();
        if (!n) {
            if (b.try_sleep()) {
                plait::detail::futex_wait(b.word(), box::asleep);
                b.wake_up();
            }
            continue;
        }
        while (n) {
            node* const next = n->next_;
            check(n->content.value() == 7, "a node that was not finished");
            int& before = last[static_cast<std::size_t>(n->from & 1)];
            check(before < n->from, "out of its producer's order");
            before = n->from;
            ++came;
            n = next;
        }
    }
}

TEST(Model, Inbox_NobodySleepsWhileSomethingLiesThere) {
    explored("inbox: one producer, two pushes, a sleeper", [] {
        std::array<node, 2> nodes;
        box b;
        label(b, "inbox");
        thread producer{"producer", [&] {
                            post(b, nodes[0], 2);
                            post(b, nodes[1], 4);
                        }};
        std::array<int, 2> last{};
        take(b, 2, last);
        producer.join();
        check(!b.take());
    });
}

TEST(Model, Inbox_TwoProducers) {
    explored("inbox: two producers, a sleeper", [] {
        std::array<node, 3> nodes;
        box b;
        label(b, "inbox");
        thread one{"one", [&] {
                       post(b, nodes[0], 2);
                       post(b, nodes[1], 4);
                   }};
        thread two{"two", [&] { post(b, nodes[2], 1); }};
        std::array<int, 2> last{};
        take(b, 3, last);
        one.join();
        two.join();
    });
}

TEST(Model, Inbox_WokenOnlyByWhoFoundItAsleep) {
    explored("inbox: each sleep is ended by one producer at most", [] {
        node n;
        node m;
        box b;
        int wakes = 0;
        plait::testing::atomic<int> woken{0};
        thread one{[&] {
            if (b.push(n)) woken.fetch_add(1, std::memory_order_relaxed);
        }};
        const bool slept = b.try_sleep();
        if (b.push(m)) ++wakes;
        one.join();
        wakes += woken.load();
        check(wakes == (slept ? 1 : 0));
    });
}

} // namespace
