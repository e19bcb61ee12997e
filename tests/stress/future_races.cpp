// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// The word that a future, its producer, its cancellers and its waiters share, with all of them at it at once:
// the task is run or cancelled by exactly one, every waiter is told exactly once or not at all, and exactly
// one owner is last.
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <plait/future.hpp>
#include <plait/thread_pool.hpp>

#include <array>
#include <atomic>
#include <barrier>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 3'000 : 20'000;

/// Threads that do the same rounds together: `body(thread, round)`, then `after(round)` once, while all wait.
template <class Body, class After>
void race(int threads, int n, Body body, After after) {
    int round = 0;
    const auto between = [&]() noexcept {
        after(round);
        ++round;
    };
    std::barrier begin{threads};
    std::barrier end{threads, between};
    std::vector<std::jthread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            for (int i = 0; i < n; ++i) {
                begin.arrive_and_wait();
                body(t, i);
                end.arrive_and_wait();
            }
        });
}

/// The threads meet at different points of what they do each round.
void stagger(int thread, int round) {
    for (int i = (round >> (2 * thread)) % 4 * 16; i > 0; --i) detail::spin_pause();
}

using word = detail::future_word<>;

struct listener final : detail::completion {
    bool claim() noexcept override {
        ++claimed;
        return interested;
    }
    void fire() noexcept override { ++fired; }

    bool interested = true;
    std::atomic<int> claimed{0};
    std::atomic<int> fired{0};
    word::added how{};
    bool taken_back = false;
};

struct shared {
    static constexpr int threads = 4;
    word state{threads};
    listener nobody; // in the list as long as the word does not say that there is one
    plait::detail::completion* hooks = &nobody;
    int result = 0; // written before it is published
    std::atomic<int> runs{0};
    std::atomic<int> cancels{0};
    std::atomic<int> seen{0}; // a result that was not there
    std::atomic<int> last{0};
    std::atomic<int> dropped{0};
    std::atomic<int> unread{0}; // who has to look after a result that nobody will read
    std::array<listener, threads> listeners;

    void complete(int value, word::word flags) {
        result = value;
        const auto done = state.complete(flags, [this]() noexcept { return hooks; });
        if (done.dropped) ++unread;
        word::fire(done.hooks);
        if (done.destroy) ++last;
    }
    void look() {
        if (state.is(word::ready) && result == 0) ++seen;
    }
};

TEST(FutureRace, E12_TheWordHasOneOutcomeOneLastOwnerAndTellsEachWaiterOnce) {
    auto s = std::make_unique<shared>();
    int cancelled_rounds = 0;
    int told = 0;
    const auto body = [&](int t, int round) {
        shared& here = *s;
        listener& mine = here.listeners[static_cast<std::size_t>(t)];
        mine.interested = (round + t) % 5 != 0;
        stagger(t, round);
        bool published = false; // gave up the producer's ownership, which is this thread's
        if (t == 0) {
            mine.how = word::added::refused;
            if (here.state.try_start()) {
                ++here.runs;
                stagger(t + 1, round);
                here.complete(1, 0);
                published = true;
            }
        } else {
            mine.how = here.state.add_hook(mine, here.hooks);
            stagger((t + 2) % 4, round);
            if ((round + t) % 3 == 0) {
                if (here.state.try_cancel()) {
                    ++here.cancels;
                    here.complete(2, word::cancelled);
                    published = true;
                }
            }
            if (mine.how == word::added::linked && (round + t) % 2 == 0)
                mine.taken_back = here.state.remove_hook(mine, here.hooks);
            here.look();
        }
        if (!published && t == 1) {
            ++here.dropped;
            if ((here.state.drop() & word::ready) != 0) ++here.unread;
        }
        if (!published && here.state.release_owner()) ++here.last;
    };
    const auto after = [&](int round) noexcept {
        const shared& here = *s;
        EXPECT_EQ(here.runs + here.cancels, 1) << round;
        EXPECT_EQ(here.last, 1) << round;
        EXPECT_EQ(here.unread, here.dropped) << round; // either the completer or the one who drops, not both
        EXPECT_EQ(here.seen, 0) << round;
        EXPECT_EQ(here.nobody.claimed, 0) << round;
        cancelled_rounds += here.cancels;
        for (const listener& l : here.listeners) {
            const bool linked = l.how == word::added::linked && !l.taken_back;
            EXPECT_EQ(l.claimed, linked ? 1 : 0) << round;
            EXPECT_EQ(l.fired, linked && l.interested ? 1 : 0) << round;
            told += l.fired;
        }
        s = std::make_unique<shared>();
    };
    race(shared::threads, rounds, body, after);
    EXPECT_GT(cancelled_rounds, 0);
    EXPECT_LT(cancelled_rounds, rounds);
    EXPECT_GT(told, 0);
}

TEST(FutureRace, E9_WaitersCancellersAndTheProducerAgree) {
    promise<int> producer;
    auto f = producer.get_future();
    std::atomic<int> accepted{0};
    std::atomic<int> values{0};
    int cancels = 0;
    const auto body = [&](int t, int round) {
        stagger(t, round);
        // On a busy machine the same side may win each time: now and then the other one is let in first.
        const bool others_first = t == 0 ? round % 64 == 32 : round % 64 == 0;
        while (t != 1 && others_first && !f.done()) std::this_thread::yield();
        if (t == 0) {
            producer.set_value(round);
        } else if (t == 1) {
            f.wait(); // woken by whoever comes first
            ++(f.cancelled() ? accepted : values);
        } else if (!f.cancel()) {
            EXPECT_TRUE(f.done()) << round << ": why else could it not be cancelled?";
        }
    };
    const auto after = [&](int round) noexcept {
        EXPECT_EQ(accepted + values, 1) << round;
        try {
            EXPECT_EQ(f.get(), round);
            EXPECT_EQ(values, 1) << round;
        } catch (const cancelled&) {
            EXPECT_EQ(accepted, 1) << round;
            ++cancels;
        }
        accepted = values = 0;
        producer = promise<int>{};
        f = producer.get_future();
    };
    race(4, rounds, body, after);
    EXPECT_GT(cancels, 0);
    EXPECT_LT(cancels, rounds);
}

TEST(FutureRace, E7_ATaskRunsOrIsCancelledAndItsFutureMayGoMeanwhile) {
    thread_pool pool{{.workers = 2}};
    std::atomic<int> runs{0};
    int cancels = 0;
    constexpr int batch = 50;
    for (int i = 0; i < rounds / batch; ++i) {
        std::vector<future<void>> all;
        const int before = runs;
        std::latch go{1}; // both workers wait until the canceller is there
        std::array<future<void>, 2> gates{pool.submit([&go] { go.wait(); }),
                                          pool.submit([&go] { go.wait(); })};
        for (int k = 0; k < batch; ++k) all.push_back(pool.submit([&runs] { ++runs; }));
        std::jthread canceller{[&] {
            go.count_down();
            for (auto f = all.rbegin(); f != all.rend(); ++f) (void)f->cancel(); // they meet in the middle
        }};
        for (auto& f : all) f.wait();
        canceller.join();
        for (auto& gate : gates) gate.get();
        int here = 0;
        for (auto& f : all) here += f.cancelled() ? 1 : 0;
        EXPECT_EQ(runs - before + here, batch) << i;
        cancels += here;
        for (int k = 0; k < batch; ++k) (void)pool.submit([&runs] { ++runs; }); // dropped at once
        while (runs - before + here < 2 * batch) std::this_thread::yield();
    }
    EXPECT_GT(cancels, 0);
}

} // namespace
} // namespace plait::test
