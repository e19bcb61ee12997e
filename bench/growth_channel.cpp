// SPDX-License-Identifier: Apache-2.0
// rows: growth, growth: channel, growth: channel batches, growth: channel coroutines
// link: tbb
//
// How the rate of a bounded queue of 1024 grows: with the number of messages, between two threads and two, and in batches
// between one and one, and with the number of threads, whether there are as many cores or not; and between two coroutines
// on one loop. The time counts once all threads run. moodycamel's queue has no bound: its senders never wait.
#include "growth.hpp"
#include "work/coroutine_queue.hpp"
#include "work/queues.hpp"

#include <string>
#include <vector>

namespace {

constexpr const char* unit = "M items/s";

work::exchange exchange_of(int pairs, int messages) {
    return {.pairs = pairs, .items = messages / pairs, .from = work::since::all_threads_run};
}

std::string row(const char* what, int pairs, int messages) {
    const std::string side = std::to_string(pairs);
    return what + std::string{", "} + std::to_string(messages) + " messages, " + side + " to " + side;
}

void one_by_one(int pairs, int messages) {
    const work::exchange e = exchange_of(pairs, messages);
    bench::grow(row("channel", pairs, messages), unit,
                {{"plait", [e] { return work::plait_round(e); }},
                 {"oneTBB bounded", [e] { return work::tbb_round(e); }},
                 {"mutex and condition variables", [e] { return work::mutex_round(e); }},
                 {"moodycamel (unbounded)", [e] { return work::moodycamel_round(e); }}},
                {}, bench::better::higher);
}

/// Only plait and moodycamel have batches.
void in_batches(int pairs, int messages) {
    const work::exchange e = exchange_of(pairs, messages);
    bench::grow(row("channel batches", pairs, messages), unit,
                {{"plait", [e] { return work::plait_batch_round(e); }},
                 {"oneTBB one by one", [e] { return work::tbb_round(e); }},
                 {"mutex one by one", [e] { return work::mutex_round(e); }},
                 {"moodycamel bulk (unbounded)", [e] { return work::moodycamel_bulk_round(e); }}},
                {}, bench::better::higher);
}

void coroutines(int messages) {
    bench::grow("channel coroutines, " + std::to_string(messages) + " messages", unit,
                {{"plait", [messages] { return work::coroutine_round(messages); }},
                 {"asyncio.Queue", [messages] { return work::asyncio(messages, 1); }}},
                {}, bench::better::higher);
}

} // namespace

int main() {
    constexpr const char* name = "growth_channel";
    const std::vector<int> messages{1'000, 10'000, 100'000, 1'000'000, 10'000'000};
    if (bench::grows("channel", name)) {
        for (const int n : messages) one_by_one(2, n);
        for (const int pairs : {1, 4, 8}) one_by_one(pairs, 1'000'000);
    }
    if (bench::grows("channel batches", name)) {
        for (const int n : messages) in_batches(1, n);
        for (const int pairs : {2, 4, 8}) in_batches(pairs, 1'000'000);
    }
    if (bench::grows("channel coroutines", name))
        for (const int n : {1'000, 10'000, 100'000, 1'000'000}) coroutines(n);
}
