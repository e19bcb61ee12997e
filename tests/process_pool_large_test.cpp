// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Values that go through a lane's rings: what arrives is what was sent, wherever the rings stand, and however it ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include <plait/process_pool.hpp>
#include <plait/remote_error.hpp>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;

constexpr std::size_t large = std::size_t{9} << 20; // more than a ring holds

// Of an odd size, so that elements do not end where the rings do.
struct triple {
    int a;
    int b;
    int c;
    bool operator==(const triple&) const = default;
};

std::vector<triple> triples(int count) {
    std::vector<triple> all;
    for (int i = 0; i < count; ++i) all.push_back({i, 2 * i, -i});
    return all;
}

TEST(ProcessPoolLarge, VectorsAndStringsComeBackWhereverTheRingsStand) {
    process_pool pool{{.workers = 1}};
    const std::vector<triple> sent = triples(1'000'000);
    for (const std::size_t shift : {0U, 1U, 7U, 4099U}) {
        const std::string text(large + shift, static_cast<char>('a' + shift % 7));
        EXPECT_EQ(pool.submit(echo<std::string>, text).get(), text);
        EXPECT_EQ(pool.submit(echo<std::vector<triple>>, sent).get(), sent);
        EXPECT_EQ(pool.submit(triples, 900'000).get(), triples(900'000));
    }
}

void stay_on(int processor) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<unsigned>(processor), &only);
    if (::sched_setaffinity(0, sizeof(only), &only) != 0) throw std::runtime_error{"sched_setaffinity"};
}

// Who looks for its result lets its worker run, which fills the ring before the looking is over.
TEST(ProcessPoolLarge, AWorkerOnTheProcessorOfWhoWaitsForIt) {
    cpu_set_t before;
    ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
    process_pool pool{{.workers = 1}}; // it looks before it sleeps, if it sees two processors here
    const int here = ::sched_getcpu();
    pool.submit(stay_on, here).get();
    stay_on(here);
    const std::vector<triple> wanted = triples(800'000); // takes longer than who waits naps at first
    for (int round = 0; round < (sanitized ? 20 : 100); ++round)
        EXPECT_EQ(pool.submit(triples, 800'000).get(), wanted);
    ASSERT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(ProcessPoolLarge, ManyAtTheSameTimeAndInAMap) {
    process_pool pool{{.workers = 2}};
    std::vector<plait::future<std::vector<triple>>> results;
    for (int i = 0; i < 6; ++i) results.push_back(pool.submit(triples, 500'000 + i));
    int i = 0;
    for (const std::vector<triple>& got :
         pool.map(triples, std::views::iota(400'000, 400'005), plait::map_options{.window = 4}))
        EXPECT_EQ(got, triples(400'000 + i++));
    for (int k = 0; k < 6; ++k) EXPECT_EQ(results[static_cast<std::size_t>(k)].get(), triples(500'000 + k));
}

std::vector<char> fail_at_length(std::size_t length) { throw std::runtime_error{std::string(length, 'x')}; }

TEST(ProcessPoolLarge, ALargeErrorInPlaceOfALargeVector) {
    process_pool pool{{.workers = 1}};
    constexpr std::size_t length = 1'000'000;
    for (int round = 0; round < 3; ++round) {
        try {
            pool.submit(fail_at_length, length).get();
            FAIL() << "it has thrown";
        } catch (const std::runtime_error& e) {
            EXPECT_EQ(std::string{e.what()}.size(), length);
        }
        EXPECT_EQ(pool.submit(echo<int>, round).get(), round);
    }
}

TEST(ProcessPoolLarge, AVectorThatIsMadeAsItsBytesComeGivesThemBack) {
    const std::vector<triple> sent = triples(1000);
    plait::detail::byte_buffer bytes;
    plait::detail::buffer_writer out{bytes};
    plait::detail::encode(out, sent);
    out.finish();
    for (const std::size_t piece : {1U, 5U, 12U, 4096U, 100'000U}) {
        plait::detail::bulk_sink<std::vector<triple>> sink{sent.size()};
        for (std::size_t at = plait::detail::sink_head; at < bytes.size(); at += piece) {
            const std::size_t some = std::min(piece, bytes.size() - at);
            sink.append(bytes.data() + at, some);
            EXPECT_EQ(sink.size(), at + some);
            plait::detail::byte_buffer again;
            sink.undo(again);
            ASSERT_EQ(again.size(), at + some);
            ASSERT_EQ(std::memcmp(again.data(), bytes.data(), again.size()), 0);
            if (piece < 12 && at > 500) break; // each look is a copy of all
        }
        if (piece >= 12) {
            EXPECT_EQ(sink.take(), sent);
        }
    }
}

// Its worker dies while the vector that it has sent is in the parent's hands, in part.
std::vector<char> die_in_the_middle(std::size_t size) {
    std::vector<char> v(size, 'v');
    // The result is written after we have returned: another thread ends the process then.
    std::thread{[] {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{5};
        while (std::chrono::steady_clock::now() < until) {}
        ::kill(::getpid(), SIGKILL);
    }}.detach();
    return v;
}

TEST(ProcessPoolLarge, P7_AVectorIsWholeOrLost) {
    process_pool pool{{.workers = 1}};
    int whole = 0;
    int lost = 0;
    for (int round = 0; round < 8; ++round) {
        try {
            const std::vector<char> got = pool.submit(die_in_the_middle, std::size_t{64} << 20).get();
            EXPECT_EQ(got.size(), std::size_t{64} << 20);
            EXPECT_EQ(got.back(), 'v');
            ++whole;
        } catch (const plait::worker_lost&) {
            ++lost;
        }
    }
    EXPECT_EQ(whole + lost, 8);
    while (true) { // the one that was to die may do so in the next task
        try {
            EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
            break;
        } catch (const plait::worker_lost&) {}
    }
}

} // namespace
