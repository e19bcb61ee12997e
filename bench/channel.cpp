// SPDX-License-Identifier: Apache-2.0
// rows: channel 1 to 1, channel 2 to 2, channel 1 to 1 (unbounded peer), channel 2 to 2 (unbounded peer)
// rows: channel send_many, channel send_many (unbounded peer), channel coroutines
// link: tbb
//
// How many items a second go through a bounded queue of 1024 between threads: one sender and one receiver,
// two and two, and in batches; and between two coroutines on one loop. Rounds of all contenders take turns
// and each one's median counts. moodycamel's queue has no bound, so its senders never wait: it is shown in
// rows of its own, but for its items one by one beside batches.
#include "turns.hpp"
#include "work/coroutine_queue.hpp"
#include "work/queues.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace {

constexpr int items = 1'000'000; // of each sender
constexpr int rounds = 9;

using contenders = std::vector<bench::contender>;

std::vector<bench::peer> medians(contenders all) {
    bench::take({.least = rounds, .most = rounds}, all);
    std::vector<bench::peer> result;
    for (const bench::contender& c : all) {
        result.emplace_back(c.name, c.measured[c.measured.size() / 2]);
        std::fprintf(stderr, "  %s: %.1f to %.1f M/s\n", c.name.c_str(), c.measured.front(),
                     c.measured.back());
    }
    return result;
}

void print(const std::string& row, double plait, const std::vector<bench::peer>& peers, double reach) {
    bench::print(row, "M items/s", plait, peers, {.is = bench::better::higher, .reach = reach, .digits = 2});
}

void between_threads(int pairs, const std::string& row, double reach) {
    const work::exchange e{.pairs = pairs, .items = items};
    const auto r = medians({{"plait", [&] { return work::plait_round(e); }},
                            {"oneTBB bounded", [&] { return work::tbb_round(e); }},
                            {"mutex and condition variables", [&] { return work::mutex_round(e); }},
                            {"moodycamel (unbounded)", [&] { return work::moodycamel_round(e); }}});
    print(row, r[0].second, {r[1], r[2]}, reach);
    print(row + " (unbounded peer)", r[0].second, {r[3]}, 1);
}

} // namespace

int main() {
    const auto wanted = [](const char* row) { return bench::wanted(row, "channel"); };
    if (wanted("channel 1 to 1")) between_threads(1, "channel 1 to 1", 1.5);
    if (wanted("channel 2 to 2")) between_threads(2, "channel 2 to 2", 3);
    if (wanted("channel send_many")) {
        const work::exchange e{.pairs = 1, .items = items};
        const auto r = medians({{"plait", [&] { return work::plait_batch_round(e); }},
                                {"oneTBB one by one", [&] { return work::tbb_round(e); }},
                                {"mutex one by one", [&] { return work::mutex_round(e); }},
                                {"moodycamel one by one", [&] { return work::moodycamel_round(e); }},
                                {"moodycamel bulk", [&] { return work::moodycamel_bulk_round(e); }}});
        print("channel send_many", r[0].second, {r[1], r[2], r[3]}, 3);
        print("channel send_many (unbounded peer)", r[0].second, {r[4]}, 1);
    }
    if (wanted("channel coroutines")) {
        const auto r = medians({{"plait", [] { return work::coroutine_round(items); }}});
        print("channel coroutines", r[0].second, {{"asyncio.Queue", work::asyncio(200'000)}}, 10);
    }
}
