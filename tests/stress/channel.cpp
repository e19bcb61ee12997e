// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Cancellation and time-outs against channels, on the threads of a pool: no item is lost, none comes twice,
// nobody sleeps while there is something for him. A lost wake-up is a test that does not end.
#include "support/strands.hpp"

#include <plait/channel.hpp>
#include <plait/select.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

namespace plait::test {
namespace {

constexpr int rounds = sanitized ? 40'000 : 1'000'000;
constexpr int batch = 64;

task<int> receive_one(channel<int>& from) {
    const auto x = co_await from.receive();
    co_return *x;
}
task<int> send_one(channel<int>& to, int x) {
    co_await to.send(std::move(x));
    co_return 0;
}
task<int> select_one(channel<int>& a, channel<int>& b) {
    auto got = co_await select(a.receive(), b.receive());
    co_return got.index() == 0 ? *std::get<0>(got) : *std::get<1>(got);
}

/// One of the values of a batch, if it was not cancelled.
std::optional<int> value_of(future<int>& f) {
    try {
        return f.get();
    } catch (const cancelled&) {
        return std::nullopt;
    }
}

/// Receives that are cancelled while as many items are sent: what the cancelled ones did not take is there.
template <class Receive>
void cancel_receives(Receive receive, channel<int>& a, channel<int>& b) {
    thread_pool pool{{.workers = 2}};
    int cancels = 0;
    for (int first = 0; first < rounds; first += batch) {
        std::vector<future<int>> all;
        for (int i = 0; i < batch; ++i) all.push_back(pool.submit([&] { return receive(); }));
        auto sender = pool.submit([&, first] {
            for (int i = 0; i < batch; ++i) {
                if (i % 8 == 0) stagger(first / batch);
                (i % 3 == 0 ? b : a).send_blocking(first + i);
            }
        });
        for (auto& f : all) {
            stagger(first / batch / 64);
            (void)f.cancel();
        }
        sender.get();
        std::int64_t sum = 0;
        int got = 0;
        for (auto& f : all) {
            if (const auto x = value_of(f)) {
                sum += *x - first;
                ++got;
            } else {
                ++cancels;
            }
        }
        for (channel<int>* c : {&a, &b})
            while (auto left = c->try_receive()) {
                sum += *left - first;
                ++got;
            }
        ASSERT_EQ(got, batch) << first;
        ASSERT_EQ(sum, batch * (batch - 1) / 2) << first;
    }
    EXPECT_GT(cancels, 0);
}

TEST(ChannelStress, Y4_ACancelledReceiveTakesNothingWhateverTheMoment) {
    channel<int> c{batch};
    cancel_receives([&c] { return receive_one(c); }, c, c);
}

TEST(ChannelStress, Y4_ACancelledSelectTakesNothingAndCommitsOnOne) {
    channel<int> a{batch};
    channel<int> b{batch};
    cancel_receives([&] { return select_one(a, b); }, a, b);
}

TEST(ChannelStress, Y5_ACancelledSendSendsNothingWhateverTheMoment) {
    thread_pool pool{{.workers = 2}};
    channel<int> c{3};
    int cancels = 0;
    for (int first = 0; first < rounds; first += batch) {
        std::vector<future<int>> all;
        for (int i = 0; i < batch; ++i) all.push_back(pool.submit(send_one, std::ref(c), i));
        std::atomic<bool> over{false};
        auto receiver = pool.submit([&] {
            std::vector<int> seen;
            while (!over) {
                const bool last = over;
                while (auto x = c.receive_blocking_for(10us)) seen.push_back(*x);
                if (last) break;
            }
            while (auto x = c.try_receive()) seen.push_back(*x);
            return seen;
        });
        for (auto& f : all) {
            stagger(first / batch);
            (void)f.cancel();
        }
        std::vector<int> sent;
        for (int i = 0; i < batch; ++i) {
            if (value_of(all[static_cast<std::size_t>(i)]))
                sent.push_back(i);
            else
                ++cancels;
        }
        over = true;
        std::vector<int> seen = receiver.get();
        std::sort(seen.begin(), seen.end());
        ASSERT_EQ(seen, sent) << first;
    }
    EXPECT_GT(cancels, 0);
}

// Threads, tasks, batches and selects on channels so small that everybody waits all the time.
TEST(ChannelStress, Y1_NoWakeIsLostWhoeverWaits) {
    constexpr int each = rounds / 8;
    for (const std::size_t capacity : {1U, 2U, 5U}) {
        channel<int> a{capacity};
        channel<int> b{capacity};
        std::atomic<int> senders{4};
        std::atomic<std::int64_t> sum{0};
        std::atomic<int> count{0};
        const auto sent = [&] {
            if (--senders == 0) {
                a.close();
                b.close();
            }
        };
        const auto note = [&](int x) {
            sum += x;
            ++count;
        };
        thread_pool pool{{.workers = 2}};
        std::vector<future<void>> tasks;
        for (channel<int>* c : {&a, &b})
            tasks.push_back(pool.submit([&, c]() -> task<> {
                for (int i = 0; i < each; ++i) co_await c->send(i);
                sent();
            }));
        tasks.push_back(pool.submit([&]() -> task<> { // until either is at its end
            for (;;) {
                auto got = co_await select(a.receive(), b.receive());
                auto& x = got.index() == 0 ? std::get<0>(got) : std::get<1>(got);
                if (!x) break;
                note(*x);
            }
        }));
        tasks.push_back(pool.submit([&]() -> task<> {
            while (const auto x = co_await a.receive()) note(*x);
        }));
        {
            std::jthread one{[&] {
                for (int i = 0; i < each; ++i) a.send_blocking(i);
                sent();
            }};
            std::jthread many{[&] {
                int some[3];
                for (int i = 0; i < each; i += 3) {
                    const int n = std::min(3, each - i);
                    for (int k = 0; k < n; ++k) some[k] = i + k;
                    for (std::span<int> rest{some, static_cast<std::size_t>(n)}; !rest.empty();)
                        rest = rest.subspan(b.send_many_blocking(rest));
                }
                sent();
            }};
            std::jthread batches{[&] {
                for (;;) {
                    const auto got = b.receive_many_blocking(2);
                    if (got.empty()) break;
                    for (const int x : got) note(x);
                }
            }};
        }
        for (auto& f : tasks) f.get();
        EXPECT_EQ(count, 4 * each);
        EXPECT_EQ(sum, 4 * (std::int64_t{each} * (each - 1) / 2));
    }
}

// Only one item is under way: whoever misses it waits for ever, since nothing comes that would repair it. The
// other side polls, so that it answers while this one is just going to sleep.
template <class Ask, class Answer>
void ping_pong(Ask ask, Answer answer) {
    constexpr int trips = sanitized ? 20'000 : 300'000;
    channel<int> to{1};
    channel<int> from{1};
    std::jthread other{[&] {
        for (int i = 0; i < trips; ++i) {
            received<int> got;
            for (unsigned round = 0; !got; ++round) {
                got = to.try_receive();
                if (!got) detail::system_policy::pause(round);
            }
            for (int k = i % 61; k > 0; --k) detail::spin_pause();
            answer(from, *got);
        }
    }};
    for (int i = 0; i < trips; ++i) {
        to.send_blocking(i);
        for (int k = i % 7; k > 0; --k) detail::spin_pause();
        ASSERT_EQ(ask(from), i);
    }
}

TEST(ChannelStress, Y7_AThreadThatGoesToSleepNeverMissesItsItem) {
    ping_pong([](channel<int>& from) { return *from.receive_blocking(); },
              [](channel<int>& to, int x) { to.send_blocking(x); });
}

TEST(ChannelStress, Y7_AThreadThatGoesToSleepNeverMissesItsBatch) {
    ping_pong([](channel<int>& from) { return from.receive_many_blocking(3).at(0); },
              [](channel<int>& to, int x) { ASSERT_EQ(to.send_many_blocking({&x, 1}), 1U); });
}

// The time is over just when the batch comes: it gets there in the next round at the latest.
TEST(ChannelStress, Y7_AThreadWhoseTimeIsOverNeverLosesItsBatch) {
    ping_pong(
        [](channel<int>& from) {
            received<std::vector<int>> got;
            for (int k = 0; !got; k = (k + 1) % 20)
                got = from.receive_many_blocking_for(3, std::chrono::microseconds{k});
            return got->at(0);
        },
        [](channel<int>& to, int x) {
            std::size_t sent = 0;
            while (sent == 0) sent = to.send_many_blocking_for({&x, 1}, 1us);
            ASSERT_EQ(sent, 1U);
        });
}

// The same through selects of a task, against a thread that sends to either.
TEST(ChannelStress, Y7_ASelectNeverMissesItsItem) {
    constexpr int trips = sanitized ? 10'000 : 100'000;
    channel<int> a{1};
    channel<int> b{1};
    channel<int> back{1};
    event_loop loop;
    std::jthread other{[&] {
        for (int i = 0; i < trips; ++i) {
            (i % 3 == 0 ? a : b).send_blocking(i);
            ASSERT_EQ(back.receive_blocking(), i);
            for (int k = i % 97; k > 0; --k) detail::spin_pause();
        }
    }};
    loop.run([](channel<int>& x, channel<int>& y, channel<int>& to) -> task<> {
        for (int i = 0; i < trips; ++i) {
            const int got = co_await select_one(x, y);
            EXPECT_EQ(got, i);
            co_await to.send(got);
        }
    }(a, b, back));
}

} // namespace
} // namespace plait::test
