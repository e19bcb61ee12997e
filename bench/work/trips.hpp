// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace work {

/// A trip to something that sleeps, and back; nanoseconds.
struct trip {
    std::string name;
    std::function<void()> make;
    double median = std::numeric_limits<double>::max(); ///< Of the best round.
    double late = 0;                                    ///< The 99th of a hundred, of all rounds.
};

/// Trips to pools that have been left alone for long enough to sleep. In another order each time: what one of them leaves
/// behind in caches and in the kernel is not to be always the same one's burden. The first hundred of each do not count: for
/// some 25 ms after its start the kernel wakes a thread on the processor where that was, asleep by now, and not where it
/// is waited for.
inline void measure_trips(std::vector<trip>& all, int rounds, int trips_a_round) {
    std::vector<std::vector<double>> times(all.size());
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random{4};
    const int trips = rounds * trips_a_round;
    constexpr int uncounted = 100;
    for (int t = 1 - uncounted; t <= trips; ++t) {
        std::shuffle(order.begin(), order.end(), random);
        for (const std::size_t i : order) {
            std::this_thread::sleep_for(std::chrono::microseconds{300});
            const auto begun = std::chrono::steady_clock::now();
            all[i].make();
            const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begun;
            if (t > 0) times[i].push_back(time.count());
        }
        if (t <= 0 || t % trips_a_round != 0) continue;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto median = times[i].end() - trips_a_round / 2;
            std::nth_element(times[i].end() - trips_a_round, median, times[i].end());
            all[i].median = std::min(all[i].median, *median);
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto late = times[i].begin() + trips * 99 / 100;
        std::nth_element(times[i].begin(), late, times[i].end());
        all[i].late = *late;
    }
}

/// Of those after the first.
inline std::vector<std::pair<std::string, double>> of_peers(const std::vector<trip>& all,
                                                            double trip::* what) {
    std::vector<std::pair<std::string, double>> result;
    for (std::size_t i = 1; i < all.size(); ++i) result.emplace_back(all[i].name, all[i].*what);
    return result;
}

} // namespace work
