// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// The inbox with its two ways to sleep: nothing is lost, nothing comes twice, each producer's order holds,
// and a consumer that slept is woken exactly once. A lost wake-up is a test that does not end.
#include "base/inbox.hpp"
#include "support/sanitizer.hpp"
#include "sys/futex.hpp"

#include <plait/detail/parking_place.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace plait::detail {
namespace {

constexpr int producers = 3;
constexpr int each = sanitized ? 10'000 : 80'000;

struct node {
    node* next_ = nullptr;
    int producer = 0;
    int number = 0;
};
using nodes = std::vector<node>;

std::vector<nodes> make_nodes() {
    std::vector<nodes> all(producers, nodes(each));
    for (int p = 0; p < producers; ++p)
        for (int i = 0; i < each; ++i)
            all[static_cast<std::size_t>(p)][static_cast<std::size_t>(i)] = {nullptr, p, i};
    return all;
}

/// The consumer's count: what has come, in order.
class received {
  public:
    void add(node* n) {
        for (; n; n = n->next_) {
            int& expected = next_[static_cast<std::size_t>(n->producer)];
            if (n->number != expected) ++disorder_;
            expected = n->number + 1;
            ++total_;
        }
    }
    bool all() const { return total_ == producers * each; }
    int disorder() const { return disorder_; }

  private:
    std::vector<int> next_ = std::vector<int>(producers);
    int total_ = 0;
    int disorder_ = 0;
};

/// Pushes in bursts of different lengths; between them the consumer gets to sleep now and then.
template <class Push>
std::vector<std::jthread> start_producers(std::vector<nodes>& all, Push push) {
    std::vector<std::jthread> threads;
    for (nodes& mine : all)
        threads.emplace_back([&mine, push] {
            for (int i = 0; i < each; ++i) {
                push(mine[static_cast<std::size_t>(i)]);
                if (i % 16 == mine[0].producer) std::this_thread::yield();
            }
        });
    return threads;
}

TEST(InboxStress, AConsumerThatSleepsOnTheWordItselfMissesNothing) {
    inbox<node> box;
    std::vector<nodes> all = make_nodes();
    received got;
    long sleeps = 0;
    auto threads = start_producers(all, [&box](node& n) {
        if (box.push(n)) futex_wake(box.word(), 1);
    });
    while (!got.all()) {
        if (node* n = box.take()) {
            got.add(n);
        } else if (box.try_sleep()) {
            ++sleeps;
            while (box.sleeps()) futex_wait(box.word(), inbox<node>::asleep, no_deadline);
        }
    }
    EXPECT_EQ(got.disorder(), 0);
    EXPECT_GT(sleeps, 0);
}

TEST(InboxStress, AConsumerThatIsWokenInAParkingPlaceIsWokenOnceForEachSleep) {
    inbox<node> box;
    parking_place bed;
    std::atomic<long> wakes{0};
    std::vector<nodes> all = make_nodes();
    received got;
    long owed = 0; // wake-ups that producers have promised
    int round = 0;
    auto threads = start_producers(all, [&](node& n) {
        if (!box.push(n)) return;
        wakes.fetch_add(1, std::memory_order_relaxed);
        bed.wake();
    });
    while (!got.all()) {
        if (node* n = box.take()) {
            got.add(n);
            continue;
        }
        if (!box.try_sleep()) continue;
        // Every other time it gets up by itself, just when a producer may come.
        const bool impatient = ++round % 2 == 0;
        const auto soon = std::chrono::steady_clock::now() + std::chrono::microseconds{round % 20};
        if (!bed.sleep_until(impatient ? soon : time_point::max()) && !box.wake_up()) continue; // nobody came
        bed.sleep(); // at once, or as soon as the producer who found us asleep has got so far
        bed.reset();
        ++owed;
    }
    threads.clear();
    EXPECT_EQ(got.disorder(), 0);
    EXPECT_EQ(owed, wakes.load());
    EXPECT_GT(owed, 0);
}

} // namespace
} // namespace plait::detail
