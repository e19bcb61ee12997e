// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rows.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace bench {

/// Rounds of all contenders take turns: `least` of them, then more while there is time.
struct turns {
    int least = 2;
    int most = 30;
    double seconds = 0.7;
    std::chrono::milliseconds rest{0}; ///< Before each round: for threads that spin after their work.
};

struct contender {
    std::string name;
    std::function<double()> round;  ///< Gives what it measured, in the row's unit.
    std::vector<double> measured{}; ///< In order, once all turns are over.
};

inline void take(const turns& t, std::vector<contender>& all) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>{t.seconds};
    for (int r = 0; r < t.least || (r < t.most && std::chrono::steady_clock::now() < end); ++r)
        for (contender& c : all) {
            std::this_thread::sleep_for(t.rest);
            c.measured.push_back(c.round());
        }
    for (contender& c : all) std::sort(c.measured.begin(), c.measured.end());
}

/// The best round.
inline double best(const contender& c, better is = better::lower) {
    return is == better::lower ? c.measured.front() : c.measured.back();
}

/// The best rounds of those after the first, which is plait's.
inline std::vector<peer> peers_of(const std::vector<contender>& all, better is = better::lower) {
    std::vector<peer> result;
    for (std::size_t i = 1; i < all.size(); ++i) result.emplace_back(all[i].name, best(all[i], is));
    return result;
}

/// The nanoseconds that `run` takes for each of `n`.
template <class Run>
double nanoseconds_each(double n, Run&& run) {
    const auto begun = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begun).count() / n;
}

} // namespace bench
