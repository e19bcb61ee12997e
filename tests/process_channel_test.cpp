// SPDX-License-Identifier: Apache-2.0
// limit: 60
// A bounded queue between processes.
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/process_channel.hpp>
#include <plait/program.hpp>
#include <plait/shared_array.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::closed_error;
using plait::process_channel;
using plait::process_pool;
using plait::send_status;
using plait::task;

using item = std::pair<int, int>; // producer, number
using items = process_channel<item>;

void produce(const items& c, int producer, int count) {
    for (int i = 0; i < count; ++i) c.send_blocking({producer, i});
}
std::vector<item> consume(const items& c) {
    std::vector<item> all;
    while (auto got = c.receive_blocking()) all.push_back(*got);
    return all;
}

TEST(ProcessChannel, I6_FirstInFirstOutPerProducerAndEachItemExactlyOnce) {
    for (const std::size_t capacity : {1U, 5U, 256U}) {
        SCOPED_TRACE(capacity);
        items c{capacity};
        process_pool pool{{.workers = 8}};
        std::vector<plait::future<std::vector<item>>> consumers;
        std::vector<plait::future<void>> producers;
        for (int i = 0; i < 4; ++i) consumers.push_back(pool.submit(consume, c));
        for (int i = 0; i < 4; ++i) producers.push_back(pool.submit(produce, c, i, 500));
        for (auto& p : producers) p.get();
        c.close();
        std::set<item> seen;
        for (auto& f : consumers) {
            std::map<int, int> last;
            for (const item& x : f.get()) {
                EXPECT_TRUE(seen.insert(x).second) << x.first << ' ' << x.second;
                const auto [at, fresh] = last.try_emplace(x.first, x.second);
                EXPECT_TRUE(fresh || at->second < x.second);
                at->second = x.second;
            }
        }
        EXPECT_EQ(seen.size(), 2000U);
    }
}

TEST(ProcessChannel, I6_AFullOneMakesSendersWaitAndPollingTakesNothing) {
    for (const std::size_t capacity : {1U, 3U, 200U, 256U}) {
        SCOPED_TRACE(capacity);
        process_channel<std::string> c{capacity};
        EXPECT_EQ(c.capacity(), capacity);
        EXPECT_FALSE(c.receive_blocking_for(0s));
        const std::string small = "x";
        const std::string large(100'000, 'y');
        for (std::size_t i = 0; i < capacity; ++i) {
            EXPECT_EQ(c.size(), i);
            ASSERT_EQ(c.try_send(i % 16 == 1 ? large : small), send_status::sent) << i;
        }
        EXPECT_EQ(c.try_send(small), send_status::full);
        EXPECT_EQ(c.send_blocking_for(small, 1ms), send_status::full);
        EXPECT_EQ(c.size(), capacity);
        std::thread sender{[&] { c.send_blocking("waited"); }};
        EXPECT_EQ(c.receive_blocking(), small);
        sender.join(); // it has been woken by that
        EXPECT_EQ(c.size(), capacity);
        for (std::size_t i = 1; i < capacity; ++i)
            EXPECT_EQ(*c.receive_blocking(), i % 16 == 1 ? large : small);
        EXPECT_EQ(c.receive_blocking(), "waited");
        EXPECT_EQ(c.size(), 0U);
    }
    EXPECT_THROW(items{0}, std::invalid_argument);
    EXPECT_THROW(items{257}, std::invalid_argument);
}

TEST(ProcessChannel, I7_AProducerThatEndsRightAfterSendLosesNothing) {
    items c{100};
    process_pool pool{{.workers = 2}};
    for (int i = 0; i < 10; ++i) {
        auto f = pool.submit(
            [](const items& ch, int n) {
                ch.send_blocking({n, 0});
                ch.send_blocking({n, 1});
                ::_exit(0);
            },
            c, i);
        EXPECT_THROW(f.get(), plait::worker_lost);
    }
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(c.receive_blocking(), (item{i, 0}));
        EXPECT_EQ(c.receive_blocking(), (item{i, 1}));
    }
}

struct moody {
    bool refuses = false;
    template <class Archive>
    void save(Archive& archive) const {
        if (refuses) throw std::domain_error{"cannot be written"};
        archive(refuses);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(refuses);
    }
};

TEST(ProcessChannel, I8_AnUnserialisableItemThrowsInSendAndTakesNoPlace) {
    process_channel<unwritable> c{1};
    for (int i = 0; i < 3; ++i) EXPECT_THROW(c.send_blocking(unwritable{}), std::domain_error);
    EXPECT_EQ(c.size(), 0U);
    process_channel<moody> some{1};
    EXPECT_THROW(static_cast<void>(some.try_send({true})), std::domain_error);
    EXPECT_EQ(some.try_send({false}), send_status::sent);
}

