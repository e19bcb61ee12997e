// SPDX-License-Identifier: Apache-2.0
// rows: scaling
// link: tbb
//
// How the cost of an empty task grows: with the number of tasks, on two threads, and with the number of
// threads, whether there are as many cores or not. Nanoseconds a task, the best of several rounds in turn.
#include "rivals/mutex_pool.hpp"

#include <plait/thread_pool.hpp>

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

namespace {

constexpr int rounds = 3;

/// Of one round, a task. Pools are made before, and their ends are part of it, since plait's way to wait for all that was
/// posted is to end the pool: their threads are joined. oneTBB's go on.
using measured = double(unsigned workers, int tasks);

double timed(int tasks, const std::function<void()>& run) {
    const auto begun = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begun;
    return time.count() / tasks;
}

double of_plait(unsigned workers, int tasks) {
    plait::thread_pool pool{{.workers = static_cast<int>(workers)}};
    return timed(tasks, [&] {
        for (int i = 0; i < tasks; ++i) pool.post([] {});
        pool.shutdown();
    });
}

double of_mutex(unsigned workers, int tasks) {
    std::optional<rivals::mutex_pool> pool{std::in_place, workers};
    return timed(tasks, [&] {
        for (int i = 0; i < tasks; ++i) pool->post([] {});
        pool->wait_idle();
        pool.reset();
    });
}

double of_tbb(unsigned workers, int tasks) {
    tbb::task_arena arena{static_cast<int>(workers) + 1, 1};
    arena.initialize();
    return timed(tasks, [&] {
        arena.execute([&] {
            tbb::task_group group;
            for (int i = 0; i < tasks; ++i) group.run([] {});
            group.wait();
        });
    });
}

void print(unsigned workers, int tasks) {
    constexpr std::array<measured*, 3> all{&of_plait, &of_mutex, &of_tbb};
    std::array<double, 3> best{};
    best.fill(std::numeric_limits<double>::max());
    for (int r = 0; r < rounds; ++r)
        for (std::size_t i = 0; i < all.size(); ++i) best[i] = std::min(best[i], all[i](workers, tasks));
    std::printf(R"({"row": "scaling: %d tasks, %u workers", "unit": "ns", "plait": %.1f, "peers": )"
                R"({"mutex and condition variable": %.1f, "oneTBB": %.1f}, "better": "lower"})"
                "\n",
                tasks, workers, best[0], best[1], best[2]);
    std::fflush(stdout);
}

} // namespace

int main() {
    for (const int tasks : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) print(2, tasks);
    for (const unsigned workers : {1U, 4U, 8U}) print(workers, 1'000'000);
}
