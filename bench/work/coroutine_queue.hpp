// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "work/queues.hpp"

#include <plait/channel.hpp>
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>

/// Two coroutines on one loop, with a queue of 1024 between them; millions of items a second.
namespace work {

inline plait::task<> produce(plait::channel<int>& out, int items) {
    for (int i = 0; i < items; ++i) co_await out.send(std::move(i));
    out.close();
}
inline plait::task<long> consume(plait::channel<int>& in) {
    long sum = 0;
    while (const auto x = co_await in.receive()) sum += *x;
    co_return sum;
}
inline plait::task<long> produce_and_consume(int items) {
    plait::channel<int> c{capacity};
    auto [nothing, sum] = co_await plait::gather(produce(c, items), consume(c));
    static_cast<void>(nothing);
    co_return sum;
}
inline double coroutine_round(int items) {
    plait::event_loop loop;
    const std::clock_t begun = std::clock(); // one thread: CPU time, whatever else the machine does
    if (loop.run(produce_and_consume(items)) != long{items} * (items - 1) / 2) std::exit(1);
    return items / 1e6 / (static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC);
}

/// The best of some rounds of asyncio's queue; 0 without Python.
inline double asyncio(int items, int rounds = 3) {
    const std::string command = std::string{"/usr/bin/python3 '"} + PLAIT_BENCH_SOURCE +
                                "/rivals/asyncio_queue.py' " + std::to_string(items) + " " +
                                std::to_string(rounds);
    double result = 0;
    if (FILE* const out = ::popen(command.c_str(), "r")) {
        if (std::fscanf(out, "%lf", &result) != 1) result = 0;
        ::pclose(out);
    }
    return result;
}

} // namespace work
