// SPDX-License-Identifier: Apache-2.0
// The lanes through which tasks come into a pool: what was put in is taken once, whole, in order for one taker.
// with: strand/post_lane
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
// small: strand/post_lane.hpp most_open = 192 -> most_open = 0
#include "support.hpp"

#include "strand/post_lane.hpp"

#include <array>
#include <utility>

using plait::detail::post_lane;
using plait::detail::posted_as;
using plait::detail::posted_kind;
using plait::detail::posted_record;
using plait::detail::record_claim;
using plait::detail::spare_chunks;
using plait::testing::check;
using plait::testing::thread;

namespace {

struct item : plait::detail::work {
    item() noexcept : work{nullptr} {}
    payload content;
    int taken = 0;
};

// A lane, and what is put into it.
template <std::size_t N>
struct lane_of {
    std::array<item, N> items;
    spare_chunks spares;
    post_lane lane;
    std::size_t sent = 0;

    // A function that captures one word: two words in all, which fill a block; a chunk has two.
    void put() {
        put([] {});
    }
    template <class Then>
    void put(Then then) {
        item& i = next();
        const auto note = [&i] { take(i); };
        lane.put(posted_as<decltype(note)>::record(note), spares, then);
    }
    // One word.
    void put_address() {
        lane.put(posted_record{next()}, spares, [] {});
    }
    void put_all() {
        while (sent != N) put();
    }

    bool claim(record_claim& mine) {
        constexpr std::uint32_t most = 4;
        bool more = false;
        return lane.claim_into(mine, spares, most, more);
    }
    // Whatever a claim holds.
    void empty(record_claim& mine) {
        for (posted_record r; mine.take(r, spares);) {
            if (posted_kind* const kind = r.kind())
                kind->run(r);
            else
                take(static_cast<item&>(*r.held()));
        }
    }
    // A claim, and what it holds.
    bool take_some(record_claim& mine) {
        if (!claim(mine)) return false;
        empty(mine);
        return true;
    }
    void take_all(record_claim& mine) {
        while (take_some(mine)) {}
    }
    void steal_all(record_claim& from, record_claim& mine) {
        while (from.steal_into(mine)) empty(mine);
    }
    void check_all_taken() const {
        for (const item& i : items) check(i.taken == 1, "a record was lost");
    }

  private:
    item& next() {
        item& i = items[sent++];
        i.content = payload{7};
        return i;
    }
    static void take(item& i) {
        check(i.content.value() == 7, "a record that was not finished");
        check(++i.taken == 1, "a record was taken twice");
    }
};

TEST(Model, Lanes_PutAgainstTake) {
    explored(
        "lane: three puts over two chunks, one taker",
        [] {
            lane_of<3> l;
            thread taker{"taker", [&] {
                             record_claim mine;
                             for (int n = 0; n < 2; ++n) l.take_some(mine);
                         }};
            l.put_all();
            taker.join();
            record_claim mine;
            l.take_all(mine);
            check(l.lane.empty());
            l.check_all_taken();
        },
        3);
}

TEST(Model, Lanes_TwoTakers) {
    explored(
        "lane: two takers of three records",
        [] {
            lane_of<3> l;
            l.put_all();
            const auto work = [&] {
                record_claim mine;
                l.take_all(mine);
            };
            thread one{"one", work};
            work();
            one.join();
            work();
            l.check_all_taken();
        },
        3);
}

TEST(Model, Lanes_AThiefTakesHalfOfAClaim) {
    explored(
        "claim: owner and thief",
        [] {
            lane_of<2> l;
            l.put_all();
            record_claim mine;
            check(l.claim(mine));
            thread thief{"thief", [&] {
                             record_claim stolen;
                             l.steal_all(mine, stolen);
                         }};
            l.empty(mine);
            thief.join();
            l.empty(mine);
            l.check_all_taken();
        },
        3);
}

// A claim can be seen by thieves as soon as it is one, and not before.
TEST(Model, Lanes_AThiefStealsFromWhoClaimsAtTheSameTime) {
    explored(
        "lane: two takers of one chunk, one of whom steals from the other as well",
        [] {
            lane_of<2> l;
            l.put_all();
            record_claim mine;
            thread thief{"thief", [&] {
                             record_claim stolen;
                             l.take_some(stolen);
                             l.steal_all(mine, stolen);
                         }};
            l.take_some(mine);
            thief.join();
            l.take_all(mine);
            l.check_all_taken();
        },
        3);
}

// The chunk's memory goes as soon as all of it has been read, but not while the owner of a claim may still look.
TEST(Model, Lanes_ThievesTakeAllOfAClaim) {
    explored(
        "claim: the owner looks while a thief takes all, and the chunk goes",
        [] {
            lane_of<3> l;
            l.put_all();
            record_claim mine;
            check(l.claim(mine));
            thread thief{"thief", [&] {
                             record_claim stolen;
                             l.steal_all(mine, stolen);
                             l.take_some(stolen);
                         }};
            l.empty(mine);
            thief.join();
            l.empty(mine);
            l.take_some(mine);
            l.check_all_taken();
        },
        3);
}

// Of one and of two words: what does not go into what is left of a block begins the next one, or the next chunk.
TEST(Model, Lanes_RecordsOfSeveralSizes) {
    explored(
        "lane: one, two, one and two words; a taker and a thief",
        [] {
            lane_of<4> l;
            l.put_address();
            l.put();
            record_claim mine;
            check(l.claim(mine));
            thread thief{"thief", [&] {
                             record_claim stolen;
                             l.steal_all(mine, stolen);
                         }};
            l.put_address();
            l.put();
            l.empty(mine);
            l.take_all(mine);
            thief.join();
            l.empty(mine);
            l.take_all(mine);
            check(l.lane.empty());
            l.check_all_taken();
        },
        3);
}

// Threads that take what there is and then sleep, as a pool's do, and a sender that looks for them after each put.
template <std::size_t N>
struct lane_with_sleepers : lane_of<N> {
    void take_all_and_sleep() {
        record_claim mine;
        do {
            this->take_all(mine);
            this->lane.slow_down();
        } while (!announce_and_look());
    }
    // True: there is nothing, as it seems.
    bool announce_and_look() {
        sleepers.fetch_add(1);
        if (!this->lane.may_hold_any()) return true;
        sleepers.fetch_sub(1);
        return false;
    }
    void put_and_look() {
        this->put([&] { told = sleepers.load() != 0; });
    }
    // All sleep.
    void check_nothing_was_overlooked() {
        record_claim mine;
        check(told || !this->take_some(mine), "a record and a sleeper missed each other");
    }

