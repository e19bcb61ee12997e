// SPDX-License-Identifier: Apache-2.0
// rows: channel 1 to 1, channel 2 to 2, channel 1 to 1 (unbounded peer), channel 2 to 2 (unbounded peer)
// rows: channel send_many, channel send_many (unbounded peer), channel coroutines
// link: tbb
//
// How many items a second go through a bounded queue of 1024 between threads: one sender and one receiver,
// two and two, and in batches; and between two coroutines on one loop. Rounds of all contenders take turns
// and each one's median counts. moodycamel's queue has no bound, so its senders never wait: it is shown in
// rows of its own.
#include "rivals/mutex_channel.hpp"

#include <plait/channel.hpp>
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <tbb/concurrent_queue.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t capacity = 1024;
constexpr std::size_t batch = 256;
constexpr int items = 1'000'000; // of each sender
constexpr int rounds = 9;

// `send(i)` and `receive()` of `pairs` threads each, with everything received counted: M items a second.
template <class Send, class Receive>
double rate(int pairs, Send send, Receive receive) {
    std::vector<long> sums(static_cast<std::size_t>(pairs));
    const auto begun = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        for (int p = 0; p < pairs; ++p) {
            threads.emplace_back([&, p] {
                long sum = 0;
                for (int n = 0; n < items;) n += receive(sum, items - n);
                sums[static_cast<std::size_t>(p)] = sum;
            });
            threads.emplace_back([&] {
                for (int i = 0; i < items;) i += send(i);
            });
        }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    long total = 0;
    for (const long s : sums) total += s;
    if (total != pairs * (long{items} * (items - 1) / 2)) {
        std::fprintf(stderr, "channel: items were lost\n");
        std::exit(1);
    }
    return pairs * (items / 1e6) / seconds;
}

template <class Push, class Pop>
double one_by_one(int pairs, Push push, Pop pop) {
    return rate(
        pairs,
        [&](int i) {
            push(i);
            return 1;
        },
        [&](long& sum, int) {
            sum += pop();
            return 1;
        });
}

double plait_round(int pairs) {
    plait::channel<int> c{capacity};
    return one_by_one(
        pairs, [&](int i) { c.send_blocking(std::move(i)); }, [&] { return *c.receive_blocking(); });
}
double tbb_round(int pairs) {
    tbb::concurrent_bounded_queue<int> q;
    q.set_capacity(capacity);
    return one_by_one(
        pairs, [&](int i) { q.push(i); },
        [&] {
            int x = 0;
            q.pop(x);
            return x;
        });
}
double mutex_round(int pairs) {
    rivals::mutex_channel<int> q{capacity};
    return one_by_one(pairs, [&](int i) { q.push(i); }, [&] { return q.pop(); });
}
double moodycamel_round(int pairs) {
    moodycamel::BlockingConcurrentQueue<int> q{capacity};
    return one_by_one(
        pairs, [&](int i) { q.enqueue(i); },
        [&] {
            int x = 0;
            q.wait_dequeue(x);
            return x;
        });
}
double moodycamel_bulk_round() {
    moodycamel::BlockingConcurrentQueue<int> q{capacity};
    return rate(
        1,
        [&](int i) {
            int some[batch];
            const int n = std::min(static_cast<int>(batch), items - i);
            for (int k = 0; k < n; ++k) some[k] = i + k;
            q.enqueue_bulk(some, static_cast<std::size_t>(n));
            return n;
        },
        [&](long& sum, int left) {
            int some[batch];
            const std::size_t n = q.wait_dequeue_bulk(some, std::min(batch, static_cast<std::size_t>(left)));
            for (std::size_t k = 0; k < n; ++k) sum += some[k];
            return static_cast<int>(n);
        });
}
double plait_batch_round() {
    plait::channel<int> c{capacity};
    return rate(
        1,
        [&](int i) {
            int some[batch];
            const int n = std::min(static_cast<int>(batch), items - i);
            for (int k = 0; k < n; ++k) some[k] = i + k;
            for (std::span<int> rest{some, static_cast<std::size_t>(n)}; !rest.empty();)
                rest = rest.subspan(c.send_many_blocking(rest));
            return n;
        },
        [&](long& sum, int left) {
            const std::vector<int> some =
                c.receive_many_blocking(std::min(batch, static_cast<std::size_t>(left)));
            for (const int x : some) sum += x;
            return static_cast<int>(some.size());
        });
}