TEST(ProcessChannel, I9_ClosingEndsItForAllProcessesAndTwiceIsHarmless) {
    items c{4};
    items full{1};
    full.send_blocking({0, 0});
    process_pool pool{{.workers = 4}};
    std::vector<plait::future<std::vector<item>>> receivers;
    for (int i = 0; i < 2; ++i) receivers.push_back(pool.submit(consume, c));
    std::vector<plait::future<int>> senders;
    for (int i = 0; i < 2; ++i)
        senders.push_back(pool.submit(
            [](const items& ch, const items& started) {
                started.send_blocking({1, 1});
                try {
                    ch.send_blocking({1, 2});
                } catch (const closed_error&) {
                    return 1;
                }
                return 0;
            },
            full, c));
    std::thread here{[&] { EXPECT_THROW(full.send_blocking({2, 2}), closed_error); }};
    while (c.size() != 0) std::this_thread::yield();
    EXPECT_FALSE(c.closed());
    c.close();
    full.close();
    c.close();
    EXPECT_TRUE(c.closed());
    std::size_t got = 0;
    for (auto& r : receivers) got += r.get().size();
    int refused = 0;
    for (auto& s : senders) {
        try {
            refused += s.get();
        } catch (const closed_error&) { // it had not begun: `c` was closed
            ++got;
            ++refused;
        }
    }
    EXPECT_EQ(got, 2U);
    EXPECT_EQ(refused, 2);
    here.join();
    EXPECT_THROW(c.send_blocking({3, 3}), closed_error);
    EXPECT_EQ(c.try_send({3, 3}), send_status::closed);
    EXPECT_EQ(c.receive_blocking(), std::nullopt);
    EXPECT_EQ(full.receive_blocking(), (item{0, 0})); // drained, then the end
    EXPECT_EQ(full.receive_blocking(), std::nullopt);
}

TEST(ProcessChannel, HandlesOfOneEndSayWhenTheOtherEndHasGone) {
    process_pool pool{{.workers = 2}};
    items c{4};
    auto in = c.make_receiver();
    auto sent = pool.submit(
        [](const items::sender& out) {
            for (int i = 0; i < 20; ++i) out.send_blocking({i, i});
        },
        c.make_sender());
    auto died = pool.submit(
        [](const items::sender& out) {
            out.send_blocking({100, 100});
            die_by(SIGKILL);
        },
        c.make_sender());
    c = {}; // or we could send as well
    int count = 0;
    while (in.receive_blocking()) ++count;
    EXPECT_EQ(count, 21);
    EXPECT_THROW(died.get(), plait::worker_lost);
    items d{4};
    auto out = d.make_sender();
    d = {};
    EXPECT_THROW(out.send_blocking({0, 0}), closed_error);
}

