// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Senders and receivers of process channels, killed at any moment: each item at most once, and nobody hangs.
#include <gtest/gtest.h>

#include <plait/process_channel.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using plait::process_channel;
using plait::process_pool;

struct item {
    int producer = 0;
    int number = 0;
    std::string filling; // so that some are too large for a packet
};
using items = process_channel<item>;
struct seen_item {
    int consumer;
    int producer;
    int number;
};
using seen_items = process_channel<seen_item>;

void produce(const items::sender& c, int producer) {
    for (int i = 0;; ++i) c.send_blocking({producer, i, std::string(i % 7 == 6 ? 5000U : 20U, 'x')});
}
void consume(const items::receiver& c, const seen_items::sender& seen, int consumer) {
    while (auto got = c.receive_blocking()) seen.send_blocking({consumer, got->producer, got->number});
}

TEST(KillProcessChannel, EachItemAtMostOnceAndNobodyHangs) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937 random{seed};
    constexpr int producers = 3;
    constexpr int consumers = 3;
    constexpr int kills = 120;
    std::set<std::pair<int, int>> once;
    std::map<std::pair<int, int>, int> last; // of consumer and producer
    int killed = 0;
    int next_name = 0;

    items c{8};
    seen_items seen{64};
    process_pool pool{{.workers = producers + consumers}};
    struct party {
        plait::future<void> f;
        bool produces = false;
    };
    std::vector<party> all;
    const auto start = [&](bool produces) {
        const int name = next_name++;
        all.push_back({produces ? pool.submit(produce, c.make_sender(), name)
                                : pool.submit(consume, c.make_receiver(), seen.make_sender(), name),
                       produces});
    };
    const auto note = [&](const seen_item& s) {
        EXPECT_TRUE(once.insert({s.producer, s.number}).second) << "twice: " << s.producer << ' ' << s.number;
        const auto [at, fresh] = last.try_emplace({s.consumer, s.producer}, s.number);
        EXPECT_TRUE(fresh || at->second < s.number) << "out of order";
        at->second = s.number;
    };
    for (int i = 0; i < producers; ++i) start(true);
    for (int i = 0; i < consumers; ++i) start(false);
    while (killed < kills) {
        // Some items come through, whoever lives: then one more is killed, somewhere in what it does.
        const auto until = static_cast<unsigned>(random() % 40U);
        for (unsigned i = 0; i <= until; ++i) {
            auto s = seen.receive_blocking();
            ASSERT_TRUE(s);
            note(*s);
        }
        const std::size_t victim = random() % all.size();
        const bool produces = all[victim].produces;
        all[victim].f.cancel(plait::cancel_mode::kill);
        EXPECT_THROW(all[victim].f.get(), plait::cancelled);
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(victim));
        ++killed;
        start(produces);
    }
    c.close();
    for (party& p : all)
        if (p.produces) {
            EXPECT_THROW(p.f.get(), plait::closed_error);
        }
    // The consumers drain it, and see the end; what they report we have to take meanwhile.
    seen_items::receiver reports = seen.make_receiver();
    seen = {};
    while (auto s = reports.receive_blocking()) note(*s);
    for (party& p : all)
        if (!p.produces) p.f.get();
    EXPECT_EQ(c.receive_blocking().has_value(), false);
    EXPECT_EQ(c.size(), 0U);
    std::cout << once.size() << " items, " << killed << " kills\n";
}

} // namespace
