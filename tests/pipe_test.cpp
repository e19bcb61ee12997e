// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Pipes between processes, threads and coroutines.
#include <gtest/gtest.h>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/pipe.hpp>
#include <plait/program.hpp>
#include <plait/shared_array.hpp>
#include <plait/task_group.hpp>
#include <plait/thread_pool.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::closed_error;
using plait::pipe;
using plait::pipe_receiver;
using plait::pipe_sender;
using plait::process_pool;
using plait::send_status;
using plait::task;

std::size_t open_descriptors() {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !entry.path().empty();
    return n;
}

// ---- messages
// ------------------------------------------------------------------------------------------------------

void send_all(const pipe_sender<std::string>& out, const std::vector<std::string>& lines) {
    for (const auto& line : lines) out.send_blocking(line);
}

TEST(Pipe, I1_MessageBordersHold) {
    auto [out, in] = pipe<std::string>::one_way();
    process_pool pool{{.workers = 1}};
    const std::vector<std::string> lines{"a",
                                         "",
                                         "cd",
                                         std::string(std::size_t{16} << 20, 'x'),
                                         "e",
                                         std::string(65'536, 'y'),
                                         std::string(65'471, 'z')};
    auto sent = pool.submit(send_all, std::move(out), lines);
    EXPECT_TRUE(in.wait_blocking_for(30s));
    EXPECT_TRUE(in.wait_blocking_for(0s)); // it has taken nothing
    for (const auto& line : lines) {
        auto got = in.receive_blocking();
        ASSERT_TRUE(got);
        EXPECT_TRUE(*got == line) << line.size();
    }
    EXPECT_FALSE(in.receive_blocking());
    sent.get();
}

void answer(const pipe<int, std::string>& p) {
    while (auto question = p.receive_blocking()) p.send_blocking(static_cast<int>(question->size()));
}

TEST(Pipe, I1_BothDirectionsWithDifferentTypes) {
    auto [here, there] = pipe<std::string, int>::pair();
    process_pool pool{{.workers = 1}};
    auto served = pool.submit(answer, std::move(there));
    for (std::size_t n : {0U, 5U, 100'000U}) {
        here.send_blocking(std::string(n, 'q'));
        EXPECT_EQ(here.receive_blocking(), static_cast<int>(n));
    }
    here.close();
    served.get();
}

TEST(Pipe, I1_NothingWaitsThatNeedNot) {
    auto [out, in] = pipe<std::string>::one_way();
    auto got = in.try_receive();
    EXPECT_FALSE(got);
    EXPECT_FALSE(got.closed());
    EXPECT_FALSE(in.wait_blocking_for(1ms));
    EXPECT_FALSE(in.receive_blocking_for(0s));
    int sent = 0;
    const std::string large(std::size_t{1} << 20, 'x');
    while (out.try_send(large) == send_status::sent) ++sent;
    EXPECT_LE(sent, 8); // what lies there unread is bounded, also where messages are large
    EXPECT_EQ(out.send_blocking_for(large, 1ms), send_status::full);
    for (int i = 0; i < sent; ++i) EXPECT_EQ(in.receive_blocking()->size(), large.size());
    EXPECT_EQ(out.try_send("more"), send_status::sent);
    in.close();
    EXPECT_EQ(out.try_send("more"), send_status::closed);
    out.close();
    EXPECT_THROW(out.send_blocking("x"), std::logic_error);
    EXPECT_THROW(in.receive_blocking(), std::logic_error);
}

// ---- ends
// --------------------------------------------------------------------------------------------------------------

void send_and_die(const pipe_sender<std::string>& out, int signal) {
    out.send_blocking("first");
    out.send_blocking(std::string(1'000'000, 'x'));
    die_by(signal);
}

TEST(Pipe, I2_WhatWasSentIsReadableThenTheEnd) {
    for (const int signal : {SIGKILL, SIGSEGV}) {
        auto [out, in] = pipe<std::string>::one_way();
        process_pool pool{{.workers = 1}};
        auto f = pool.submit(send_and_die, std::move(out), signal);
        EXPECT_THROW(f.get(), plait::worker_lost);
        EXPECT_EQ(in.receive_blocking(), "first");
        EXPECT_EQ(in.receive_blocking()->size(), 1'000'000U);
        EXPECT_EQ(in.receive_blocking(), std::nullopt);
        auto again = in.try_receive();
        EXPECT_TRUE(again.closed());
    }
}

void send_for_ever(const pipe_sender<std::vector<std::uint64_t>>& out, std::size_t count) {
    for (std::uint64_t i = 0;; ++i) out.send_blocking(std::vector<std::uint64_t>(count, i));
}

TEST(Pipe, I2_ASenderKilledAtAnyMomentLeavesNoHalfMessage) {
    std::uint32_t random = 1;
    for (int round = 0; round < 30; ++round) {
        auto [out, in] = pipe<std::vector<std::uint64_t>>::one_way();
        process_pool pool{{.workers = 1}};
        const std::size_t count = round % 2 == 0 ? 3 : 40'000;
        auto f = pool.submit(send_for_ever, std::move(out), count);
        random = random * 1664525U + 1013904223U;
        std::uint64_t expected = 0;
        const std::uint64_t until = random % 50;
        for (;;) {
            auto got = in.receive_blocking();
            if (!got) break;
            ASSERT_EQ(got->size(), count);
            ASSERT_TRUE(std::ranges::all_of(*got, [&](std::uint64_t x) { return x == expected; }));
            if (expected++ == until) f.cancel(plait::cancel_mode::kill);
        }
        EXPECT_GT(expected, until);
        EXPECT_THROW(f.get(), plait::cancelled);
    }
}

TEST(Pipe, I3_SendingToADeadEndThrowsAndRaisesNoSignal) {
    auto [here, there] = pipe<int>::pair();
    process_pool pool{{.workers = 1}};
    auto f = pool.submit(
        [](const pipe<int>& p) {
            static_cast<void>(p.receive_blocking());
            die_by(SIGKILL);
        },
        std::move(there));
    here.send_blocking(1);
    EXPECT_THROW(f.get(), plait::worker_lost);
    EXPECT_THROW(here.send_blocking(2), closed_error);
    EXPECT_THROW(plait::run([](pipe<int> p) -> task<> { co_await p.send(3); }(here)), closed_error);
    EXPECT_EQ(here.receive_blocking(), std::nullopt);
}

TEST(Pipe, I3_ABlockedSenderIsWokenWhenTheReceiverDies) {
    auto [out, in] = pipe<std::string>::one_way();
    const std::string line(60'000, 'x');
    while (out.try_send(line) == send_status::sent) {}
    std::thread dropper{[i = std::move(in)]() mutable { i.close(); }};
    EXPECT_THROW(for (;;) out.send_blocking(line), closed_error);
    dropper.join();
}

template <class End>
concept can_receive = requires(const End& e) { e.receive_blocking(); };
template <class End>
concept can_send = requires(const End& e) { e.send_blocking(1); };
static_assert(can_receive<pipe_receiver<int>> && !can_receive<pipe_sender<int>> && can_receive<pipe<int>>);
static_assert(can_send<pipe_sender<int>> && !can_send<pipe_receiver<int>> && can_send<pipe<int>>);

TEST(Pipe, I4_TheParentMayDropItsCopyRightAfterSubmit) {
    process_pool pool{{.workers = 1}};
    std::vector<pipe_receiver<int>> ins;
    std::vector<plait::future<void>> sent;
    for (int i = 0; i < 50; ++i) {
        auto [out, in] = pipe<int>::one_way();
        sent.push_back(pool.submit([](const pipe_sender<int>& o, int n) { o.send_blocking(n); }, out, i));
        ins.push_back(std::move(in));
    }
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(ins[static_cast<std::size_t>(i)].receive_blocking(), i);
        EXPECT_EQ(ins[static_cast<std::size_t>(i)].receive_blocking(), std::nullopt);
    }
}

TEST(Pipe, I4_WhatATaskClosesIsClosedAlthoughTheTaskGoesOn) {
    process_pool pool{{.workers = 1}};
    auto [out, in] = pipe<int>::one_way();
    auto [go, wait] = pipe<int>::one_way();
    auto f = pool.submit(
        [](pipe_sender<int> o, const pipe_receiver<int>& w) {
            o.send_blocking(1);
            o.close();
            return w.receive_blocking().has_value();
        },
        std::move(out), std::move(wait));
    EXPECT_EQ(in.receive_blocking(), 1);
    EXPECT_EQ(in.receive_blocking(), std::nullopt); // the task waits for us
    go.send_blocking(1);
    EXPECT_TRUE(f.get());
}

using carrier = pipe<pipe_sender<std::string>>;

TEST(Pipe, I4_EndsTravelThroughPipes) {
    process_pool pool{{.workers = 2}};
    auto [give, take] = carrier::one_way();
    auto done = pool.submit(
        [](const pipe_receiver<pipe_sender<std::string>>& ends) {
            while (auto out = ends.receive_blocking()) out->send_blocking("through");
        },
        std::move(take));
    for (int i = 0; i < 20; ++i) {
        auto [out, in] = pipe<std::string>::one_way();
        give.send_blocking(std::move(out));
        EXPECT_FALSE(out.is_open()); // NOLINT: what is tested
        EXPECT_EQ(in.receive_blocking(), "through");
        EXPECT_EQ(in.receive_blocking(), std::nullopt);
    }
    give.close();
    done.get();
}

TEST(Pipe, I4_ADescriptorBeyond1024Travels) {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2000) GTEST_SKIP() << "at most " << limit.rlim_max << " descriptors here";
    rlimit more = limit;
    more.rlim_cur = 2000;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &more), 0);
    {
        std::vector<plait::detail::shared_descriptor> fill;
        for (int i = 0; i < 1100; ++i) fill.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        auto [out, in] = pipe<std::string>::one_way();
        process_pool pool{{.workers = 1}};
        pool.submit(send_all, std::move(out), std::vector<std::string>{"high"}).get();
        EXPECT_EQ(in.receive_blocking(), "high");
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

struct letter {
    std::string text;
    std::vector<plait::shared_array<char>> enclosures;
    std::optional<pipe_sender<std::size_t>> answer_to;
};

TEST(Pipe, I4_MessagesMayHoldManyHandlesAndBeLargeAsWell) {
    process_pool pool{{.workers = 1}};
    auto [out, in] = pipe<letter>::one_way();
    auto done = pool.submit(
        [](const pipe_receiver<letter>& letters) {
            while (auto l = letters.receive_blocking()) {
                std::size_t sum = l->text.size();
                for (const auto& e : l->enclosures) sum += static_cast<std::size_t>(e.at(0));
                if (l->answer_to) l->answer_to->send_blocking(sum);
            }
        },
        std::move(in));
    for (const std::size_t text : {10U, 300'000U}) {
        letter l{std::string(text, 't'), {}, {}};
        for (int i = 0; i < 300; ++i) {
            l.enclosures.emplace_back(1);
            l.enclosures.back()[0] = 1;
        }
        auto [reply, answers] = pipe<std::size_t>::one_way();
        l.answer_to = std::move(reply);
        out.send_blocking(l);
        EXPECT_EQ(answers.receive_blocking(), text + 300);
    }
    out.close();
    done.get();
}

// ---- several at once
// -------------------------------------------------------------------------------------------------

void write_numbers(const pipe_sender<int>& out, int from, int count) {
    for (int i = 0; i < count; ++i) out.send_blocking(from + i);
}

TEST(Pipe, I4_ATaskHandsItsEndOnToAPoolOfItsOwn) {
    process_pool pool{{.workers = 1}};
    auto [out, in] = pipe<int>::one_way();
    auto f = pool.submit(
        [](pipe_sender<int> o) {
            process_pool inner{{.workers = 1}};
            inner.submit(write_numbers, std::move(o), 0, 5).get();
        },
        std::move(out));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(in.receive_blocking(), i);
    EXPECT_EQ(in.receive_blocking(), std::nullopt);
    f.get();
}

TEST(Pipe, I5_FourWritersAndOneSelectGiveAllMessagesThenAllEnds) {
    process_pool pool{{.workers = 4}};
    std::vector<pipe_receiver<int>> ins;
    std::vector<plait::future<void>> writers;
    for (int w = 0; w < 4; ++w) {
        auto [out, in] = pipe<int>::one_way();
        writers.push_back(pool.submit(write_numbers, std::move(out), 1000 * w, 500));
        ins.push_back(std::move(in));
    }
    std::set<int> seen;
    while (!ins.empty()) {
        auto got = plait::select_blocking(ins);
        if (got.item)
            EXPECT_TRUE(seen.insert(*got.item).second);
        else
            ins.erase(ins.begin() + static_cast<std::ptrdiff_t>(got.index));
    }
    EXPECT_EQ(seen.size(), 2000U);
    EXPECT_THROW(plait::select_blocking(ins), std::invalid_argument);
}

task<std::size_t> gather_all(std::vector<pipe_receiver<int>> ins) {
    std::set<int> seen;
    while (!ins.empty()) {
        auto got = co_await plait::select(ins);
        if (got.item)
            seen.insert(*got.item);
        else
            ins.erase(ins.begin() + static_cast<std::ptrdiff_t>(got.index));
    }
    co_return seen.size();
}

TEST(Pipe, I5_TheSameOnALoop) {
    process_pool pool{{.workers = 4}};
    std::vector<pipe_receiver<int>> ins;
    std::vector<plait::future<void>> writers;
    for (int w = 0; w < 4; ++w) {
        auto [out, in] = pipe<int>::one_way();
        writers.push_back(pool.submit(write_numbers, std::move(out), 1000 * w, 500));
        ins.push_back(std::move(in));
    }
    EXPECT_EQ(plait::run(gather_all(std::move(ins))), 2000U);
}

TEST(Pipe, I5_SelectOverPipesOfDifferentTypes) {
    auto [numbers, number] = pipe<int>::one_way();
    auto [words, word] = pipe<std::string>::one_way();
    words.send_blocking("w");
    auto got = plait::run(plait::select(number, word));
    EXPECT_EQ(got.index(), 1U);
    EXPECT_EQ(std::get<1>(got), "w");
    numbers.close();
    got = plait::run(plait::select(number, word));
    EXPECT_EQ(got.index(), 0U);
    EXPECT_EQ(std::get<0>(got), std::nullopt);
}

TEST(Pipe, I5_TenThreadsOnOneEndKeepMessagesWhole) {
    auto [out, in] = pipe<std::string>::one_way();
    std::vector<std::thread> threads;
    for (int t = 0; t < 10; ++t)
        threads.emplace_back([o = out, t] {
            for (int i = 0; i < 40; ++i)
                o.send_blocking(std::string(i % 10 == 9 ? 200'000 : static_cast<std::size_t>(1 + i * 100),
                                            static_cast<char>('a' + t)));
        });
    out.close();
    std::atomic<int> count{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t)
        readers.emplace_back([i = in, &count] {
            while (auto got = i.receive_blocking()) {
                EXPECT_FALSE(got->empty());
                EXPECT_EQ(got->find_first_not_of(got->front()), std::string::npos);
                ++count;
            }
        });
    for (auto& t : threads) t.join();
    for (auto& t : readers) t.join();
    EXPECT_EQ(count, 400);
}

TEST(Pipe, I5_SeveralProcessesMaySendAtOneEndAndReceiveAtOne) {
    process_pool pool{{.workers = 4}};
    auto [out, in] = pipe<int>::one_way();
    auto [sums, sum] = pipe<long>::one_way();
    std::vector<plait::future<void>> all;
    for (int w = 0; w < 2; ++w) {
        all.push_back(pool.submit(write_numbers, out, 1000 * w, 1000));
        all.push_back(pool.submit(
            [](const pipe_receiver<int>& i, const pipe_sender<long>& s) {
                long total = 0;
                while (auto n = i.receive_blocking()) total += *n;
                s.send_blocking(total);
            },
            in, sums));
    }
    out.close();
    in.close();
    sums.close();
    long total = 0;
    while (auto part = sum.receive_blocking()) total += *part;
    EXPECT_EQ(total, 1999L * 2000 / 2);
}

// ---- failures
// ----------------------------------------------------------------------------------------------------

TEST(Pipe, AnUnserialisableMessageThrowsAtTheCallAndSendsNothing) {
    auto [out, in] = pipe<unwritable>::one_way();
    EXPECT_THROW(out.send_blocking(unwritable{}), std::domain_error);
    EXPECT_THROW(static_cast<void>(out.send(unwritable{})), std::domain_error);
    EXPECT_FALSE(in.wait_blocking_for(0s));
    auto [bad, reader] = pipe<unreadable>::one_way();
    bad.send_blocking(unreadable{});
    EXPECT_THROW(static_cast<void>(reader.receive_blocking()), std::domain_error);
}

TEST(Pipe, LeavesNoDescriptorsBehind) {
    plait::run([]() -> task<> { co_await plait::yield(); }());
    const std::size_t before = open_descriptors();
    {
        auto [out, in] = pipe<std::string>::one_way();
        out.send_blocking(std::string(1'000'000, 'x')); // never received
        auto [a, b] = pipe<pipe<int>>::pair();
        auto [c, d] = pipe<int>::pair();
        a.send_blocking(c);
        static_cast<void>(plait::run([](pipe_receiver<std::string> i) -> task<int> {
            static_cast<void>(co_await i.receive());
            co_return 0;
        }(in)));
    }
    EXPECT_EQ(open_descriptors(), before);
}

} // namespace