TEST(ProcessChannel, ItemsMayBeLargeAndHoldHandles) {
    process_channel<plait::shared_array<int>> arrays{8};
    process_channel<std::vector<int>> vectors{8};
    process_pool pool{{.workers = 1}};
    auto f = pool.submit(
        [](const process_channel<plait::shared_array<int>>& from,
           const process_channel<std::vector<int>>& to) {
            while (auto a = from.receive_blocking()) to.send_blocking(std::vector<int>(a->begin(), a->end()));
            to.close();
        },
        arrays, vectors);
    for (int i = 0; i < 20; ++i) {
        plait::shared_array<int> a{1'000'000};
        a[999'999] = i;
        arrays.send_blocking(std::move(a));
        EXPECT_EQ(vectors.receive_blocking()->back(), i);
    }
    arrays.close();
    EXPECT_EQ(vectors.receive_blocking(), std::nullopt);
    f.get();
}

TEST(ProcessChannel, CoroutinesSuspendAtBothEnds) {
    for (const std::size_t capacity : {1U, 200U}) {
        items c{capacity};
        process_pool pool{{.workers = 1}};
        const auto sum_of = [](items ch) -> task<long> {
            long sum = 0;
            while (auto x = co_await ch.receive()) sum += x->second;
            co_return sum;
        };
        auto there = pool.submit(
            [](items ch) -> task<long> {
                long sum = 0;
                while (auto x = co_await ch.receive()) sum += x->second;
                co_return sum;
            },
            c);
        const auto send_all = [](items ch) -> task<long> {
            for (int i = 0; i < 1000; ++i) co_await ch.send({0, i});
            ch.close();
            co_return 0;
        };
        const auto both = [&]() -> task<long> {
            auto [zero, sum] = co_await plait::gather(send_all(c), sum_of(c));
            co_return zero + sum;
        };
        const long here = plait::run(both());
        EXPECT_EQ(here + there.get(), 999L * 1000 / 2);
    }
}

TEST(ProcessChannel, ACancelledSendHasNotSentAndACancelledReceiveHasTakenNothing) {
    items c{1};
    const auto body = [](items ch) -> task<int> {
        int timed_out = 0;
        try {
            static_cast<void>(co_await plait::timeout(1ms, ch.receive()));
        } catch (const plait::timeout_error&) {
            ++timed_out;
        }
        co_await ch.send({1, 1});
        try {
            co_await plait::timeout(1ms, ch.send({2, 2}));
        } catch (const plait::timeout_error&) {
            ++timed_out;
        }
        co_return timed_out;
    };
    EXPECT_EQ(plait::run(body(c)), 2);
    c.close();
    EXPECT_EQ(c.receive_blocking(), (item{1, 1}));
    EXPECT_EQ(c.receive_blocking(), std::nullopt);
}

TEST(ProcessChannel, SeveralAtOnceInLimitedTimeAndWithoutAWait) {
    process_channel<int> c{3};
    const std::vector<int> numbers{1, 2, 3, 4, 5};
    EXPECT_FALSE(c.try_receive_many(9));
    EXPECT_FALSE(c.receive_many_blocking_for(9, 1ms).closed());
    EXPECT_EQ(c.try_send_many(numbers), 3U);
    EXPECT_EQ(c.try_send_many(numbers), 0U);
    EXPECT_EQ(c.send_many_blocking_for(numbers, 1ms), 0U);
    EXPECT_EQ(*c.try_receive_many(2), (std::vector<int>{1, 2}));
    EXPECT_EQ(c.send_many_blocking_for(numbers, 1h), 2U);
    c.close();
    EXPECT_THROW((void)c.try_send_many(numbers), closed_error);
    EXPECT_THROW((void)c.send_many_blocking_for(numbers, 1h), closed_error);
    EXPECT_EQ(*c.receive_many_blocking_for(9, 1h), (std::vector<int>{3, 1, 2}));
    EXPECT_TRUE(c.try_receive_many(9).closed());
    EXPECT_THROW((void)c.try_receive_many(0), std::invalid_argument);
    EXPECT_EQ(c.try_send_many({}), 0U);
}

TEST(ProcessChannel, SeveralAtOnce) {
    process_channel<int> c{5};
    const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7};
    EXPECT_EQ(c.send_many_blocking(numbers), 5U);
    EXPECT_EQ(c.receive_many_blocking(3), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(c.receive_many_blocking(10), (std::vector<int>{4, 5}));
    EXPECT_THROW(c.receive_many_blocking(0), std::invalid_argument);
    EXPECT_EQ(c.send_many_blocking({}), 0U);
    const auto body = [](process_channel<int> ch, std::vector<int> all) -> task<std::size_t> {
        const std::size_t sent = co_await ch.send_many(all);
        const std::vector<int> got = co_await ch.receive_many(2);
        ch.close();
        const std::vector<int> rest = co_await ch.receive_many(100);
        const std::vector<int> none = co_await ch.receive_many(100);
        co_return sent * 100 + got.size() * 10 + rest.size() + none.size();
    };
    EXPECT_EQ(plait::run(body(c, numbers)), 523U);
}

TEST(ProcessChannel, SelectTakesItsReceiversAsItDoesPipes) {
    items a{2};
    items b{2};
    std::vector<items::receiver> both{a.make_receiver(), b.make_receiver()};
    b.send_blocking({7, 7});
    auto got = plait::select_blocking(both);
    EXPECT_EQ(got.index, 1U);
    EXPECT_EQ(got.item, (item{7, 7}));
    a.close();
    got = plait::select_blocking(both);
    EXPECT_EQ(got.index, 0U);
    EXPECT_FALSE(got.item);
}

TEST(ProcessChannel, AHandleThatHoldsNothingSaysSo) {
    const items none;
    EXPECT_THROW(none.send_blocking({1, 1}), std::logic_error);
    EXPECT_THROW(none.receive_blocking(), std::logic_error);
    EXPECT_EQ(none.size(), 0U);
    EXPECT_TRUE(none.closed());
}

} // namespace