plait::task<> produce(plait::channel<int>& out) {
    for (int i = 0; i < items; ++i) co_await out.send(std::move(i));
    out.close();
}
plait::task<long> consume(plait::channel<int>& in) {
    long sum = 0;
    while (const auto x = co_await in.receive()) sum += *x;
    co_return sum;
}
plait::task<long> both() {
    plait::channel<int> c{capacity};
    auto [nothing, sum] = co_await plait::gather(produce(c), consume(c));
    static_cast<void>(nothing);
    co_return sum;
}
double coroutine_round() {
    plait::event_loop loop;
    const std::clock_t begun = std::clock(); // one thread: CPU time, whatever else the machine does
    if (loop.run(both()) != long{items} * (items - 1) / 2) std::exit(1);
    return items / 1e6 / (static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC);
}

double asyncio() {
    const std::string command =
        std::string{"/usr/bin/python3 '"} + PLAIT_BENCH_SOURCE + "/rivals/asyncio_queue.py' 200000";
    double result = 0;
    if (FILE* const out = ::popen(command.c_str(), "r")) {
        if (std::fscanf(out, "%lf", &result) != 1) result = 0;
        ::pclose(out);
    }
    return result;
}

struct contender {
    const char* name;
    std::function<double()> round;
    std::vector<double> rates{};
    double median() {
        std::sort(rates.begin(), rates.end());
        return rates[rates.size() / 2];
    }
};

std::vector<std::pair<std::string, double>> measure(std::vector<contender> all) {
    for (int r = 0; r < rounds; ++r)
        for (contender& c : all) c.rates.push_back(c.round());
    std::vector<std::pair<std::string, double>> result;
    for (contender& c : all) {
        result.emplace_back(c.name, c.median());
        std::fprintf(stderr, "  %s: %.1f to %.1f M/s\n", c.name, c.rates.front(), c.rates.back());
    }
    return result;
}

void print(const std::string& row, double plait, const std::vector<std::pair<std::string, double>>& peers,
           double reach) {
    std::printf("{\"row\": \"%s\", \"unit\": \"M items/s\", \"plait\": %.2f, \"peers\": {", row.c_str(),
                plait);
    for (std::size_t i = 0; i < peers.size(); ++i)
        std::printf("%s\"%s\": %.2f", i ? ", " : "", peers[i].first.c_str(), peers[i].second);
    std::printf("}, \"better\": \"higher\", \"reach\": %.1f}\n", reach);
    std::fflush(stdout);
}

bool wanted(const std::string& row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || row.starts_with(only) || std::strcmp(only, "channel") == 0 ||
           std::string_view{only}.starts_with(row);
}

void between_threads(int pairs, const std::string& row, double reach) {
    const auto r = measure({{"plait", [&] { return plait_round(pairs); }},
                            {"oneTBB bounded", [&] { return tbb_round(pairs); }},
                            {"mutex and condition variables", [&] { return mutex_round(pairs); }},
                            {"moodycamel (unbounded)", [&] { return moodycamel_round(pairs); }}});
    print(row, r[0].second, {r[1], r[2]}, reach);
    print(row + " (unbounded peer)", r[0].second, {r[3]}, 1);
}

} // namespace

int main() {
    if (wanted("channel 1 to 1")) between_threads(1, "channel 1 to 1", 1.5);
    if (wanted("channel 2 to 2")) between_threads(2, "channel 2 to 2", 3);
    if (wanted("channel send_many")) {
        auto r = measure({{"plait", plait_batch_round},
                          {"oneTBB one by one", [] { return tbb_round(1); }},
                          {"mutex one by one", [] { return mutex_round(1); }},
                          {"moodycamel one by one", [] { return moodycamel_round(1); }},
                          {"moodycamel bulk", moodycamel_bulk_round}});
        print("channel send_many", r[0].second, {r[1], r[2]}, 3);
        print("channel send_many (unbounded peer)", r[0].second, {r[3], r[4]}, 1);
    }
    if (wanted("channel coroutines")) {
        const auto r = measure({{"plait", coroutine_round}});
        print("channel coroutines", r[0].second, {{"asyncio.Queue", asyncio()}}, 10);
    }
}
