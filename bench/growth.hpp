// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "turns.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Rows of the cost as the work grows: `growth: futures, 100000 tasks, 2 workers`. What contenders do is in work/, shared
/// with the benches whose rows have a reach.
namespace bench {

/// Is what grows here to be measured? By its own name, as one of all that grow, or as all of its bench.
inline bool grows(std::string_view subject, std::string_view its_bench) {
    return wanted("growth: " + std::string{subject}, its_bench) || wanted("growth", its_bench);
}

/// The best rounds, small ones with more digits; all[0] is plait's.
inline void print_growth(const std::string& row, const char* unit, const std::vector<contender>& all,
                         better is = better::lower) {
    print("growth: " + row, unit, best(all[0], is), peers_of(all, is),
          {.is = is, .digits = best(all[0], is) < 10 ? 3 : 1});
}

inline void grow(const std::string& row, const char* unit, std::vector<contender> all, const turns& t = {},
                 better is = better::lower) {
    take(t, all);
    print_growth(row, unit, all, is);
}

inline std::string of_workers(int n) { return std::to_string(n) + (n == 1 ? " worker" : " workers"); }

} // namespace bench
