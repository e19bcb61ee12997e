// SPDX-License-Identifier: Apache-2.0
// The lanes through which tasks come into a pool: what was put in is taken once, whole, in order for one taker.
// with: strand/post_lane
// small: strand/post_lane.hpp size = 511 -> size = 2
#include "support.hpp"

#include "strand/post_lane.hpp"

#include <array>
#include <utility>

using plait::detail::post_lane;
using plait::detail::posted_slot;
using plait::detail::slot_claim;
using plait::detail::spare_chunks;
using plait::testing::check;
using plait::testing::thread;

namespace {

struct item : plait::detail::work {
    item() noexcept : work{nullptr} {}
    payload content;
    int taken = 0;
};

void put(post_lane& lane, spare_chunks& spares, item& i) {
    i.content = payload{7};
    posted_slot s;
    s.hold(i);
    lane.put(s, spares, [] {});
}

// Whatever a claim holds.
int empty(slot_claim& claim, spare_chunks& spares) {
    int n = 0;
    posted_slot s;
    s.closure = {}; // GCC 12 does not see that take() fills it
    for (; claim.take(s, spares); ++n) {
        item& i = static_cast<item&>(*s.held());
        check(i.content.value() == 7, "a slot that was not finished");
        check(++i.taken == 1, "a slot was taken twice");
    }
    return n;
}

int take(post_lane& lane, slot_claim& claim, spare_chunks& spares) {
    bool more = false;
    return lane.claim_into(claim, spares, 64, 1, more) ? empty(claim, spares) : 0;
}

TEST(Model, Lanes_PutAgainstTake) {
    explored(
        "lane: three puts over two chunks, one taker",
        [] {
            std::array<item, 3> items;
            spare_chunks spares;
            post_lane lane;
            thread taker{"taker", [&] {
                             slot_claim mine;
                             for (int n = 0; n < 2; ++n) take(lane, mine, spares);
                         }};
            for (item& i : items) put(lane, spares, i);
            taker.join();
            slot_claim mine;
            while (take(lane, mine, spares) != 0) {}
            check(lane.empty());
            for (const item& i : items) check(i.taken == 1, "a slot was lost");
        },
        3);
}

TEST(Model, Lanes_TwoTakers) {
    explored(
        "lane: two takers of three slots",
        [] {
            std::array<item, 3> items;
            spare_chunks spares;
            post_lane lane;
            for (item& i : items) put(lane, spares, i);
            const auto work = [&] {
                slot_claim mine;
                while (take(lane, mine, spares) != 0) {}
            };
            thread one{"one", work};
            work();
            one.join();
            work();
            for (const item& i : items) check(i.taken == 1, "a slot was lost");
        },
        3);
}

TEST(Model, Lanes_AThiefTakesHalfOfAClaim) {
    explored(
        "claim: owner and thief",
        [] {
            std::array<item, 2> items;
            spare_chunks spares;
            post_lane lane;
            for (item& i : items) put(lane, spares, i);
            slot_claim mine;
            bool more = false;
            check(lane.claim_into(mine, spares, 64, 1, more));
            thread thief{"thief", [&] {
                             slot_claim stolen;
                             while (mine.steal_into(stolen)) empty(stolen, spares);
                         }};
            empty(mine, spares);
            thief.join();
            empty(mine, spares);
            for (const item& i : items) check(i.taken == 1, "a slot was lost");
        },
        3);
}

TEST(Model, Lanes_AChunkIsUsedAgain) {
    explored(
        "lane: a late claimer meets a chunk's next life",
        [] {
            std::array<item, 5> items;
            spare_chunks spares;
            post_lane lane;
            put(lane, spares, items[0]);
            put(lane, spares, items[1]);
            put(lane, spares, items[2]);
            thread late{"late", [&] {
                            slot_claim mine;
                            take(lane, mine, spares);
                        }};
            slot_claim mine;
            take(lane, mine, spares);
            take(lane, mine, spares);
            put(lane, spares, items[3]);
            put(lane, spares, items[4]); // the first chunk, perhaps
            late.join();
            while (take(lane, mine, spares) != 0) {}
            for (const item& i : items) check(i.taken == 1, "a slot was lost");
        },
        3);
}

} // namespace
