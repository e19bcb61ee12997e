// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "support/process_tasks.hpp"

namespace process_tasks {

struct storm_count {
    std::atomic<int> pools{0};
    std::atomic<int> tasks{0};
    std::atomic<int> lost{0};
};

/// One pool's life: made, given work by a thread, left in one of the ways in which pools are left.
inline void live_and_end(std::mt19937& random, storm_count& count) {
    plait::process_pool pool{{.workers = static_cast<int>(1 + random() % 3),
                              .retries = static_cast<int>(random() % 2),
                              .loop = random() % 4 == 0,
                              .on_unhandled = [](const plait::unhandled_failure&) {}}};
    ++count.pools;
    std::vector<plait::future<int>> small;
    std::vector<plait::future<std::vector<char>>> large;
    const int tasks = static_cast<int>(random() % 60);
    for (int i = 0; i < tasks; ++i) {
        ++count.tasks;
        if (random() % 20 == 0)
            large.push_back(pool.submit(echo<std::vector<char>>, std::vector<char>(random() % 900'000, 'y')));
        else if (random() % 30 == 0)
            small.push_back(pool.submit(die_by, SIGKILL));
        else
            small.push_back(pool.submit(add, i, 1));
        if (!small.empty() && random() % 25 == 0)
            small.back().cancel(random() % 2 == 0 ? plait::cancel_mode::kill : plait::cancel_mode::ask);
    }
    switch (random() % 4) {
    case 0:
        pool.shutdown({.cancel_pending = true});
        break;
    case 1:
        pool.shutdown({.kill = true});
        break;
    case 2:
        pool.shutdown();
        break;
    default: // its destructor, with the futures still there
        return;
    }
    for (auto& f : small) EXPECT_TRUE(f.done());
    for (auto& f : large) EXPECT_TRUE(f.done());
    for (auto& f : small) {
        try {
            (void)f.get();
        } catch (const plait::worker_lost&) {
            ++count.lost;
        } catch (const plait::cancelled&) {
        } catch (const plait::shutdown_error&) {}
    }
}

/// Eight threads that make and end pools for so long. Every failure hangs, or is an exception that is none of
/// those above.
inline void pool_storm(std::chrono::seconds how_long, storm_count& count) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto until = std::chrono::steady_clock::now() + how_long;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{seed + t};
            while (std::chrono::steady_clock::now() < until) live_and_end(random, count);
        });
    for (std::thread& t : threads) t.join();
}

} // namespace process_tasks