    plait::testing::atomic<int> sleepers{0};
    bool told = false; // of the last record: whoever takes one takes all before it
};

TEST(Model, Lanes_SenderAndSleeperSeeEachOther) {
    explored("lane: one put into a slow lane, and who goes to sleep", [] {
        lane_with_sleepers<2> l;
        l.put();
        thread sender{"sender", [&] { l.put_and_look(); }};
        l.take_all_and_sleep();
        sender.join();
        l.check_nothing_was_overlooked();
    });
}

// The first put there begins a chunk, which makes the lane fast.
TEST(Model, Lanes_SenderToAFastLaneAndSleeperSeeEachOther) {
    explored(
        "lane: two puts into a fast lane, and who goes to sleep",
        [] {
            lane_with_sleepers<4> l;
            l.put();
            l.put();
            thread sender{"sender", [&] {
                              l.put_and_look();
                              l.put_and_look();
                          }};
            l.take_all_and_sleep();
            sender.join();
            l.check_nothing_was_overlooked();
        },
        2);
}

// The put begins a chunk behind one that is taken, and is left behind only by who takes the next.
TEST(Model, Lanes_SenderBeginsAChunkAndSleeperSeesIt) {
    explored("lane: one put that begins a chunk, and who goes to sleep", [] {
        lane_with_sleepers<3> l;
        l.put();
        l.put();
        thread sender{"sender", [&] { l.put_and_look(); }};
        l.take_all_and_sleep();
        sender.join();
        l.check_nothing_was_overlooked();
    });
}

// Who finds that somebody else has made it slow sees what was put in before.
TEST(Model, Lanes_SleeperFindsAFastLaneSlowedDown) {
    explored("lane: one put into a fast lane, one who slows it down, and who goes to sleep", [] {
        lane_with_sleepers<4> l;
        for (int n = 0; n < 3; ++n) l.put();
        record_claim mine;
        l.take_all(mine);
        thread sender{"sender", [&] { l.put_and_look(); }};
        thread other{"other", [&] { l.lane.slow_down(); }};
        const bool sleeps = l.announce_and_look();
        other.join();
        sender.join();
        if (sleeps) l.check_nothing_was_overlooked();
    });
}

TEST(Model, Lanes_AChunkIsUsedAgain) {
    explored(
        "lane: a late claimer meets a chunk's next life",
        [] {
            lane_of<5> l;
            for (int n = 0; n < 3; ++n) l.put();
            thread late{"late", [&] {
                            record_claim mine;
                            l.take_some(mine);
                        }};
            record_claim mine;
            l.take_some(mine);
            l.take_some(mine);
            l.put_all(); // the first chunk, perhaps
            late.join();
            l.take_all(mine);
            l.check_all_taken();
        },
        3);
}

// Whoever takes the last of a chunk finds the next one linked, and must find it open.
TEST(Model, Lanes_AChunkThatIsUsedAgainIsOpenedBeforeItIsLinked) {
    explored("lane: three puts into a chunk that is used again, and one behind it", [] {
        lane_of<7> l;
        record_claim mine;
        for (int n = 0; n < 3; ++n) l.put();
        l.take_all(mine);
        l.put();
        thread sender{"sender", [&l] { l.put_all(); }};
        l.take_some(mine);
        l.take_some(mine);
        sender.join();
        l.take_all(mine);
        l.check_all_taken();
    });
}

} // namespace
