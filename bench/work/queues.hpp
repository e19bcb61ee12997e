// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rivals/mutex_channel.hpp"

#include <plait/channel.hpp>

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <tbb/concurrent_queue.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <thread>
#include <utility>
#include <vector>

/// Threads that send numbers to each other through a queue of 1024; millions of items a second. moodycamel's queue has no
/// bound.
namespace work {

constexpr std::size_t capacity = 1024;
constexpr std::size_t batch = 256;

/// Since when the time counts: few items would show nothing but how threads are made.
enum class since { threads_are_made, all_threads_run };

struct exchange {
    int pairs = 1;
    int items = 1'000'000; ///< Of each sender.
    since from = since::threads_are_made;
};

/// `send(i)` and `receive(sum, left)` of `pairs` threads each, with everything received counted. Both return how many
/// items that were.
template <class Send, class Receive>
double rate(const exchange& e, Send send, Receive receive) {
    using clock = std::chrono::steady_clock;
    std::vector<long> sums(static_cast<std::size_t>(e.pairs));
    std::atomic<int> missing{2 * e.pairs};
    clock::time_point begun = clock::now();
    const auto start = [&] {
        if (e.from == since::threads_are_made) return;
        if (missing.fetch_sub(1) == 1) begun = clock::now();
        while (missing.load() != 0) std::this_thread::yield();
    };
    {
        std::vector<std::jthread> threads;
        for (int p = 0; p < e.pairs; ++p) {
            threads.emplace_back([&, p] {
                start();
                long sum = 0;
                for (int n = 0; n < e.items;) n += receive(sum, e.items - n);
                sums[static_cast<std::size_t>(p)] = sum;
            });
            threads.emplace_back([&] {
                start();
                for (int i = 0; i < e.items;) i += send(i);
            });
        }
    }
    const double seconds = std::chrono::duration<double>(clock::now() - begun).count();
    long total = 0;
    for (const long s : sums) total += s;
    if (total != e.pairs * (long{e.items} * (e.items - 1) / 2)) {
        std::fprintf(stderr, "channel: items were lost\n");
        std::exit(1);
    }
    return e.pairs * (e.items / 1e6) / seconds;
}

template <class Push, class Pop>
double one_by_one(const exchange& e, Push push, Pop pop) {
    return rate(
        e,
        [&](int i) {
            push(i);
            return 1;
        },
        [&](long& sum, int) {
            sum += pop();
            return 1;
        });
}

/// `send(some)` sends all of a span, `receive(most, take)` gives what it got, at least one and at most so many, to `take`.
template <class Send, class Receive>
double in_batches(const exchange& e, Send send, Receive receive) {
    return rate(
        e,
        [&](int i) {
            int some[batch];
            const int n = std::min(static_cast<int>(batch), e.items - i);
            for (int k = 0; k < n; ++k) some[k] = i + k;
            send(std::span<int>{some, static_cast<std::size_t>(n)});
            return n;
        },
        [&](long& sum, int left) {
            int count = 0;
            receive(std::min(batch, static_cast<std::size_t>(left)), [&](std::span<const int> some) {
                for (const int x : some) sum += x;
                count = static_cast<int>(some.size());
            });
            return count;
        });
}

inline double plait_round(const exchange& e) {
    plait::channel<int> c{capacity};
    return one_by_one(
        e, [&](int i) { c.send_blocking(std::move(i)); }, [&] { return *c.receive_blocking(); });
}
inline double tbb_round(const exchange& e) {
    tbb::concurrent_bounded_queue<int> q;
    q.set_capacity(capacity);
    return one_by_one(
        e, [&](int i) { q.push(i); },
        [&] {
            int x = 0;
            q.pop(x);
            return x;
        });
}
inline double mutex_round(const exchange& e) {
    rivals::mutex_channel<int> q{capacity};
    return one_by_one(e, [&](int i) { q.push(i); }, [&] { return q.pop(); });
}
inline double moodycamel_round(const exchange& e) {
    moodycamel::BlockingConcurrentQueue<int> q{capacity};
    return one_by_one(
        e, [&](int i) { q.enqueue(i); },
        [&] {
            int x = 0;
            q.wait_dequeue(x);
            return x;
        });
}

inline double plait_batch_round(const exchange& e) {
    plait::channel<int> c{capacity};
    return in_batches(
        e,
        [&](std::span<int> rest) {
            while (!rest.empty()) rest = rest.subspan(c.send_many_blocking(rest));
        },
        [&](std::size_t most, auto take) {
            const std::vector<int> some = c.receive_many_blocking(most);
            take(std::span{some});
        });
}
inline double moodycamel_bulk_round(const exchange& e) {
    moodycamel::BlockingConcurrentQueue<int> q{capacity};
    return in_batches(
        e, [&](std::span<int> some) { q.enqueue_bulk(some.data(), some.size()); },
        [&](std::size_t most, auto take) {
            int some[batch];
            take(std::span<const int>{some, q.wait_dequeue_bulk(some, most)});
        });
}

} // namespace work
